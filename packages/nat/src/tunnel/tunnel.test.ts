import { createServer, connect } from 'node:net';
import { type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { dialTls, directDialer, parseAddress, routeUpgrades } from '@granary/kad';
import type { Carried, TunnelAccounts, TunnelPurse } from './tunnel-accounts.js';
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

async function tunnel(options: Parameters<typeof tunnelAt>[1] = {}) {
  const at = await node();
  const server = tunnelAt(at, options);
  cleanups.push(() => server.close());
  const peer = { nodeId: at.identity.nodeId, address: at.address, port: at.port };
  return { at: peer, server };
}

/** A client of a tunnel that answers upgrades at /echo with what it is sent. */
async function echoing(): Promise<TestNode> {
  const made = await node({ announce: [] });
  routeUpgrades(made.transport.server!, '/echo', (_request, socket) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n',
    );
    socket.pipe(socket);
  });
  return made;
}

async function echoSocket(address: string, to: TestNode, from: TestNode): Promise<TLSSocket> {
  const { host, port } = parseAddress(address);
  const { credentials } = from;
  const socket = await dialTls({
    dialer: directDialer,
    host,
    port,
    credentials,
    expectedNodeId: to.identity.nodeId,
  });
  socket.on('error', () => socket.destroy());
  socket.write('GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  await new Promise((resolve, reject) => {
    socket.once('data', resolve);
    socket.once('close', () => reject(new Error('closed')));
  });
  return socket;
}

/** Send bytes and take them back: whether they are the same. */
async function roundTrip(socket: TLSSocket, size: number): Promise<boolean> {
  const bytes = Buffer.alloc(size, 'granary tunnel ');
  const parts: Buffer[] = [];
  let got = 0;
  const all = new Promise<void>((resolve, reject) => {
    socket.on('data', (part: Buffer) => {
      parts.push(part);
      got += part.length;
      if (got >= size) resolve();
    });
    socket.once('close', () => reject(new Error(`closed after ${got} bytes`)));
  });
  socket.write(bytes);
  await all;
  return Buffer.concat(parts).equals(bytes);
}

describe('a tunnel', () => {
  it('makes a node that announces nothing reachable, end to end', async () => {
    const { at, server } = await tunnel();
    const client = await node({ announce: [] });
    const opened = await openTunnel(client, at);
    cleanups.push(() => opened.close());
    expect(await opened.check()).toBe(true);
    client.node.announce([opened.address]);
    const asking = await node();
    const contact = await asking.node.resolve(opened.address);
    expect(contact.nodeId).toBe(client.identity.nodeId);
    expect(contact.addresses).toEqual([opened.address]);
    expect(server.stats).toMatchObject({ clients: 1, refused: 0 });
    expect(server.stats.bytes).toBeGreaterThan(0);
    expect(opened.stats.bytes).toBeGreaterThan(0);
  });

  it('carries megabytes both ways, unharmed, over several connections', async () => {
    const { at, server } = await tunnel();
    const client = await echoing();
    const opened = await openTunnel(client, at);
    cleanups.push(() => opened.close());
    const asking = await node();
    const sockets = await Promise.all(
      Array.from({ length: 4 }, () => echoSocket(opened.address, client, asking)),
    );
    const results = await Promise.all(sockets.map((socket) => roundTrip(socket, 3_000_000)));
    expect(results).toEqual([true, true, true, true]);
    expect(opened.stats.connections).toBe(4);
    expect(server.stats.bytes).toBeGreaterThan(24_000_000);
    for (const socket of sockets) socket.end();
    await expect.poll(() => opened.stats.connections).toBe(0);
    await expect.poll(() => server.stats.connections).toBe(0);
  });

  it('tells its clients when it stops, and its ports are closed', async () => {
    const { at, server } = await tunnel();
    const client = await node({ announce: [] });
    const opened = await openTunnel(client, at);
    await server.close();
    await opened.going;
    expect((await opened.closed).message).toMatch(/stops/);
    expect(await opened.check()).toBe(false);
    await expect(openTunnel(client, at)).rejects.toMatchObject({ code: 'NAT_TUNNEL_REFUSED' });
  });

  it('gives a client that comes again its address again', async () => {
    const { at, server } = await tunnel();
    const client = await node({ announce: [] });
    const first = await openTunnel(client, at);
    // As after a change of networks: the tunnel has not seen yet that the first is dead.
    const second = await openTunnel(client, at);
    cleanups.push(() => second.close());
    expect(second.address).toBe(first.address);
    expect((await first.closed).message).toMatch(/came again/);
    expect(server.stats.clients).toBe(1);
    expect(await second.check()).toBe(true);
  });

  it('keeps to its limits, and says so', async () => {
    const { at, server } = await tunnel({ limits: { clients: 2, clientsPerAddress: 1 } });
    const [one, two] = [await node({ announce: [] }), await node({ announce: [] })];
    const opened = await openTunnel(one, at);
    cleanups.push(() => opened.close());
    await expect(openTunnel(two, at)).rejects.toThrow(/of your address/);
    expect(server.terms).toMatchObject({ free: 1, load: 0.5 });
    opened.close();
    await expect.poll(() => server.stats.clients).toBe(0);
    const other = await openTunnel(two, at);
    cleanups.push(() => other.close());
    expect(server.stats.refused).toBe(1);
  });

  it('is opened only with the certificate of a node, and only at the node that was meant', async () => {
    const { at, server } = await tunnel();
    const client = await node({ announce: [] });
    const someone = await node();
    const { nodeId } = someone.identity;
    await expect(openTunnel(client, { ...at, nodeId })).rejects.toMatchObject({
      code: 'KAD_IDENTITY_MISMATCH',
    });
    await expect(openTunnel(client, { nodeId, address: someone.address })).rejects.toThrow(
      /no tunnel/,
    );
    const bare = await dialTls({ dialer: directDialer, host: '127.0.0.1', port: at.port });
    bare.write(
      'GET /tunnel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Protocol: granary-tunnel.1\r\n\r\n',
    );
    const answer = await new Promise<string>((resolve) => {
      let said = '';
      bare.on('data', (data) => (said += String(data)));
      bare.once('close', () => resolve(said));
    });
    expect(answer).toMatch(/a client shows a certificate of its node/);
    expect(server.stats.refused).toBe(1);
  });

  it('passes nothing but TLS', async () => {
    const { at, server } = await tunnel({ limits: { firstBytesMs: 200 } });
    const client = await node({ announce: [] });
    const opened = await openTunnel(client, at);
    cleanups.push(() => opened.close());
    const { host, port } = parseAddress(opened.address);
    const said = (text: string) =>
      new Promise<string>((resolve) => {
        let got = '';
        const socket = connect({ host, port });
        socket.on('data', (data) => (got += String(data)));
        socket.on('error', () => undefined);
        socket.once('close', () => resolve(got));
        if (text !== '') socket.write(text);
      });
    expect(await said('GET / HTTP/1.1\r\nHost: x\r\n\r\n')).toBe('');
    // Who says nothing is not kept.
    expect(await said('')).toBe('');
    expect(opened.stats.connections).toBe(0);
    expect(server.stats.refused).toBe(1);
  });

  it('takes another port when the preferred one is taken', async () => {
    const { at } = await tunnel();
    const client = await node({ announce: [] });
    const first = await openTunnel(client, at);
    const { host, port } = parseAddress(first.address);
    first.close();
    await first.closed;
    const squatter = createServer();
    await expect
      .poll(
        () =>
          new Promise((resolve) => {
            squatter.once('error', () => resolve(false));
            squatter.listen({ host, port }, () => resolve(true));
          }),
      )
      .toBe(true);
    cleanups.push(() => squatter.close());
    const second = await openTunnel(client, at);
    cleanups.push(() => second.close());
    expect(parseAddress(second.address).port).not.toBe(port);
    expect(await second.check()).toBe(true);
  });

  it('is paid by receipts for what both sides have counted, or ends', async () => {
    const receipts: { client: string; told: number; signed: unknown }[] = [];
    const accounts: TunnelAccounts = {
      price: '7',
      currency: 'credit',
      receipt: (client, carried, receipt) => {
        receipts.push({ client: client.nodeId, told: carried.bytes, signed: receipt });
        return Promise.resolve((receipt as Carried).bytes);
      },
      check: (_client, unsigned) => {
        if (unsigned > 600_000) throw new Error('sign for what was carried');
      },
    };
    const { at, server } = await tunnel({ accounts, limits: { meterBytes: 200_000 } });
    expect(server.terms).toMatchObject({ price: '7', currency: 'credit' });
    const client = await echoing();
    const asking = await node();
    // Nothing is paid by who has not agreed to the price.
    await expect(openTunnel(client, at)).rejects.toMatchObject({ code: 'NAT_TUNNEL_UNPAID' });
    const purse: TunnelPurse = {
      maxPrice: 7n,
      currency: 'credit',
      sign: (_tunnel, carried) => Promise.resolve(carried),
    };
    const paying = await openTunnel(client, at, { purse });
    const socket = await echoSocket(paying.address, client, asking);
    expect(await roundTrip(socket, 500_000)).toBe(true);
    socket.destroy();
    await expect.poll(() => receipts.length).toBeGreaterThan(2);
    for (const { client: payer, told, signed } of receipts) {
      expect(payer).toBe(client.identity.nodeId);
      expect(signed).toMatchObject({ price: '7', currency: 'credit' });
      expect((signed as Carried).bytes).toBeLessThanOrEqual(told);
      expect(told).toBeLessThanOrEqual(server.stats.bytes);
    }
    expect(paying.stats.bytes).toBeGreaterThanOrEqual((receipts.at(-1)!.signed as Carried).bytes);
    paying.close();
    await paying.closed;
    const owing = await openTunnel(client, at, {
      purse: { ...purse, sign: () => Promise.reject(new Error('no money')) },
    });
    const other = await echoSocket(owing.address, client, asking);
    roundTrip(other, 500_000).catch(() => undefined);
    expect(await owing.closed).toMatchObject({
      code: 'NAT_TUNNEL_UNPAID',
      message: 'sign for what was carried',
    });
  });
});
