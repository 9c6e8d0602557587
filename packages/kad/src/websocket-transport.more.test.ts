import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { concatBytes, toHex } from './bytes.js';
import { createTlsCredentials } from './certificate.js';
import { CombinedTransport } from './combined-transport.js';
import { MAX_MESSAGE_SIZE } from './envelope.js';
import { HttpsTransport } from './https-transport.js';
import { Identity } from './identity.js';
import { KademliaNode } from './kademlia-node.js';
import { WEBSOCKET_PATH, WEBSOCKET_SUBPROTOCOL } from './message-socket.js';
import { seededRandom } from './seeded-random.test-support.js';
import type { MessageHandler } from './transport.js';
import { MemoryValueStore } from './value-store.js';
import { CloseCode } from './websocket-connection.js';
import { FrameType, MAX_FRAME_SIZE, encodeFrame, parseFrame } from './websocket-frames.js';
import {
  type Introduction,
  checkProof,
  encodeAnswer,
  encodeIntroduction,
  introduce,
  parseAnswer,
  parseIntroduction,
  prove,
} from './websocket-handshake.js';
import type { WebSocketLimits } from './websocket-limits.js';
import { type ListenerSettings, WebSocketListener } from './websocket-listener.js';
import { WebSocketTransport } from './websocket-transport.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const host = '127.0.0.1';
const random = seededRandom('websocket');
const echo: MessageHandler = (message) => Promise.resolve(message);
const never = () => new Promise<Uint8Array>(() => undefined);

interface Setting {
  readonly handler?: MessageHandler;
  readonly limits?: Partial<WebSocketLimits>;
  readonly listener?: ListenerSettings;
}

async function startServer({ handler = echo, limits = {}, listener = {} }: Setting = {}) {
  const identity = Identity.generate();
  const sockets = WebSocketListener.standalone({ host, port: 0 }, listener);
  const transport = new WebSocketTransport({ identity, listener: sockets, limits });
  cleanups.push(() => transport.close());
  await transport.listen(handler);
  const [address = ''] = transport.addresses;
  const peer = { nodeId: identity.nodeId, addresses: transport.addresses };
  return { identity, transport, address, peer, port: sockets.port!, sockets };
}

async function startClient({ handler = echo, limits = {} }: Setting = {}) {
  const identity = Identity.generate();
  const transport = new WebSocketTransport({ identity, limits });
  cleanups.push(() => transport.close());
  await transport.listen(handler);
  return { identity, transport, peer: { nodeId: identity.nodeId, addresses: [] } };
}

type Server = Awaited<ReturnType<typeof startServer>>;

/** That a server still serves whoever behaves. */
async function stillServes({ peer }: Server) {
  const { transport } = await startClient();
  const message = random(100);
  expect(toHex(await transport.request(peer, message))).toBe(toHex(message));
  await transport.close();
}

/** The other end of a WebSocket, which does what a test tells it. */
class RawPeer {
  readonly frames: { type: number; id: number; body: Uint8Array }[] = [];
  closed: number | undefined;
  private waiting: (() => void)[] = [];

  constructor(readonly socket: WebSocket) {
    cleanups.push(() => socket.terminate());
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      this.frames.push(parseFrame(data));
      this.wake();
    });
    socket.on('close', (code) => {
      this.closed = code;
      this.wake();
    });
  }

  static async dial(address: string): Promise<RawPeer> {
    const socket = new WebSocket(`${address}${WEBSOCKET_PATH}`, WEBSOCKET_SUBPROTOCOL);
    const peer = new RawPeer(socket);
    await once(socket, 'open');
    return peer;
  }

  private wake() {
    for (const wake of this.waiting.splice(0)) wake();
  }

  async next() {
    while (this.frames.length === 0) {
      if (this.closed !== undefined) throw new Error(`closed with ${this.closed}`);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    return this.frames.shift()!;
  }

  async closeCode(): Promise<number> {
    while (this.closed === undefined) {
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    return this.closed;
  }

  send(type: FrameType, id: number, body: Uint8Array = new Uint8Array(0)) {
    this.socket.send(encodeFrame(type, id, body));
  }

  /** Prove honestly who dials. */
  async shakeHands(identity = Identity.generate()): Promise<Introduction> {
    const acceptor = parseIntroduction((await this.next()).body);
    const dialer = introduce(identity, random);
    this.send(
      FrameType.answer,
      0,
      encodeAnswer(dialer, prove(identity, 'dialer', acceptor, dialer)),
    );
    const { type, body } = await this.next();
    expect(type).toBe(FrameType.welcome);
    checkProof(body, 'acceptor', acceptor, dialer);
    return acceptor;
  }
}

/** A server that does what a test tells it with each connection. */
async function impostor(act: (peer: RawPeer) => unknown) {
  const server = new WebSocketServer({ host, port: 0 });
  server.on('connection', (socket) => act(new RawPeer(socket)));
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return `ws://${host}:${(server.address() as AddressInfo).port}`;
}

describe('who dials a WebSocket', () => {
  it.each<[string, (acceptor: Introduction) => Uint8Array]>([
    ['nothing', () => new Uint8Array(0)],
    ['noise', () => random(130)],
    ['too little', () => new Uint8Array(129).fill(1)],
    ['too much', () => new Uint8Array(131).fill(1)],
    [
      'another version',
      (acceptor) => {
        const identity = Identity.generate();
        const dialer = introduce(identity, random);
        const answer = encodeAnswer(dialer, prove(identity, 'dialer', acceptor, dialer));
        answer[0] = 2;
        return answer;
      },
    ],
  ])('is refused with %s instead of its proof', async (_what, answer) => {
    const server = await startServer();
    const peer = await RawPeer.dial(server.address);
    const acceptor = parseIntroduction((await peer.next()).body);
    peer.send(FrameType.answer, 0, answer(acceptor));
    expect(await peer.closeCode()).toBe(CloseCode.protocol);
    await stillServes(server);
  });

  const mallory = Identity.generate();
  const alice = Identity.generate();
  it.each<[string, (acceptor: Introduction) => Uint8Array]>([
    ['without a signature', () => encodeAnswer(introduce(alice, random), new Uint8Array(64))],
    [
      'with the key of another',
      (acceptor) => {
        const dialer = introduce(alice, random);
        return encodeAnswer(dialer, prove(mallory, 'dialer', acceptor, dialer));
      },
    ],
    [
      'with what proves an acceptor',
      (acceptor) => {
        const dialer = introduce(alice, random);
        return encodeAnswer(dialer, prove(alice, 'acceptor', acceptor, dialer));
      },
    ],
    [
      'with a proof for another acceptor',
      () => {
        const dialer = introduce(alice, random);
        return encodeAnswer(dialer, prove(alice, 'dialer', introduce(mallory, random), dialer));
      },
    ],
    [
      'with a key that is none',
      (acceptor) => {
        const dialer = { ...introduce(alice, random), publicKey: new Uint8Array(33).fill(7) };
        return encodeAnswer(dialer, prove(alice, 'dialer', acceptor, dialer));
      },
    ],
  ])('is refused %s', async (_what, answer) => {
    let handled = 0;
    const server = await startServer({
      handler: (message) => {
        handled += 1;
        return Promise.resolve(message);
      },
    });
    const peer = await RawPeer.dial(server.address);
    peer.send(FrameType.answer, 0, answer(parseIntroduction((await peer.next()).body)));
    peer.send(FrameType.request, 1, random(10));
    expect(await peer.closeCode()).toBe(CloseCode.identity);
    expect(peer.frames).toEqual([]);
    expect(handled).toBe(0);
    expect(server.transport.isConnected(alice.nodeId)).toBe(false);
    await stillServes(server);
  });

  it('cannot use a proof again that another gave', async () => {
    const server = await startServer();
    const first = await RawPeer.dial(server.address);
    const acceptor = parseIntroduction((await first.next()).body);
    const dialer = introduce(alice, random);
    const answer = encodeAnswer(dialer, prove(alice, 'dialer', acceptor, dialer));
    first.send(FrameType.answer, 0, answer);
    expect((await first.next()).type).toBe(FrameType.welcome);
    const second = await RawPeer.dial(server.address);
    await second.next();
    second.send(FrameType.answer, 0, answer);
    expect(await second.closeCode()).toBe(CloseCode.identity);
    expect(server.transport.isConnected(alice.nodeId)).toBe(true);
  });

  it('cannot have somebody else prove for it', async () => {
    const server = await startServer();
    // Mallory is dialled by the client, passes the server's challenge on under its own name, and
    // hands the client's proof to the server.
    const address = await impostor(async (victim) => {
      const toServer = await RawPeer.dial(server.address);
      const { challenge } = parseIntroduction((await toServer.next()).body);
      const { publicKey, nodeId } = introduce(mallory, random);
      const claim = { publicKey, nodeId, challenge };
      victim.send(FrameType.challenge, 0, encodeIntroduction(claim));
      const { body } = await victim.next();
      toServer.send(FrameType.answer, 0, body);
      expect(await toServer.closeCode()).toBe(CloseCode.identity);
      victim.socket.close();
    });
    const client = await startClient();
    await expect(
      client.transport.request({ nodeId: mallory.nodeId, addresses: [address] }, random(10)),
    ).rejects.toMatchObject({ code: 'KAD_UNREACHABLE' });
    expect(server.transport.isConnected(client.identity.nodeId)).toBe(false);
  });

  it('is not listened to before it has proved who it is, and not asked', async () => {
    let handled = 0;
    const server = await startServer({
      handler: (message) => {
        handled += 1;
        return Promise.resolve(message);
      },
    });
    for (const type of [3, 4, 5, 6, 7, 0, 2] as const) {
      const peer = await RawPeer.dial(server.address);
      await peer.next();
      peer.send(type, 1, random(65));
      expect(await peer.closeCode()).toBe(CloseCode.protocol);
    }
    expect(handled).toBe(0);
    await stillServes(server);
  });

  it('has little time to prove it', async () => {
    const server = await startServer({ limits: { helloMs: 100 } });
    const silent = await RawPeer.dial(server.address);
    expect(await silent.closeCode()).toBe(CloseCode.timeout);
    // A frame of which a byte comes now and then is no frame.
    const slow = net.connect(server.port, host);
    cleanups.push(() => slow.destroy());
    slow.on('error', () => undefined);
    slow.write(
      `GET ${WEBSOCKET_PATH} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Protocol: ${WEBSOCKET_SUBPROTOCOL}\r\n\r\n`,
    );
    const drip = setInterval(() => slow.write(Uint8Array.of(0x82)), 20);
    cleanups.push(() => clearInterval(drip));
    slow.resume();
    // `once` of node:events would fail with the reset that may come first.
    await new Promise((resolve) => slow.once('close', resolve));
    await stillServes(server);
  });
});

describe('a WebSocket that was proved', () => {
  it.each<[string, (peer: RawPeer) => void, number]>([
    ['text', (peer) => peer.socket.send('{"jsonrpc":"2.0"}'), CloseCode.protocol],
    ['an empty frame', (peer) => peer.socket.send(new Uint8Array(0)), CloseCode.protocol],
    ['half a head', (peer) => peer.socket.send(Uint8Array.of(3, 0, 0)), CloseCode.protocol],
    ['an unknown type', (peer) => peer.socket.send(new Uint8Array(9).fill(8)), CloseCode.protocol],
    [
      'a second handshake',
      (peer) => peer.send(FrameType.answer, 0, random(130)),
      CloseCode.protocol,
    ],
    // `ws` itself refuses what is longer than it was told, with a code of its own.
    ['a giant frame', (peer) => peer.socket.send(Buffer.alloc(MAX_FRAME_SIZE + 1)), 1009],
    [
      'a giant frame in small parts',
      (peer) => {
        for (let i = 0; i < 300; i += 1) peer.socket.send(Buffer.alloc(1024), { fin: false });
      },
      1009,
    ],
    [
      'pings without end',
      (peer) => {
        for (let i = 0; i < 1000; i += 1) peer.send(FrameType.ping, 0);
      },
      CloseCode.protocol,
    ],
    [
      'answers to nothing',
      (peer) => {
        for (let i = 0; i < 1000; i += 1) peer.send(FrameType.response, i, random(3));
      },
      CloseCode.protocol,
    ],
  ])('is closed for %s', async (_what, act, code) => {
    const server = await startServer();
    const peer = await RawPeer.dial(server.address);
    await peer.shakeHands();
    act(peer);
    expect(await peer.closeCode()).toBe(code);
    await stillServes(server);
  });

  it('lives through noise', async () => {
    const server = await startServer();
    for (let i = 0; i < 100; i += 1) {
      const peer = await RawPeer.dial(server.address);
      if (i % 2 === 0) await peer.shakeHands();
      const noise = random(1 + (i % 40) * 13);
      noise[0]! %= 10;
      peer.socket.send(noise);
      peer.socket.send(random(200));
      peer.socket.close();
      await peer.closeCode();
    }
    await stillServes(server);
  });

  it('answers only so many questions at one time, and the rest with KAD_BUSY', async () => {
    let under = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    const server = await startServer({
      limits: { maxInWork: 16 },
      handler: async (message) => {
        most = Math.max(most, (under += 1));
        await new Promise<void>((resolve) => waiting.push(resolve));
        under -= 1;
        return message;
      },
    });
    const peer = await RawPeer.dial(server.address);
    await peer.shakeHands();
    for (let id = 1; id <= 1000; id += 1) peer.send(FrameType.request, id, random(10));
    let busy = 0;
    while (busy < 984) {
      const { type, body } = await peer.next();
      expect(type).toBe(FrameType.error);
      expect(Buffer.from(body).toString()).toContain('KAD_BUSY');
      busy += 1;
    }
    expect(most).toBe(16);
    for (const release of waiting.splice(0)) release();
    for (let i = 0; i < 16; i += 1) expect((await peer.next()).type).toBe(FrameType.response);
    peer.send(FrameType.request, 2000, random(10));
    while (waiting.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    waiting[0]!();
    expect(await peer.next()).toMatchObject({ type: FrameType.response, id: 2000 });
  });

  it('keeps only so many bytes of questions in work, of all peers together', async () => {
    const server = await startServer({ limits: { maxWorkBytes: 600_000 }, handler: never });
    const answers = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const peer = await RawPeer.dial(server.address);
        await peer.shakeHands();
        peer.send(FrameType.request, 1, random(200_000));
        peer.send(FrameType.request, 2, random(200_000));
        return peer;
      }),
    );
    const busy = () => answers.reduce((sum, { frames }) => sum + frames.length, 0);
    while (busy() < 5) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(busy()).toBe(5);
    await answers[0]!.socket.close();
  });

  it('is cut off when it does not take its answers', async () => {
    const answer = Buffer.alloc(MAX_MESSAGE_SIZE, 1);
    const server = await startServer({
      limits: { stallMs: 300, maxBuffered: 100_000 },
      handler: () => Promise.resolve(answer),
    });
    const peer = await RawPeer.dial(server.address);
    await peer.shakeHands();
    peer.socket.pause();
    for (let id = 1; id <= 120; id += 1) peer.send(FrameType.request, id, random(10));
    while (server.transport.connections > 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
    await startClient().then(({ transport }) => transport.request(server.peer, random(10)));
  });

  it('is closed when nothing comes from it any more', async () => {
    const server = await startServer({ limits: { pingMs: 50, silenceMs: 200 } });
    const peer = await RawPeer.dial(server.address);
    await peer.shakeHands();
    peer.socket.pause();
    while (server.transport.connections > 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it('stays open while it answers pings', async () => {
    const server = await startServer({ limits: { pingMs: 100, silenceMs: 1_500 } });
    const { transport, peer } = await startClient();
    await transport.request(server.peer, random(5));
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(server.transport.isConnected(peer.nodeId)).toBe(true);
    await server.transport.request(peer, random(5));
  });

  it('makes room for newer ones of the same peer', async () => {
    const server = await startServer({ limits: { maxPerPeer: 2 } });
    const identity = Identity.generate();
    const peers: RawPeer[] = [];
    for (let i = 0; i < 3; i += 1) {
      const peer = await RawPeer.dial(server.address);
      await peer.shakeHands(identity);
      peers.push(peer);
    }
    expect(await peers[0]!.closeCode()).toBe(CloseCode.replaced);
    expect(peers[1]!.closed).toBeUndefined();
    const question = server.transport.request(
      { nodeId: identity.nodeId, addresses: [] },
      random(9),
    );
    const { id, type } = await peers[2]!.next();
    expect(type).toBe(FrameType.request);
    peers[2]!.send(FrameType.response, id, Uint8Array.of(5));
    expect(await question).toEqual(Buffer.of(5));
  });
});

describe('the listener', () => {
  it('takes no more WebSockets than it was told, of some thousand', async () => {
    const server = await startServer({
      listener: { maxConnections: 100, maxPerAddress: 100 },
      limits: { helloMs: 60_000 },
    });
    let open = 0;
    let refused = 0;
    const sockets: WebSocket[] = [];
    cleanups.push(() => sockets.forEach((socket) => socket.terminate()));
    const attempt = () =>
      new Promise<void>((resolve) => {
        const socket = new WebSocket(`${server.address}${WEBSOCKET_PATH}`, WEBSOCKET_SUBPROTOCOL);
        sockets.push(socket);
        socket.once('open', () => {
          open += 1;
          resolve();
        });
        socket.once('error', () => {
          refused += 1;
          resolve();
        });
      });
    for (let i = 0; i < 20; i += 1) await Promise.all(Array.from({ length: 100 }, attempt));
    expect(open).toBe(100);
    expect(refused).toBe(1900);
    expect(server.transport.connections).toBe(100);
    for (const socket of sockets) socket.terminate();
    while (server.sockets.connections > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await stillServes(server);
  });

  it('takes no more from one address than it was told, nor unproved ones', async () => {
    const server = await startServer({ listener: { maxPerAddress: 3 } });
    for (let i = 0; i < 3; i += 1) await (await RawPeer.dial(server.address)).next();
    await expect(RawPeer.dial(server.address)).rejects.toThrow('503');
    const other = await startServer({ limits: { maxUnproven: 2 } });
    const proved = await RawPeer.dial(other.address);
    await proved.shakeHands();
    const silent: RawPeer[] = [];
    for (let i = 0; i < 3; i += 1) {
      const peer = await RawPeer.dial(other.address);
      await peer.next();
      silent.push(peer);
    }
    // Those that say nothing can't keep others out.
    expect(await silent[0]!.closeCode()).toBe(CloseCode.tryAgainLater);
    expect(silent[2]!.closed).toBeUndefined();
    expect(proved.closed).toBeUndefined();
    await stillServes(other);
  });

  it.each<[string, string, string | undefined, number]>([
    ['another path', '/else', WEBSOCKET_SUBPROTOCOL, 404],
    ['no subprotocol', WEBSOCKET_PATH, undefined, 400],
    ['another subprotocol', WEBSOCKET_PATH, 'chat', 400],
  ])('refuses %s', async (_what, path, protocol, status) => {
    const server = await startServer();
    const socket = new WebSocket(`${server.address}${path}`, protocol);
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toContain(String(status));
    await stillServes(server);
  });

  it('tells whoever comes without a WebSocket what is there', async () => {
    const { port } = await startServer();
    for (const [path, status] of [
      [WEBSOCKET_PATH, 426],
      ['/', 404],
    ] as const) {
      const request = http.request({ host, port, path, method: 'POST' });
      request.on('error', () => undefined);
      request.end('x'.repeat(1000));
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      response.resume();
      expect(response.statusCode).toBe(status);
    }
  });

  it('says that a port is in use, and that the HTTPS transport does not listen yet', async () => {
    const { port } = await startServer();
    const identity = Identity.generate();
    const listener = WebSocketListener.standalone({ host, port });
    const taken = new WebSocketTransport({ identity, listener });
    await expect(taken.listen(echo)).rejects.toMatchObject({ code: 'KAD_PORT_IN_USE' });
    await taken.close();
    const credentials = await createTlsCredentials(identity);
    const first = new HttpsTransport({ credentials, listen: { host, port: 0 } });
    const early = new WebSocketTransport({ identity, listener: WebSocketListener.beside(first) });
    await expect(early.listen(echo)).rejects.toMatchObject({ code: 'KAD_LISTEN' });
    await early.close();
    await first.close();
  });

  it('leaves no socket behind when it is closed', async () => {
    const server = await startServer();
    const idle = await RawPeer.dial(server.address);
    const proved = await RawPeer.dial(server.address);
    await proved.shakeHands();
    const raw: Socket = net.connect(server.port, host);
    await once(raw, 'connect');
    const rawClosed = once(raw.resume(), 'close');
    await server.transport.close();
    await Promise.all([idle.closeCode(), proved.closeCode(), rawClosed]);
    const again = net.createServer();
    again.listen(server.port, host);
    await once(again, 'listening');
    again.close();
  });
});

describe('who is dialled', () => {
  const expected = Identity.generate();
  const ask = async (address: string, limits: Partial<WebSocketLimits> = {}, timeoutMs = 5_000) => {
    const { transport } = await startClient({ limits });
    return transport.request({ nodeId: expected.nodeId, addresses: [address] }, random(10), {
      timeoutMs,
    });
  };

  it('is given up when it says nothing', async () => {
    const address = await impostor(() => undefined);
    await expect(ask(address, {}, 200)).rejects.toMatchObject({ code: 'KAD_TIMEOUT' });
  });

  it.each<[string, (peer: RawPeer) => void]>([
    ['noise', (peer) => peer.socket.send(random(66))],
    ['text', (peer) => peer.socket.send('hello')],
    ['a request', (peer) => peer.send(FrameType.request, 1, random(10))],
    ['a welcome at once', (peer) => peer.send(FrameType.welcome, 0, random(64))],
    ['a giant frame', (peer) => peer.socket.send(Buffer.alloc(MAX_FRAME_SIZE + 1))],
    ['its end', (peer) => peer.socket.close()],
  ])('is given up when it says %s', async (_what, act) => {
    const address = await impostor(act);
    await expect(ask(address)).rejects.toMatchObject({ code: 'KAD_UNREACHABLE' });
  });

  it('is told nothing, not even who we are, when it is another node', async () => {
    const heard: number[] = [];
    const address = await impostor((peer) => {
      peer.socket.on('message', () => heard.push(1));
      const other = introduce(Identity.generate(), random);
      peer.send(FrameType.challenge, 0, encodeIntroduction(other));
    });
    await expect(ask(address)).rejects.toMatchObject({ code: 'KAD_IDENTITY_MISMATCH' });
    expect(heard).toEqual([]);
  });

  it.each<
    [string, (acceptor: Introduction, dialer: Introduction, proof: Uint8Array) => Uint8Array]
  >([
    ['no proof', () => new Uint8Array(64)],
    ['a proof that is cut off', () => new Uint8Array(3)],
    ['our own proof', (_acceptor, _dialer, proof) => proof],
    [
      'the proof of another',
      (acceptor, dialer) => prove(Identity.generate(), 'acceptor', acceptor, dialer),
    ],
    [
      'an old proof',
      (acceptor) => prove(expected, 'acceptor', acceptor, introduce(Identity.generate(), random)),
    ],
  ])('is sent no message with %s for the key that it shows', async (_what, proveBadly) => {
    const requests: number[] = [];
    const address = await impostor(async (peer) => {
      const acceptor = introduce(expected, random);
      peer.send(FrameType.challenge, 0, encodeIntroduction(acceptor));
      const { dialer, proof } = parseAnswer((await peer.next()).body);
      peer.send(FrameType.welcome, 0, proveBadly(acceptor, dialer, proof));
      await peer.closeCode();
      requests.push(...peer.frames.map(({ type }) => type));
    });
    await expect(ask(address)).rejects.toMatchObject({ code: 'KAD_IDENTITY_MISMATCH' });
    expect(requests).toEqual([]);
  });

  /** A node that proves who it is and then does what a test tells it. */
  const proved = (act: (peer: RawPeer, id: number) => void) =>
    impostor(async (peer) => {
      const acceptor = introduce(expected, random);
      peer.send(FrameType.challenge, 0, encodeIntroduction(acceptor));
      const { dialer } = parseAnswer((await peer.next()).body);
      peer.send(FrameType.welcome, 0, prove(expected, 'acceptor', acceptor, dialer));
      for (;;) {
        const frame = await peer.next().catch(() => undefined);
        if (frame === undefined) return;
        if (frame.type === FrameType.request) act(peer, frame.id);
      }
    });

  it.each<[string, Uint8Array]>([
    ['a refusal', Buffer.from('{"code":"KAD_REPLAYED","message":"seen"}')],
    ['a refusal that is not JSON', Buffer.from('{')],
    ['a refusal that is null', Buffer.from('null')],
    ['an endless refusal', Buffer.alloc(200_000, 97)],
    ['an empty refusal', Buffer.alloc(0)],
  ])('may answer with %s', async (_what, body) => {
    const address = await proved((peer, id) => peer.send(FrameType.error, id, body));
    await expect(ask(address)).rejects.toMatchObject({ code: 'KAD_REMOTE' });
  });

  it('cannot answer with more than a message', async () => {
    const address = await proved((peer, id) =>
      peer.socket.send(
        concatBytes(encodeFrame(4, id, new Uint8Array(MAX_MESSAGE_SIZE)), random(1)),
      ),
    );
    await expect(ask(address)).rejects.toMatchObject({ code: 'KAD_UNREACHABLE' });
  });

  it('cannot answer for another question, or twice', async () => {
    const address = await proved((peer, id) => {
      peer.send(FrameType.response, id + 1, Uint8Array.of(1));
      peer.send(FrameType.response, id, Uint8Array.of(2));
      peer.send(FrameType.response, id, Uint8Array.of(3));
    });
    expect([...(await ask(address))]).toEqual([2]);
  });

  it('is dialled anew when it has gone without a word', async () => {
    let connections = 0;
    const address = await impostor(async (peer) => {
      connections += 1;
      const acceptor = introduce(expected, random);
      peer.send(FrameType.challenge, 0, encodeIntroduction(acceptor));
      const { dialer } = parseAnswer((await peer.next()).body);
      peer.send(FrameType.welcome, 0, prove(expected, 'acceptor', acceptor, dialer));
      // The first one never answers, not even a ping.
      if (connections === 1) return;
      const { id } = await peer.next();
      peer.send(FrameType.response, id, Uint8Array.of(connections));
    });
    const { transport } = await startClient({ limits: { helloMs: 1_500 } });
    const to = { nodeId: expected.nodeId, addresses: [address] };
    // A question without an answer has the connection pinged. On a busy machine the first may be given up
    // before the connection stands, so that it takes another one.
    const ask = () => transport.request(to, random(5), { timeoutMs: 1_500 });
    await expect(ask()).rejects.toMatchObject({ code: 'KAD_TIMEOUT' });
    let answer: Uint8Array | undefined;
    while (answer === undefined) answer = await ask().catch(() => undefined);
    expect([...answer]).toEqual([2]);
  });
});

describe('inside TLS', () => {
  async function startBeside() {
    const identity = Identity.generate();
    const credentials = await createTlsCredentials(identity);
    const first = new HttpsTransport({ credentials, listen: { host, port: 0 } });
    const sockets = new WebSocketTransport({
      identity,
      credentials,
      listener: WebSocketListener.beside(first),
    });
    const transport = new CombinedTransport([first, sockets]);
    cleanups.push(() => transport.close());
    await transport.listen(echo);
    return { identity, credentials, first, sockets, transport };
  }

  it('a node has one port for both transports', async () => {
    const { transport, identity, sockets } = await startBeside();
    const [first, second] = transport.addresses;
    expect(second).toBe(first!.replace('https:', 'wss:'));
    const other = await startBeside();
    const peer = { nodeId: identity.nodeId, addresses: [second!] };
    await other.sockets.request(peer, random(9));
    expect(sockets.isConnected(other.identity.nodeId)).toBe(true);
    await other.first.request({ ...peer, addresses: [first!] }, random(9));
  });

  it('a client needs no certificate, and must not show that of another', async () => {
    const { sockets, identity } = await startBeside();
    const peer = { nodeId: identity.nodeId, addresses: sockets.addresses };
    const bare = await startClient();
    await bare.transport.request(peer, random(9));
    const wrong = new WebSocketTransport({
      identity: Identity.generate(),
      credentials: await createTlsCredentials(Identity.generate()),
    });
    cleanups.push(() => wrong.close());
    await expect(wrong.request(peer, random(9))).rejects.toMatchObject({
      code: 'KAD_UNREACHABLE',
      message: expect.stringContaining('KAD_IDENTITY_MISMATCH') as string,
    });
  });

  it('refuses a server whose certificate names another node, or nobody', async () => {
    const other = await startBeside();
    const { transport } = await startClient();
    await expect(
      transport.request(
        { nodeId: Identity.generate().nodeId, addresses: other.sockets.addresses },
        random(9),
      ),
    ).rejects.toMatchObject({ code: 'KAD_IDENTITY_MISMATCH' });
    const directory = mkdtempSync(join(tmpdir(), 'granary-tls-'));
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
        ...['-keyout', join(directory, 'key'), '-out', join(directory, 'cert'), '-subj', '/CN=x'],
      ],
      { stdio: 'ignore' },
    );
    const identity = Identity.generate();
    const tls = {
      key: readFileSync(join(directory, 'key'), 'utf8'),
      cert: readFileSync(join(directory, 'cert'), 'utf8'),
    };
    const self = new WebSocketTransport({
      identity,
      listener: WebSocketListener.standalone({ host, port: 0, tls }),
    });
    cleanups.push(() => self.close());
    await self.listen(echo);
    expect(self.addresses[0]).toMatch(/^wss:/);
    await expect(
      transport.request({ nodeId: identity.nodeId, addresses: self.addresses }, random(9)),
    ).rejects.toMatchObject({ code: 'KAD_BAD_CERTIFICATE' });
  });

  it('refuses a server that proves another identity than its certificate’s', async () => {
    const holder = Identity.generate();
    const credentials = await createTlsCredentials(holder);
    const server = https.createServer({
      ...credentials,
      requestCert: true,
      rejectUnauthorized: false,
    });
    const sockets = new WebSocketServer({ server });
    server.listen(0, host);
    await once(server, 'listening');
    cleanups.push(() => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      server.close();
    });
    sockets.on('connection', (socket) => {
      const peer = new RawPeer(socket);
      const other = introduce(Identity.generate(), random);
      peer.send(FrameType.challenge, 0, encodeIntroduction(other));
    });
    const { transport } = await startClient();
    await expect(
      transport.identify(`wss://${host}:${(server.address() as AddressInfo).port}`),
    ).rejects.toMatchObject({ code: 'KAD_IDENTITY_MISMATCH' });
  });
});

describe('the transport', () => {
  it('asks a node without addresses over the connection that it opened', async () => {
    const server = await startServer();
    const client = await startClient({
      handler: (message) => Promise.resolve(message.map((byte) => byte ^ 1)),
    });
    await expect(server.transport.request(client.peer, Uint8Array.of(2))).rejects.toMatchObject({
      code: 'KAD_UNREACHABLE',
    });
    await client.transport.request(server.peer, random(3));
    expect(server.transport.isConnected(client.peer.nodeId)).toBe(true);
    expect([...(await server.transport.request(client.peer, Uint8Array.of(2)))]).toEqual([3]);
    await client.transport.close();
    while (server.transport.isConnected(client.peer.nodeId)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await expect(server.transport.request(client.peer, Uint8Array.of(2))).rejects.toMatchObject({
      code: 'KAD_UNREACHABLE',
    });
  });

  it('uses one connection for all that two nodes have to say', async () => {
    const server = await startServer();
    const client = await startClient();
    await Promise.all(
      Array.from({ length: 50 }, () => client.transport.request(server.peer, random(10))),
    );
    for (let i = 0; i < 20; i += 1) await server.transport.request(client.peer, random(10));
    await client.transport.identify(server.address);
    expect(client.transport.connections).toBeLessThanOrEqual(2);
    expect(server.sockets.connections).toBeLessThanOrEqual(2);
  });

  it('has questions wait behind those under way, and refuses too many', async () => {
    let most = 0;
    let under = 0;
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const server = await startServer({
      handler: async (message) => {
        most = Math.max(most, (under += 1));
        await gate;
        under -= 1;
        return message;
      },
    });
    const client = await startClient({ limits: { maxInFlight: 4, maxQueued: 6 } });
    await client.transport.identify(server.address);
    const calls = Array.from({ length: 12 }, (_, i) =>
      client.transport.request(server.peer, Uint8Array.of(i)),
    );
    const results = Promise.allSettled(calls);
    await expect(calls[11]).rejects.toMatchObject({ code: 'KAD_BUSY' });
    while (under < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    release();
    const done = await results;
    expect(done.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    expect(most).toBe(4);
  });

  it('closes connections that it does not use, and opens them again', async () => {
    const server = await startServer();
    const client = await startClient({ limits: { idleMs: 50, pingMs: 20 } });
    await client.transport.request(server.peer, random(4));
    while (client.transport.connections > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await client.transport.request(server.peer, random(4));
  });

  it('keeps no more connections than it may, and closes the one unused for longest', async () => {
    const servers = await Promise.all([startServer(), startServer(), startServer()]);
    const client = await startClient({ limits: { maxDialed: 2 } });
    for (const { peer } of servers) await client.transport.request(peer, random(4));
    expect(client.transport.isConnected(servers[0]!.peer.nodeId)).toBe(false);
    expect(client.transport.isConnected(servers[2]!.peer.nodeId)).toBe(true);
    await client.transport.request(servers[0]!.peer, random(4));
  });

  it('does not dial addresses of other transports', async () => {
    const server = await startServer();
    const { transport } = await startClient();
    await expect(transport.identify('https://127.0.0.1:1')).rejects.toMatchObject({
      code: 'KAD_BAD_ADDRESS',
    });
    const { nodeId } = server.peer;
    await expect(
      transport.request({ nodeId, addresses: ['https://127.0.0.1:1'] }, random(4)),
    ).rejects.toMatchObject({ code: 'KAD_BAD_ADDRESS' });
    const addresses = ['https://127.0.0.1:1', ...server.peer.addresses];
    await transport.request({ nodeId, addresses }, random(4));
  });

  it('carries a network of nodes', async () => {
    const nodes: KademliaNode[] = [];
    for (let i = 0; i < 6; i += 1) {
      const identity = Identity.generate();
      const listener = WebSocketListener.standalone({ host, port: 0 });
      const node = new KademliaNode({
        identity,
        transport: new WebSocketTransport({ identity, ...(i < 5 && { listener }) }),
        storage: new MemoryValueStore(),
      });
      cleanups.push(() => node.stop());
      await node.start();
      if (i > 0) await node.join(nodes[0]!.contact.addresses);
      nodes.push(node);
    }
    const { key, stored } = await nodes[5]!.put(Buffer.from('over WebSockets'));
    expect(stored).toBe(5);
    expect(Buffer.from(await nodes[3]!.get(key)).toString()).toBe('over WebSockets');
    expect(nodes[0]!.contacts()).toHaveLength(4);
  });
});
