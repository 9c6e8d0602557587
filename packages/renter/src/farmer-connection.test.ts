import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Server, createServer } from 'node:https';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  type Contact,
  Identity,
  ShortLivedBuffers,
  createTlsCredentials,
  systemClock,
  systemRandom,
} from '@granary/kad';
import {
  MAX_DATA_FRAME,
  STREAM_LEVEL,
  ShardTree,
  TRANSFER_SUBPROTOCOL,
  type TransferRequest,
  type TransferToken,
  nodeSpan,
  signReceipt,
  toHex,
} from '@granary/protocol';
import { type ConnectionContext, FarmerConnection } from './farmer-connection.js';

const renter = Identity.generate();
const farmer = Identity.generate();
const shard = new Uint8Array(randomBytes(3 * 1024 * 1024));
const tree = ShardTree.of(shard);
const place = { contract: 'ab'.repeat(32), hash: toHex(tree.root()), size: shard.length };
const whole = { offset: 0, length: shard.length, level: STREAM_LEVEL };

/** A farmer made by hand: its end of a renter's connection. */
interface End {
  readonly webSocket: WebSocket;
  readonly stream: Duplex;
  next(): Promise<TransferRequest>;
  say(answer: object): void;
  /** Begin to answer a download, up to the bytes. @returns the token */
  begin(request: TransferRequest): TransferToken;
  sign(token: TransferToken, bytes: number): void;
}

let connection: FarmerConnection;
let end: End;
let server: Server;
let contact: Contact;
let context: ConnectionContext;
/** What the renter fetches into, and what it has given back. */
let memory: Uint8Array[];
let given: Uint8Array[];
const engine = {
  shardBuffer: (size: number) => {
    memory.push(new Uint8Array(new SharedArrayBuffer(size)));
    return memory.at(-1)!;
  },
  recycleShard: (bytes: Uint8Array) => void given.push(bytes),
};
const download = (signal = new AbortController().signal) =>
  connection.download(place, whole, () => undefined, signal, engine);
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

beforeEach(async () => {
  [memory, given] = [[], []];
  const { key, cert } = await createTlsCredentials(farmer);
  server = createServer({ key, cert, requestCert: true, rejectUnauthorized: false });
  const sockets = new WebSocketServer({ noServer: true });
  sockets.options.handleProtocols = () => TRANSFER_SUBPROTOCOL;
  const made = new Promise<End>((resolve) =>
    server.on('upgrade', (request, stream, head) =>
      sockets.handleUpgrade(request, stream, head, (webSocket) =>
        resolve(endOf(webSocket, stream)),
      ),
    ),
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const addresses = [`https://127.0.0.1:${port}`];
  contact = { nodeId: farmer.nodeId, publicKey: toHex(farmer.publicKey), addresses } as never;
  context = {
    identity: renter,
    credentials: await createTlsCredentials(renter),
    clock: systemClock,
    random: systemRandom,
    connectTimeoutMs: 20_000,
    stallTimeoutMs: 20_000,
    buffers: new ShortLivedBuffers(),
  };
  connection = await FarmerConnection.dial(contact, context);
  end = await made;
});
afterEach(() => {
  connection.close();
  end.webSocket.terminate();
  server.close();
  server.closeAllConnections();
});

function endOf(webSocket: WebSocket, stream: Duplex): End {
  const requests: TransferRequest[] = [];
  let wake = () => undefined as void;
  webSocket.on('message', (data: Buffer) => {
    requests.push(JSON.parse(data.toString()) as TransferRequest);
    wake();
  });
  const say = (answer: object) => webSocket.send(JSON.stringify(answer));
  return {
    webSocket,
    stream,
    say,
    async next() {
      while (requests.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return requests.shift()!;
    },
    begin(request) {
      const last = Math.ceil(shard.length / nodeSpan(STREAM_LEVEL)) - 1;
      const { nodes, siblings } = tree.rangeProof(STREAM_LEVEL, 0, last);
      say({ type: 'data', nodes: nodes.length / 32, siblings: siblings.length / 32 });
      webSocket.send(Buffer.concat([nodes, siblings]));
      return (request as { token: TransferToken }).token;
    },
    sign({ body }, bytes) {
      const { contract, direction, nonce } = body;
      const time = Date.now();
      const receipt = signReceipt(farmer, { contract, direction, bytes, token: nonce, time });
      say({ type: 'sent', receipt });
    },
  };
}

it('is not harmed by who speaks before it was asked', async () => {
  for (const said of ['', 'HTTP/1.1 200 OK\r\n\r\n', '\x82\x7f\x00\x00']) {
    server.once('secureConnection', (socket: Duplex) => {
      socket.write(said || Buffer.alloc(100_000));
    });
    await expect(FarmerConnection.dial(contact, context)).rejects.toThrow(/farmer/);
  }
});

it('has the bytes where they belong, whatever frames they come in', async () => {
  for (const sizes of [[MAX_DATA_FRAME], [65_536], [65_535], [1, 300_000, 100], [123_457]]) {
    const got = download();
    const token = end.begin(await end.next());
    for (let at = 0, i = 0; at < shard.length; i += 1) {
      const frame = shard.subarray(at, at + sizes[i % sizes.length]!);
      end.webSocket.send(frame);
      at += frame.length;
    }
    end.sign(token, shard.length);
    const bytes = await got;
    expect(same(bytes, shard)).toBe(true);
    expect(bytes === memory.at(-1)).toBe(true);
    expect((await end.next()).type).toBe('countersign');
  }
  expect(given).toEqual([]);
});

it('writes nothing more to the memory of a download that was cancelled, and goes on after it', async () => {
  const stopping = new AbortController();
  const got = download(stopping.signal);
  const token = end.begin(await end.next());
  // The header and a part of a frame, when the renter wants no more.
  const frame = shard.subarray(0, 500_000);
  const header = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32BE(frame.length, 6);
  end.stream.write(Buffer.concat([header, frame.subarray(0, 200_000)]));
  await expect
    .poll(() => same(memory[0]!.subarray(0, 200_000), frame.subarray(0, 200_000)))
    .toBe(true);
  stopping.abort(new Error('enough'));
  expect((await end.next()).type).toBe('cancel');
  // The rest of it was on its way, and is paid.
  end.stream.write(frame.subarray(200_000));
  const { contract, direction, nonce } = token.body;
  const body = { contract, direction, bytes: frame.length, token: nonce, time: Date.now() };
  end.say({ type: 'cancelled', receipt: signReceipt(farmer, body) });
  await expect(got).rejects.toThrow('enough');
  expect((await end.next()).type).toBe('countersign');
  expect(given.map((bytes) => memory.indexOf(bytes))).toEqual([0]);

  memory[0]!.fill(7);
  const again = download();
  const next = end.begin(await end.next());
  for (let at = 0; at < shard.length; at += 700_000)
    end.webSocket.send(shard.subarray(at, at + 700_000));
  end.sign(next, shard.length);
  expect(same(await again, shard)).toBe(true);
  expect(memory[0]!.every((byte) => byte === 7)).toBe(true);
});

it('writes nothing to the memory of a download that failed, whatever still comes', async () => {
  const got = download();
  end.begin(await end.next());
  const wrong = shard.slice(0, 200_000);
  wrong[100_000]! ^= 1;
  end.webSocket.send(wrong);
  await expect(got).rejects.toMatchObject({ code: 'RENTER_LYING_FARMER' });
  expect(given.map((bytes) => memory.indexOf(bytes))).toEqual([0]);
  memory[0]!.fill(7);
  for (let i = 0; i < 5; i += 1) end.webSocket.send(shard.subarray(0, 500_000));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(memory[0]!.every((byte) => byte === 7)).toBe(true);
});

it.each([
  ['more bytes than were asked for', [MAX_DATA_FRAME, MAX_DATA_FRAME, MAX_DATA_FRAME - 100, 101]],
  ['a frame that is too large', [MAX_DATA_FRAME + 1]],
  ['an empty frame', [0]],
])('does not take %s', async (_, sizes) => {
  const got = download();
  end.begin(await end.next());
  let at = 0;
  for (const size of sizes) {
    const frame = Buffer.alloc(size);
    frame.set(shard.subarray(at, at + size));
    end.webSocket.send(frame);
    at += size;
  }
  await expect(got).rejects.toMatchObject({ code: 'RENTER_LYING_FARMER' });
  expect(given.map((bytes) => memory.indexOf(bytes))).toEqual([0]);
});
