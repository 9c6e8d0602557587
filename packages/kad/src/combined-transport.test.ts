import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { systemClock } from './clock.js';
import { CombinedTransport } from './combined-transport.js';
import { KadError } from './errors.js';
import type { ExchangeOptions, Peer, Transport } from './transport.js';
import { isUpgradeRouted, refuseUpgrade, routeUpgrades } from './upgrades.js';
import { waitFor } from './wait-for.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Asked {
  readonly addresses: readonly string[];
  readonly timeoutMs: number | undefined;
}

/** A transport for one scheme that answers as it is told, and remembers what it was asked. */
class Scripted implements Transport {
  readonly asked: Asked[] = [];
  connected = false;

  constructor(
    readonly addresses: readonly string[],
    private readonly scheme: string,
    private readonly answer: () => Promise<Uint8Array>,
    private readonly log: string[] = [],
  ) {}

  dials(address: string): boolean {
    return address.startsWith(`${this.scheme}:`);
  }

  isConnected(): boolean {
    return this.connected;
  }

  listen(): Promise<void> {
    this.log.push(`listen ${this.scheme}`);
    return this.scheme === 'bad'
      ? Promise.reject(new KadError('KAD_PORT_IN_USE', 'taken'))
      : Promise.resolve();
  }

  identify(): Promise<string> {
    return Promise.resolve(this.scheme);
  }

  request({ addresses }: Peer, _message: Uint8Array, { timeoutMs }: ExchangeOptions = {}) {
    this.asked.push({ addresses, timeoutMs });
    return this.answer();
  }

  close(): Promise<void> {
    this.log.push(`close ${this.scheme}`);
    return Promise.resolve();
  }
}

const yes = () => Promise.resolve(Uint8Array.of(1));
const fail = (code: ConstructorParameters<typeof KadError>[0]) => () =>
  Promise.reject(new KadError(code, 'scripted'));
const message = Uint8Array.of(7);

describe('a combined transport', () => {
  it('announces the addresses of all, in their order', () => {
    const both = new CombinedTransport([
      new Scripted(['https://a:1'], 'https', yes),
      new Scripted(['ws://a:2', 'wss://a:3'], 'ws', yes),
    ]);
    expect(both.addresses).toEqual(['https://a:1', 'ws://a:2', 'wss://a:3']);
    expect(both.dials('ws://x:1')).toBe(true);
    expect(both.dials('ftp://x:1')).toBe(false);
  });

  it('tries addresses in the order of the contact, each by its transport', async () => {
    const https = new Scripted([], 'https', fail('KAD_UNREACHABLE'));
    const ws = new Scripted([], 'ws', yes);
    const both = new CombinedTransport([https, ws]);
    const addresses = ['https://a:1', 'https://a:2', 'ftp://a:9', 'ws://a:3', 'https://a:4'];
    await both.request({ nodeId: 'n', addresses }, message, { timeoutMs: 9_000 });
    expect(https.asked[0]!.addresses).toEqual(['https://a:1', 'https://a:2']);
    expect(https.asked[0]!.timeoutMs).toBeLessThanOrEqual(3_000);
    expect(ws.asked[0]!.addresses).toEqual(['ws://a:3']);
    expect(https.asked).toHaveLength(1);
  });

  it('goes by an open connection first, and by addresses when that fails', async () => {
    const https = new Scripted([], 'https', yes);
    const ws = new Scripted([], 'ws', fail('KAD_TIMEOUT'));
    ws.connected = true;
    const both = new CombinedTransport([https, ws]);
    expect(both.isConnected('n')).toBe(true);
    await both.request({ nodeId: 'n', addresses: ['https://a:1', 'ws://a:3'] }, message);
    expect(ws.asked[0]!.addresses).toEqual(['ws://a:3']);
    expect(https.asked).toHaveLength(1);
    await expect(both.request({ nodeId: 'n', addresses: [] }, message)).rejects.toMatchObject({
      code: 'KAD_TIMEOUT',
    });
  });

  it.each(['KAD_REMOTE', 'KAD_TOO_LARGE', 'KAD_STOPPED'] as const)(
    'tries no other way after %s',
    async (code) => {
      const ws = new Scripted([], 'ws', yes);
      const both = new CombinedTransport([new Scripted([], 'https', fail(code)), ws]);
      const addresses = ['https://a:1', 'ws://a:2'];
      await expect(both.request({ nodeId: 'n', addresses }, message)).rejects.toMatchObject({
        code,
      });
      expect(ws.asked).toEqual([]);
    },
  );

  it('says when nobody dials an address', async () => {
    const both = new CombinedTransport([new Scripted([], 'https', yes)]);
    await expect(both.identify('ws://a:1')).rejects.toMatchObject({ code: 'KAD_BAD_ADDRESS' });
    expect(await both.identify('https://a:1')).toBe('https');
    const request = (addresses: string[]) => both.request({ nodeId: 'n', addresses }, message);
    await expect(request(['ws://a:1'])).rejects.toMatchObject({ code: 'KAD_BAD_ADDRESS' });
    await expect(request([])).rejects.toMatchObject({ code: 'KAD_UNREACHABLE' });
  });

  it('closes in the other order, and closes those that listen when one cannot', async () => {
    const log: string[] = [];
    const both = new CombinedTransport(
      ['https', 'bad', 'ws'].map((scheme) => new Scripted([], scheme, yes, log)),
    );
    await expect(both.listen(yes)).rejects.toMatchObject({ code: 'KAD_PORT_IN_USE' });
    expect(log).toEqual(['listen https', 'listen bad', 'close ws', 'close bad', 'close https']);
  });
});

describe('upgrades of a server', () => {
  async function start() {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    cleanups.push(() => {
      server.close();
      server.closeAllConnections();
    });
    return { server, url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  const status = (url: string) =>
    new Promise<string>((resolve) => {
      new WebSocket(url).once('error', ({ message: text }) =>
        resolve(/\d{3}/.exec(text)?.[0] ?? text),
      );
    });

  it('go to who takes the path, and else are refused', async () => {
    const { server, url } = await start();
    const end = routeUpgrades(server, '/a', (_request, socket) =>
      refuseUpgrade(socket, '418 Teapot', 'A', 'a'),
    );
    routeUpgrades(server, '/b', (_request, socket) =>
      refuseUpgrade(socket, '409 Conflict', 'B', 'b'),
    );
    expect(await status(`${url}/a?x=1`)).toBe('418');
    expect(await status(`${url}/b`)).toBe('409');
    expect(await status(`${url}/c`)).toBe('404');
    expect(isUpgradeRouted(server, '/a')).toBe(true);
    end();
    expect(isUpgradeRouted(server, '/a')).toBe(false);
    expect(await status(`${url}/a`)).toBe('404');
  });

  it('leave other paths to others who listen on the server', async () => {
    const { server, url } = await start();
    server.on('upgrade', (request, socket) => {
      if (request.url !== '/a') refuseUpgrade(socket, '410 Gone', 'C', 'c');
    });
    routeUpgrades(server, '/a', (_request, socket) =>
      refuseUpgrade(socket, '418 Teapot', 'A', 'a'),
    );
    expect(await status(`${url}/a`)).toBe('418');
    expect(await status(`${url}/c`)).toBe('410');
  });
});

describe('waiting for something', () => {
  const options = {
    signal: undefined,
    timeoutMs: 60_000,
    clock: systemClock,
    what: 'it did not come',
  };
  const never = () => new Promise<never>(() => undefined);

  it('ends with it, with the time, or with the signal', async () => {
    expect(await waitFor(Promise.resolve(5), options)).toBe(5);
    await expect(waitFor(Promise.reject(new Error('x')), options)).rejects.toThrow('x');
    await expect(waitFor(never(), { ...options, timeoutMs: 10 })).rejects.toMatchObject({
      code: 'KAD_TIMEOUT',
      message: 'it did not come in 10 ms',
    });
    const controller = new AbortController();
    const wait = waitFor(never(), { ...options, signal: controller.signal });
    controller.abort();
    await expect(wait).rejects.toMatchObject({ code: 'KAD_ABORTED' });
    await expect(
      waitFor(Promise.reject(new Error('unheard')), { ...options, signal: controller.signal }),
    ).rejects.toMatchObject({ code: 'KAD_ABORTED' });
  });
});
