import { once } from 'node:events';
import { type Socket, connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { dialTls, directDialer, parseAddress, routeUpgrades } from '@granary/kad';
import { FrameFlag, FrameType, encodeFrame } from './mux-frame.js';
import { TUNNEL_PATH, TUNNEL_SUBPROTOCOL } from './tunnel-messages.js';
import { type TestNode, openTunnel, startNode, tunnelAt } from './tunnel.test-support.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function node(...args: Parameters<typeof startNode>): Promise<TestNode> {
  const made = await startNode(...args);
  cleanups.push(() => made.node.stop());
  return made;
}

/** A node that takes clients as a tunnel does, and then does as the test likes. */
async function lyingTunnel(behave: (socket: WebSocket) => void) {
  const liar = await node();
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: () => TUNNEL_SUBPROTOCOL,
  });
  routeUpgrades(liar.transport.server!, TUNNEL_PATH, (request, socket, head) =>
    sockets.handleUpgrade(request, socket, head, behave),
  );
  return { nodeId: liar.identity.nodeId, address: liar.address };
}

function welcome(port: number, more: object = {}): string {
  const session = 'ab'.repeat(16);
  return JSON.stringify({
    type: 'welcome',
    session,
    port,
    price: '0',
    currency: 'credit',
    ...more,
  });
}

/** A tunnel that does all right, and a client of it that counts what it is asked. */
async function honest(options: Parameters<typeof tunnelAt>[1] = {}) {
  const at = await node();
  const server = tunnelAt(at, options);
  cleanups.push(() => server.close());
  const client = await node({ announce: [] });
  let requests = 0;
  let inFlight: Duplex | undefined;
  routeUpgrades(client.transport.server!, '/flood', (_request, socket) => {
    requests += 1;
    inFlight = socket;
    socket.on('error', () => undefined);
    const chunk = Buffer.alloc(256 * 1024);
    const pour = () => {
      while (!socket.destroyed && socket.write(chunk));
      socket.once('drain', pour);
    };
    pour();
  });
  const opened = await openTunnel(client, { nodeId: at.identity.nodeId, address: at.address });
  cleanups.push(() => opened.close());
  return { at, server, client, opened, requests: () => requests, inFlight: () => inFlight };
}

/** A TCP relay whose bytes may be changed on the way. */
async function relayTo(
  port: number,
  change: (chunk: Buffer, up: boolean) => Buffer | undefined,
): Promise<number> {
  const server = createServer((from) => {
    const to = connect(port, '127.0.0.1');
    const pass = (a: Socket, b: Socket, up: boolean) => {
      a.on('data', (chunk: Buffer) => {
        const changed = change(chunk, up);
        if (changed !== undefined) b.write(changed);
      });
      a.on('error', () => undefined);
      a.on('close', () => b.destroy());
    };
    pass(from, to, true);
    pass(to, from, false);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

describe('against a hostile tunnel, a client', () => {
  it('does not take an address at which nobody is, or somebody else', async () => {
    const client = await node({ announce: [] });
    const other = await node();
    const nobody = await openTunnel(client, await lyingTunnel((socket) => socket.send(welcome(9))));
    expect(await nobody.check()).toBe(false);
    nobody.close();
    const impostor = await openTunnel(
      client,
      await lyingTunnel((socket) => socket.send(welcome(other.port))),
    );
    expect(await impostor.check()).toBe(false);
    impostor.close();
  });

  it("never announces another's host, whatever the tunnel says", async () => {
    const client = await node({ announce: [] });
    const evil = { host: 'victim.example', address: 'https://victim.example:443' };
    const tunnel = await lyingTunnel((socket) => socket.send(welcome(443, evil)));
    const opened = await openTunnel(client, tunnel);
    expect(opened.address).toBe('https://127.0.0.1:443');
    opened.close();
  });

  it('leaves one that counts more than it carried, opens streams without end, or speaks rubbish', async () => {
    const client = await node({ announce: [] });
    const meter = JSON.stringify({ type: 'meter', bytes: 10 ** 12 });
    const syn = (id: number) => encodeFrame(FrameType.windowUpdate, FrameFlag.syn, id, 0);
    const flood = (socket: WebSocket) => {
      for (let i = 0; i < 2_000; i += 1) socket.send(syn(1 + 2 * i));
    };
    for (const [behave, message] of [
      [(socket) => socket.send(meter), /says that it carried/],
      [flood, /without end/],
      [(socket) => socket.send('{"type":"meter","bytes":-1}'), /wrong count/],
      [(socket) => socket.send('x'.repeat(20_000)), /too long/],
      [(socket) => socket.send(welcome(1)), /welcomes twice/],
    ] as [(socket: WebSocket) => void, RegExp][]) {
      const tunnel = await lyingTunnel((socket) => {
        socket.send(welcome(9));
        setTimeout(() => behave(socket), 50);
      });
      const opened = await openTunnel(client, tunnel);
      const reason = await opened.closed;
      expect(reason.message).toMatch(message);
      expect(reason.code).toBe('NAT_TUNNEL_PROTOCOL');
    }
    // Whatever was opened towards our own server is closed again.
    await expect
      .poll(() => new Promise((done) => client.transport.server!.getConnections((_, n) => done(n))))
      .toBe(0);
  });

  it('does not wait for one that keeps silent, before the welcome or after', async () => {
    const client = await node({ announce: [] });
    const mute = await lyingTunnel(() => undefined);
    const limits = { openMs: 500, pingMs: 100, pongMs: 200 };
    await expect(openTunnel(client, mute, { limits })).rejects.toMatchObject({
      code: 'NAT_TUNNEL_CLOSED',
    });
    const numb = await lyingTunnel((socket) => socket.send(welcome(9)));
    const opened = await openTunnel(client, numb, { limits });
    expect((await opened.closed).message).toMatch(/does not answer/);
  });

  it('pays nothing that it has not agreed to', async () => {
    const client = await node({ announce: [] });
    const dear = await lyingTunnel((socket) => socket.send(welcome(9, { price: '7' })));
    await expect(openTunnel(client, dear)).rejects.toMatchObject({ code: 'NAT_TUNNEL_UNPAID' });
  });
});

describe('through a hostile tunnel, two nodes', () => {
  it('notice every bit that is altered, and take no byte of it', async () => {
    const { client, opened, requests } = await honest();
    const asking = await node();
    const { port } = parseAddress(opened.address);
    for (const where of [60, 400, 900]) {
      let passed = 0;
      const through = await relayTo(port, (chunk, up) => {
        const begin = passed;
        if (up) passed += chunk.length;
        if (!up || where < begin || where >= passed) return chunk;
        const altered = Buffer.from(chunk);
        altered[where - begin]! ^= 1;
        return altered;
      });
      const address = `https://127.0.0.1:${through}/${client.identity.nodeId}`;
      await expect(asking.node.resolve(address, { timeoutMs: 2_000 })).rejects.toThrow();
    }
    expect(requests()).toBe(0);
  });

  it('are not moved by what is replayed', async () => {
    const { client, opened, requests } = await honest();
    const asking = await node();
    const { port } = parseAddress(opened.address);
    const recorded: Buffer[] = [];
    const through = await relayTo(port, (chunk, up) => {
      if (up) recorded.push(chunk);
      return chunk;
    });
    const socket = await dialTls({
      dialer: directDialer,
      host: '127.0.0.1',
      port: through,
      credentials: asking.credentials,
      expectedNodeId: client.identity.nodeId,
    });
    socket.write('GET /flood HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    await expect.poll(requests).toBe(1);
    socket.destroy();
    const replay = connect(port, '127.0.0.1');
    replay.on('error', () => undefined);
    replay.resume();
    for (const chunk of recorded) replay.write(chunk);
    await once(replay, 'close');
    expect(requests()).toBe(1);
  });

  it('find out when the tunnel answers in the place of the other', async () => {
    const impostor = await node();
    const client = await node({ announce: [] });
    const asking = await node();
    const address = `https://127.0.0.1:${impostor.port}/${client.identity.nodeId}`;
    await expect(asking.node.resolve(address)).rejects.toMatchObject({
      code: 'KAD_IDENTITY_MISMATCH',
    });
  });
});

describe('a tunnel', () => {
  it('cuts off a stranger that asks for much and reads nothing, and holds little for it', async () => {
    const { client, opened, server, inFlight } = await honest({ limits: { stallMs: 400 } });
    const { host, port } = parseAddress(opened.address);
    const expectedNodeId = client.identity.nodeId;
    const slow = await dialTls({ dialer: directDialer, host, port, expectedNodeId });
    slow.on('error', () => undefined);
    slow.pause();
    slow.write('GET /flood HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    await expect.poll(() => server.stats.bytes).toBeGreaterThan(100_000);
    // Others are served meanwhile.
    expect(await opened.check()).toBe(true);
    await expect.poll(() => server.stats.connections, { timeout: 10_000 }).toBe(0);
    await expect.poll(() => inFlight()?.destroyed).toBe(true);
    // Buffers of the kernel on both sides of the tunnel, and one window.
    expect(server.stats.bytes).toBeLessThan(24_000_000);
  });

  it('bounds how many strangers come, from one address and in all, and how fast', async () => {
    const limits = { connectionsPerClient: 12, connectionsPerAddress: 5, newPerSecond: 100 };
    const { opened, server } = await honest({ limits });
    const { host, port } = parseAddress(opened.address);
    const strangers = Array.from({ length: 20 }, () => connect({ host, port }));
    for (const one of strangers) one.on('error', () => undefined);
    await expect.poll(() => server.stats.refused).toBe(15);
    expect(server.stats.connections).toBe(5);
    for (const one of strangers) one.destroy();
    await expect.poll(() => server.stats.connections).toBe(0);
  });

  it('keeps a client to its bytes a second', async () => {
    const rate = 2_000_000;
    const { client, opened, server } = await honest({ limits: { bytesPerSecondEach: rate } });
    const { host, port } = parseAddress(opened.address);
    const expectedNodeId = client.identity.nodeId;
    const begin = Date.now();
    const greedy = await dialTls({ dialer: directDialer, host, port, expectedNodeId });
    greedy.on('error', () => undefined);
    greedy.resume();
    greedy.write('GET /flood HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    await expect.poll(() => server.stats.bytes, { timeout: 20_000 }).toBeGreaterThan(2 * rate);
    const seconds = (Date.now() - begin) / 1000;
    // A second's worth at once, then the rate; a slow machine makes it less, never more.
    expect(server.stats.bytes).toBeLessThan(rate * (1 + seconds) + 300_000);
    greedy.destroy();
  });

  it('cuts off a client that opens streams, without end or at all', async () => {
    const { server, at, client } = await honest();
    const { WebSocket } = await import('ws');
    const tls = await dialTls({
      dialer: directDialer,
      host: '127.0.0.1',
      port: at.port,
      credentials: client.credentials,
    });
    const socket = new WebSocket(`wss://127.0.0.1:${at.port}${TUNNEL_PATH}`, TUNNEL_SUBPROTOCOL, {
      createConnection: () => tls,
    });
    await once(socket, 'message');
    expect(server.stats.clients).toBe(1);
    socket.send(encodeFrame(FrameType.windowUpdate, FrameFlag.syn, 2, 0));
    const [code] = (await once(socket, 'close')) as [number];
    expect(code).toBe(1002);
    await expect.poll(() => server.stats.clients).toBe(0);
  });
});
