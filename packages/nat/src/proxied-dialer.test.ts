import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { KadError } from '@granary/kad';
import { isOwnMachine, proxiedDialer } from './proxied-dialer.js';
import { type ProxySettings } from './proxy-settings.js';
import { type TestServer, listenWith, socksServer } from './socks-server.test-support.js';
import { MAX_NEGOTIATION } from './socks-replies.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function through({ port }: TestServer, more: Partial<ProxySettings> = {}) {
  return proxiedDialer({ host: '127.0.0.1', port, ...more });
}

function keep<T extends TestServer>(server: T): T {
  cleanups.push(() => server.close());
  return server;
}

function keepStream(stream: Duplex): Duplex {
  cleanups.push(() => stream.destroy());
  return stream;
}

const echo = async () => keep(await listenWith((socket) => void socket.pipe(socket)));
const limits = { timeoutMs: 10_000 };

describe('a dialer through a proxy', () => {
  it('is not direct, and names its proxy without its password', () => {
    const credentials = { username: 'me', password: 'secret' };
    const dialer = proxiedDialer({ host: '::1', port: 1, credentials });
    expect(dialer).toMatchObject({ direct: false, proxy: 'socks5h://[::1]:1' });
    expect(dialer.slackMs).toBeGreaterThan(0);
  });

  it.each([
    ['a name', 'farm.nowhere.test', 'farm.nowhere.test'],
    ['IPv4', '203.0.113.7', '203.0.113.7'],
    ['IPv6', '2001:db8::7', '20010db8000000000000000000000007'],
    ['an onion', `${'a'.repeat(56)}.onion`, `${'a'.repeat(56)}.onion`],
  ])('hands %s to the proxy as it is, and carries bytes both ways', async (_, host, asked) => {
    const server = await echo();
    const proxy = keep(
      await socksServer({ resolve: () => ({ host: '127.0.0.1', port: server.port }) }),
    );
    const stream = keepStream(await through(proxy).dial(host, 4600, limits));
    expect(proxy.asked).toEqual([{ host: asked, port: 4600 }]);
    const sent = Buffer.alloc(300_000, 'granary');
    stream.write(sent);
    const got: Buffer[] = [];
    let size = 0;
    for await (const part of stream) {
      got.push(part as Buffer);
      size += (part as Buffer).length;
      if (size >= sent.length) break;
    }
    expect(Buffer.concat(got).equals(sent)).toBe(true);
  });

  it('takes any kind of bound address in the answer', async () => {
    const server = await echo();
    for (const bound of [
      Buffer.from([1, 1, 2, 3, 4, 5, 6]),
      Buffer.from([4, ...new Array<number>(18).fill(7)]),
      Buffer.from([3, 0, 0, 0]),
      Buffer.from([3, 255, ...new Array<number>(257).fill(97)]),
    ]) {
      const proxy = keep(await socksServer({ bound }));
      const stream = keepStream(await through(proxy).dial('x.test', server.port, limits));
      stream.write('x');
      expect(String((await once(stream, 'data'))[0])).toBe('x');
    }
  });

  it('gives each destination a user and password of its own, and other runs others', async () => {
    const server = await echo();
    const proxy = keep(
      await socksServer({ method: 2, resolve: () => ({ host: '127.0.0.1', port: server.port }) }),
    );
    const [one, other] = [through(proxy), through(proxy)];
    for (const host of ['a.test', 'a.test', 'b.test']) {
      keepStream(await one.dial(host, 1, limits));
    }
    keepStream(await one.dial('a.test', 2, limits));
    keepStream(await other.dial('a.test', 1, limits));
    const [first, again, ...others] = proxy.asked.map(({ password }) => password);
    expect(again).toBe(first);
    expect(first).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set([first, ...others]).size).toBe(4);
  });

  it('uses the user and password that it was given for all', async () => {
    const server = await echo();
    const proxy = keep(await socksServer({ method: 2 }));
    const credentials = { username: 'me', password: 'sécret' };
    keepStream(await through(proxy, { credentials }).dial('a.test', server.port, limits));
    expect(proxy.asked).toMatchObject([credentials]);
  });

  it.each([
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    'localhost',
    'LOCALHOST.',
    'a.localhost',
  ])('does not dial %s, which is not on the other side', async (host) => {
    const proxy = keep(await socksServer());
    const dialer = through(proxy);
    expect(isOwnMachine(host)).toBe(true);
    expect(dialer.dials(host)).toBe(false);
    await expect(dialer.dial(host, 1, limits)).rejects.toMatchObject({ code: 'KAD_BAD_ADDRESS' });
    expect(proxy.connections).toBe(0);
  });

  it.each(['128.0.0.1', '10.0.0.1', '::2', '2001:db8::1', 'localhost.test', 'x.onion'])(
    'dials %s',
    (host) => {
      expect(isOwnMachine(host)).toBe(false);
      expect(proxiedDialer({ host: '127.0.0.1', port: 1 }).dials(host)).toBe(true);
    },
  );
});

describe('a proxy that does not do as it should', () => {
  it('is told apart from a node that does not answer', async () => {
    const server = await echo();
    await server.close();
    await expect(through(server).dial('x.test', 1, limits)).rejects.toMatchObject({
      code: 'KAD_PROXY',
      message: expect.stringContaining(`socks5h://127.0.0.1:${server.port}`) as string,
    });
  });

  it.each([
    [1, 'KAD_UNREACHABLE', /general failure/],
    [2, 'KAD_BAD_ADDRESS', /rules/],
    [3, 'KAD_UNREACHABLE', /network is unreachable/],
    [4, 'KAD_UNREACHABLE', /host is unreachable/],
    [5, 'KAD_UNREACHABLE', /refused/],
    [6, 'KAD_UNREACHABLE', /too long/],
    [7, 'KAD_PROXY', /makes no connections/],
    [8, 'KAD_BAD_ADDRESS', /such addresses/],
    [0xf0, 'KAD_UNREACHABLE', /no such onion service/],
    [0xf4, 'KAD_UNREACHABLE', /asks for authorisation/],
    [0xf6, 'KAD_UNREACHABLE', /no onion address/],
    [99, 'KAD_PROXY', /code 99/],
  ])('refuses with code %i: %s', async (reply, code, why) => {
    const proxy = keep(await socksServer({ reply }));
    await expect(through(proxy).dial('x.test', 1, limits)).rejects.toMatchObject({
      name: 'KadError',
      code,
      message: expect.stringMatching(why) as string,
    });
  });

  const saying = (bytes: number[], end = true) =>
    listenWith((socket) => {
      socket.on('data', () => undefined);
      socket.write(Buffer.from(bytes));
      if (end) socket.end();
    });

  it.each([
    ['closes at once', [], /at once/],
    ['speaks SOCKS4', [0, 90, 0, 0, 0, 0, 0, 0], /does not speak SOCKS5/],
    ['speaks HTTP', [...Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')], /does not speak SOCKS5/],
    ['answers half a greeting', [5], /broke off/],
    ['accepts none of our methods', [5, 0xff], /asks for a user/],
    ['wants a method that was not offered', [5, 1], /method 1/],
    ['refuses the password', [5, 2, 1, 1], /refuses our user/],
    ['breaks off after the greeting', [5, 0], /broke off/],
    ['breaks off in its answer', [5, 0, 5, 0, 0, 1, 1, 2], /broke off/],
    ['breaks off in its refusal', [5, 0, 5], /broke off/],
    ['answers in another version', [5, 0, 4, 0, 0, 1, 0, 0, 0, 0, 0, 0], /does not speak SOCKS5/],
    ['has bound another kind of address', [5, 0, 5, 0, 0, 9, 0, 0, 0, 0, 0, 0], /kind of address/],
    ['speaks in place of the node', [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7], /more than/],
  ])('%s', async (_, bytes, why) => {
    const proxy = keep(await saying(bytes));
    await expect(through(proxy).dial('x.test', 1, limits)).rejects.toMatchObject({
      name: 'KadError',
      code: 'KAD_PROXY',
      message: expect.stringMatching(why) as string,
    });
  });

  it('says more and more', async () => {
    let written = 0;
    const proxy = keep(
      await listenWith((socket) => {
        const flood = () => {
          while (!socket.destroyed && socket.write(Buffer.alloc(16_384, 5))) written += 16_384;
        };
        socket.on('drain', flood);
        flood();
      }),
    );
    await expect(through(proxy).dial('x.test', 1, limits)).rejects.toMatchObject({
      code: 'KAD_PROXY',
    });
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });

  it('sends an endless host name bit by bit', async () => {
    const proxy = keep(
      await listenWith((socket) => {
        socket.on('data', () => undefined);
        socket.write(Buffer.from([5, 0, 5, 0, 0, 3, 255]));
        const timer = setInterval(() => socket.write(Buffer.alloc(64, 97)), 1);
        socket.on('close', () => clearInterval(timer));
      }),
    );
    await expect(through(proxy).dial('x.test', 1, limits)).rejects.toMatchObject({
      code: 'KAD_PROXY',
      message: expect.stringMatching(/more than/) as string,
    });
  });

  it.each([
    ['says nothing', [], 'KAD_PROXY'],
    ['says nothing after the greeting', [5, 0], 'KAD_TIMEOUT'],
    ['stands still in its answer', [5, 0, 5, 0, 0, 1], 'KAD_TIMEOUT'],
  ])('%s, and time runs out', async (_, bytes, code) => {
    const proxy = keep(await saying(bytes, false));
    await expect(through(proxy).dial('x.test', 1, { timeoutMs: 200 })).rejects.toMatchObject({
      code,
    });
  });

  it('is left when the call is aborted, before and in the middle', async () => {
    const proxy = keep(await saying([5, 0], false));
    const dialer = through(proxy);
    const aborted = AbortSignal.abort();
    await expect(dialer.dial('x.test', 1, { ...limits, signal: aborted })).rejects.toMatchObject({
      code: 'KAD_ABORTED',
    });
    const controller = new AbortController();
    const dial = dialer.dial('x.test', 1, { ...limits, signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await expect(dial).rejects.toMatchObject({ code: 'KAD_ABORTED' });
  });

  it('never learns more than what it is asked for, nor do errors tell the password', async () => {
    const proxy = keep(await saying([5, 2, 1, 1]));
    const credentials = { username: 'me', password: 'hunter2-hunter2' };
    const error: unknown = await through(proxy, { credentials })
      .dial('x.test', 1, limits)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KadError);
    const { cause, message, stack } = error as KadError;
    expect(cause).toBeUndefined();
    expect(`${message} ${stack}`).not.toContain('hunter2');
  });

  it('says anything at all: an error of ours, or an open connection', async () => {
    const proxies = new Map<string, Buffer>();
    const proxy = keep(
      await listenWith((socket) => {
        socket.once('data', () => {
          socket.on('data', () => undefined);
          socket.end([...proxies.values()].at(-1));
        });
      }),
    );
    const dialer = through(proxy);
    const piece = fc.oneof(
      fc.constantFrom([5, 0], [5, 2], [1, 0], [5, 0, 0, 1], [5, 0, 0, 3, 4], [5, 0, 0, 4]),
      fc.array(fc.nat({ max: 255 }), { maxLength: 12 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async (pieces) => {
        proxies.set('now', Buffer.from(pieces.flat()));
        await dialer.dial('x.test', 1, { timeoutMs: 2_000 }).then(
          (stream) => stream.destroy(),
          (error: unknown) => {
            expect(error).toBeInstanceOf(KadError);
            expect(['KAD_PROXY', 'KAD_UNREACHABLE', 'KAD_BAD_ADDRESS']).toContain(
              (error as KadError).code,
            );
          },
        );
      }),
      { numRuns: 200 },
    );
    expect(MAX_NEGOTIATION).toBeLessThan(300);
  });
});
