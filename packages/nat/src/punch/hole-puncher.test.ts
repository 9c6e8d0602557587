import { type Socket, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { KadError, systemClock } from '@granary/kad';
import { startNode } from '../tunnel/tunnel.test-support.js';
import { parseEndpoint } from './endpoint.js';
import { HOLE_PUNCH, HolePuncher } from './hole-puncher.js';
import { openSimultaneously } from './simultaneous-open.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function node(puncher?: HolePuncher) {
  const made = await startNode(puncher === undefined ? {} : { plugins: [puncher] });
  cleanups.push(() => made.node.stop());
  return made;
}

/** Ports that nothing listens on now. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  for (const server of servers) server.close();
  return ports;
}

describe('an endpoint that is to be dialled', () => {
  it('is public, at a port that a node may have', () => {
    expect(parseEndpoint({ host: '8.8.8.8', port: 4600 })).toEqual({ host: '8.8.8.8', port: 4600 });
    expect(parseEndpoint({ host: '::ffff:8.8.8.8', port: 443 })?.host).toBe('8.8.8.8');
    for (const host of [
      '127.0.0.1',
      '10.0.0.1',
      '192.168.1.1',
      '169.254.169.254',
      '::1',
      'a.org',
    ]) {
      expect(parseEndpoint({ host, port: 4600 }), host).toBe(undefined);
    }
    for (const port of [0, 22, 25, 65_536, 1.5, '4600', undefined]) {
      expect(parseEndpoint({ host: '8.8.8.8', port }), String(port)).toBe(undefined);
    }
  });

  it('is nothing else, whatever comes', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const endpoint = parseEndpoint(value);
        expect(endpoint === undefined || endpoint.port >= 443).toBe(true);
      }),
    );
  });
});

describe('a simultaneous open', () => {
  it('goes on after refusals until the other side is there', async () => {
    // Over loopback a refusal is there before the other side can dial; real ones are in the NAT lab.
    const [one = 0, two = 0] = await freePorts(2);
    const { signal } = new AbortController();
    const options = { clock: systemClock, signal };
    const met = openSimultaneously(one, { host: '127.0.0.1', port: two }, options);
    await new Promise((resolve) => setTimeout(resolve, 400));
    const server = createServer((socket) => socket.end(String(socket.remotePort)));
    server.listen(two, '127.0.0.1');
    cleanups.push(() => server.close());
    const socket = await met;
    expect(String((await once(socket, 'data'))[0])).toBe(String(one));
    socket.destroy();
  });

  it('gives up when nobody comes, and at once when it is told to', async () => {
    const [one = 0, two = 0] = await freePorts(2);
    const controller = new AbortController();
    const options = { clock: systemClock, signal: controller.signal };
    const met = openSimultaneously(one, { host: '127.0.0.1', port: two }, options);
    setTimeout(() => controller.abort(), 300);
    await expect(met).rejects.toMatchObject({ code: 'NAT_ABORTED' });
    const fast = { ...systemClock, setTimeout: (run: () => void) => setTimeout(run, 50) };
    const late = openSimultaneously(
      one,
      { host: '127.0.0.1', port: two },
      {
        clock: fast,
        signal: new AbortController().signal,
      },
    );
    await expect(late).rejects.toMatchObject({ code: 'NAT_PUNCH' });
  });
});

describe('a hole puncher', () => {
  it('asks only those who want it, and not again for a while', async () => {
    const accepted: Socket[] = [];
    const wanted = { is: false };
    const other = await node(
      new HolePuncher({ accept: (socket) => accepted.push(socket), wanted: () => wanted.is }),
    );
    const puncher = new HolePuncher();
    const { node: asking } = await node(puncher);
    const contact = await asking.resolve(other.address);
    const { signal } = new AbortController();
    await expect(puncher.dial(contact, signal)).rejects.toThrow(/no use/);
    expect(puncher.worthTrying(contact.nodeId)).toBe(false);
    wanted.is = true;
    await expect(puncher.dial(contact, signal)).rejects.toThrow(/of late/);
    const dialer = puncher.dialerTo(contact);
    await expect(dialer.dial('x', 1, { timeoutMs: 1_000 })).rejects.toBeInstanceOf(KadError);
    expect(accepted).toEqual([]);
  });

  it('dials no place for others that is not public, and not without end', async () => {
    const other = await node(new HolePuncher({ accept: (socket) => socket.destroy() }));
    const { node: asking } = await node();
    const contact = await asking.resolve(other.address);
    const ask = (params: object) => asking.call(contact, HOLE_PUNCH, params);
    await expect(ask({ endpoint: { host: '127.0.0.1', port: 4600 } })).rejects.toThrow(/public/);
    await expect(ask({ endpoint: 'x' })).rejects.toThrow(/public/);
    // Nobody is there to say how it is seen, so that none of these gets as far as to dial.
    const endpoint = { host: '203.0.113.7', port: 4600 };
    const answers = await Promise.allSettled(Array.from({ length: 20 }, () => ask({ endpoint })));
    const said = answers.map((one) => String((one as PromiseRejectedResult).reason));
    expect(said.filter((text) => text.includes('too many')).length).toBeGreaterThanOrEqual(11);
    expect(said.every((text) => /too many|how it sees us|public/.test(text))).toBe(true);
  });
});
