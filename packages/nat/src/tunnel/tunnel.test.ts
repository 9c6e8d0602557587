import { createServer, connect } from 'node:net';
import { type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type Clock,
  dialTls,
  directDialer,
  parseAddress,
  routeUpgrades,
  systemClock,
} from '@granary/kad';
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

/** The system's clock, that can be put ahead. */
class HastyClock implements Clock {
  ahead = 0;
  now = () => Date.now() + this.ahead;
  setTimeout = systemClock.setTimeout.bind(systemClock);
  clearTimeout = systemClock.clearTimeout.bind(systemClock);
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

  /** Accounts that give credit for some bytes, and a purse that pays when it is told to. */
  function money(credit: number) {
    let paid = 0;
    let signed = 0;
    const seen = {
      bills: [] as Carried[],
      ended: [] as Carried[],
      held: 0,
      noted: [] as unknown[],
    };
    const accounts: TunnelAccounts = {
      price: { price: '7', currency: 'credit', payment: { how: 'in kind' } },
      meterBytes: 100_000,
      owing: () => [{ session: 'of yesterday' }],
      bill: (_client, carried) => {
        seen.bills.push(carried);
        return Promise.resolve(carried);
      },
      receipt: (_client, receipt) => {
        signed = (receipt as Carried).bytes;
        return Promise.resolve({ signed });
      },
      check: (_client, { bytes }, next) => {
        if (bytes + next > paid + credit) throw new Error('pay for what was carried');
      },
      ended: (_client, carried) => seen.ended.push(carried),
    };
    const purse: TunnelPurse = {
      affords: ({ price, payment }) => price === '7' && payment !== undefined,
      sign: (_tunnel, _price, bill, own) =>
        Promise.resolve((bill as Carried).session === own.session ? bill : undefined),
      noted: (_tunnel, receipt) => Promise.resolve(void seen.noted.push(receipt)),
      held: () => (seen.held += 1),
      ended: () => undefined,
    };
    return { accounts, purse, seen, signed: () => signed, pay: () => (paid = signed) };
  }

  it('is paid by receipts for what both sides have counted', async () => {
    const { accounts, purse, seen, signed } = money(Infinity);
    const { at, server } = await tunnel({ accounts });
    expect(server.terms).toMatchObject({ price: '7', currency: 'credit' });
    const client = await echoing();
    const asking = await node();
    // Nothing is paid by who has not agreed to the price.
    await expect(openTunnel(client, at)).rejects.toMatchObject({ code: 'NAT_TUNNEL_UNPAID' });
    const paying = await openTunnel(client, at, { purse });
    const socket = await echoSocket(paying.address, client, asking);
    expect(await roundTrip(socket, 500_000)).toBe(true);
    socket.destroy();
    await expect.poll(() => seen.noted.length).toBeGreaterThan(2);
    await expect.poll(() => server.stats.connections).toBe(0);
    await server.close();
    // The last bill comes before the end.
    await expect.poll(() => seen.ended.at(-1)?.bytes).toBe(signed());
    expect(signed()).toBe(server.stats.bytes);
    expect(seen.ended.map(({ session }) => session)).toContain(seen.bills[0]!.session);
    expect(new Set(seen.bills.map(({ session }) => session)).size).toBe(1);
  });

  it('carries not one byte beyond the credit, and goes on when it is paid', async () => {
    const credit = 700_000;
    const { accounts, purse, seen, pay } = money(credit);
    const { at, server } = await tunnel({ accounts });
    const client = await echoing();
    const paying = await openTunnel(client, at, { purse });
    const socket = await echoSocket(paying.address, client, await node());
    const sent = roundTrip(socket, 2_000_000);
    await expect.poll(() => seen.held).toBe(1);
    const stopped = server.stats.bytes;
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(server.stats.bytes).toBe(stopped);
    expect(stopped).toBeLessThanOrEqual(credit);
    expect(stopped).toBeGreaterThan(credit / 2);
    const paid = setInterval(pay, 20);
    cleanups.push(() => clearInterval(paid));
    expect(await sent).toBe(true);
    expect(server.stats.bytes).toBeGreaterThan(4_000_000);
    expect(server.stats.clients).toBe(1);
    paying.close();
  });

  it('ends a client that does not pay, and is left by one that disputes its bills', async () => {
    const clock = new HastyClock();
    const { accounts, purse, seen } = money(300_000);
    const { at } = await tunnel({ accounts, clock });
    const client = await echoing();
    const asking = await node();
    const owing = await openTunnel(client, at, { purse });
    const socket = await echoSocket(owing.address, client, asking);
    roundTrip(socket, 500_000).catch(() => undefined);
    await expect.poll(() => seen.held).toBe(1);
    clock.ahead = 60_000;
    expect(await owing.closed).toMatchObject({
      code: 'NAT_TUNNEL_UNPAID',
      message: 'pay for what was carried',
    });
    const generous = await tunnel({ accounts: money(Infinity).accounts });
    const disputing = await openTunnel(client, generous.at, {
      purse: { ...purse, sign: () => Promise.reject(new Error('that is not what was agreed')) },
    });
    expect(await disputing.closed).toMatchObject({
      code: 'NAT_TUNNEL_UNPAID',
      message: 'that is not what was agreed',
    });
  });

  it('cuts off who sends receipts without end', async () => {
    const { accounts, purse } = money(Infinity);
    const { at } = await tunnel({
      accounts: { ...accounts, receipt: () => new Promise(() => undefined) },
    });
    const client = await echoing();
    const opened = await openTunnel(client, at, { purse });
    const mux = (opened as unknown as { mux(): { say(message: unknown): void } }).mux();
    for (let i = 0; i < 50; i += 1) mux.say({ type: 'receipt', receipt: i });
    expect(await opened.closed).toMatchObject({ code: 'NAT_TUNNEL_CLOSED' });
  });
});
