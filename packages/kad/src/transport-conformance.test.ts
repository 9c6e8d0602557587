import { describe, expect, it } from 'vitest';
import { Identity } from './identity.js';
import { MemoryNetwork, MemoryTransport } from './memory-transport.js';
import {
  type ConformanceNetwork,
  ConformanceError,
  transportConformance,
} from './transport-conformance.js';
import { transportNetworks } from './transport-networks.test-support.js';
import type { Transport } from './transport.js';

describe.each(Object.entries(transportNetworks))('%s', (_name, makeNetwork) => {
  for (const { name, run } of transportConformance(makeNetwork)) it(name, run);
});

describe('the suite', () => {
  /** A network of memory transports, each spoilt in one way. */
  function spoilt(spoil: (transport: Transport) => Partial<Transport>) {
    return (): Promise<ConformanceNetwork> => {
      const network = new MemoryNetwork();
      const made = new Map<string, string>();
      const node = (nodeId: string) => {
        const good = new MemoryTransport(network, nodeId, made.get(nodeId));
        const wrong = spoil(good);
        const transport: Transport = {
          addresses: good.addresses,
          listen: (handler) => good.listen(handler),
          identify: (address, options) => good.identify(address, options),
          request: (to, message, options) => good.request(to, message, options),
          close: () => good.close(),
          ...wrong,
        };
        return Promise.resolve({ nodeId, transport });
      };
      return Promise.resolve({
        create: () => {
          const { nodeId } = Identity.generate();
          made.set(nodeId, `https://node-${made.size}.test:1`);
          return node(nodeId);
        },
        restart: ({ nodeId }) => node(nodeId),
        deadAddress: () => 'https://nobody.test:1',
        close: () => Promise.resolve(),
      });
    };
  }

  it.each<[string, RegExp, (good: Transport) => Partial<Transport>]>([
    [
      'cuts messages off',
      /every size/,
      (good) => ({
        request: (to, message, options) => good.request(to, message.subarray(0, 100), options),
      }),
    ],
    [
      'asks whoever is there',
      /another node/,
      (good) => ({
        request: async (to, message, options) => {
          const [address] = to.addresses;
          const nodeId = address?.includes('node') ? await good.identify(address) : to.nodeId;
          return good.request({ ...to, nodeId }, message, options);
        },
      }),
    ],
    [
      'has no time limit',
      /time is over/,
      (good) => ({
        request: (to, message, options) =>
          good.request(to, message, { ...options, timeoutMs: 30_000 }),
      }),
    ],
    [
      'cannot be aborted',
      /aborted/,
      (good) => ({
        request: (to, message, { timeoutMs = 500 } = {}) =>
          good.request(to, message, { timeoutMs }),
      }),
    ],
    [
      'tries one address only',
      /in order/,
      (good) => ({
        request: ({ nodeId, addresses }, message, options) =>
          good.request({ nodeId, addresses: addresses.slice(0, 1) }, message, options),
      }),
    ],
    [
      'throws errors of its own',
      /nobody is at/,
      (good) => ({
        request: (to, message, options) =>
          good.request(to, message, options).catch(() => {
            throw new Error('ECONNREFUSED');
          }),
      }),
    ],
    ['is never closed', /closed/, () => ({ close: () => Promise.resolve() })],
  ])('finds a transport that %s', async (_what, name, spoil) => {
    const found = transportConformance(spoilt(spoil)).filter((one) => name.test(one.name));
    expect(found.length).toBeGreaterThan(0);
    const results = await Promise.allSettled(found.map(({ run }) => run()));
    const wrong = results.filter((result) => result.status === 'rejected');
    expect(wrong.length).toBeGreaterThan(0);
    for (const { reason } of wrong) expect(reason).toBeInstanceOf(ConformanceError);
  });
});
