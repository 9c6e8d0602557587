import fc from 'fast-check';
import { expect, it } from 'vitest';
import { choosePlacement, networkOf, type ShardNeeds } from './placement.js';
import type { FarmerRecord } from './records.js';
import { newReputation } from './reputation.js';

const farmer = (
  id: number,
  change: Partial<FarmerRecord['terms']> & { host?: string; failures?: number } = {},
): FarmerRecord => {
  const { host = `10.0.${id}.1`, failures = 0, ...terms } = change;
  return {
    contact: {
      nodeId: String(id),
      publicKey: '',
      addresses: [`https://${host}:1`],
      protocolVersion: 1,
      sequence: 1,
      signature: '',
    },
    terms: {
      version: 1,
      freeBytes: 1000,
      maxShardSize: 1000,
      maxDurationMs: 1000,
      currency: 'credit',
      storagePrice: '0',
      egressPrice: '0',
      operator: null,
      leaving: false,
      ...terms,
    },
    latencyMs: 1,
    seen: 1,
    failures,
    reputation: newReputation(0),
  };
};
const needs: ShardNeeds = { shardSize: 100, durationMs: 100, now: 1, diversity: 'prefer' };

it('leaves out farmers that cannot take the shard', () => {
  const able = farmer(1);
  const others = [
    farmer(2, { freeBytes: 99 }),
    farmer(3, { maxShardSize: 99 }),
    farmer(4, { maxDurationMs: 99 }),
  ];
  expect(choosePlacement([...others, able], needs, Math.random)).toEqual([able]);
});

it('names each farmer once, the reliable ones first, and no network twice before all were used', () => {
  const farmers = fc.array(
    fc.record({ network: fc.nat({ max: 5 }), failures: fc.nat({ max: 2 }) }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(
      farmers,
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      (list, stream) => {
        const all = list.map(({ network, failures }, i) =>
          farmer(i, { host: `10.0.${network}.${i + 1}`, failures }),
        );
        const order = choosePlacement(all, needs, () => stream.next().value as number);
        expect(order.map((f) => f.contact.nodeId).sort()).toEqual(
          all.map((f) => f.contact.nodeId).sort(),
        );
        const failures = order.map((f) => f.failures);
        expect(failures).toEqual([...failures].sort((a, b) => a - b));
        if (list.every((entry) => entry.failures === 0)) {
          const networks = new Set(list.map(({ network }) => network)).size;
          const first = order.slice(0, networks).map((f) => networkOf(f.contact.addresses[0]!));
          expect(new Set(first).size).toBe(networks);
        }
      },
    ),
  );
});

it('knows which network an address is in', () => {
  expect(networkOf('https://192.0.2.17:1')).toBe('192.0.2');
  expect(networkOf('https://[2001:db8:7:1::5]:1')).toBe('2001:db8:7');
  expect(networkOf('https://[2001:db8::5]:1')).toBe('2001:db8:0');
  expect(networkOf('https://[::1]:1')).toBe('0:0:0');
  expect(networkOf('https://farm3.example.org:1')).toBe('example.org');
  // Nobody can tell which onions lie on one machine.
  expect(
    networkOf('https://pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:1'),
  ).toBe('onion');
  expect(networkOf('https://ukeu3k5oycgaauneqgtnvselmt4yemvoilkln7jpvamvfx7dnkdq.b32.i2p:1')).toBe(
    'i2p',
  );
});
