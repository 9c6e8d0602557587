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

it('places no two in one network where that is required, none where one is, again and again', () => {
  const farmers = fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(farmers, fc.nat({ max: 5 }), (networks, taken) => {
      const all = networks.map((network, i) => farmer(i, { host: `10.0.${network}.${i + 1}` }));
      const holders = [farmer(100, { host: `10.0.${taken}.100` })];
      for (let segment = 0; segment < 3; segment += 1) {
        const strict: ShardNeeds = { ...needs, diversity: 'require', holders };
        const chosen = choosePlacement(all, strict, Math.random).map(({ contact }) =>
          networkOf(contact.addresses[0]!),
        );
        const expected = new Set(networks.filter((network) => network !== taken));
        expect(chosen.sort()).toEqual([...expected].map((network) => `10.0.${network}`).sort());
      }
    }),
  );
});

it('goes by what is known of a farmer now, not by what was', () => {
  const before = [farmer(1), farmer(2)];
  const strict: ShardNeeds = { ...needs, diversity: 'require' };
  expect(choosePlacement(before, strict, Math.random)).toHaveLength(2);
  const moved = { ...before[1]!, contact: farmer(2, { host: '10.0.1.9' }).contact };
  expect(choosePlacement([before[0]!, moved], strict, Math.random)).toHaveLength(1);
  const hidden = { ...moved, contact: { ...moved.contact, addresses: ['ws://10.0.2.1:1'] } };
  expect(choosePlacement([hidden], strict, Math.random)).toEqual([]);
});

it('prefers farmers by their weight', () => {
  // One that has not been vetted counts half.
  const good = { ...farmer(1), reputation: { ...newReputation(0), standing: 'good' as const } };
  const fresh = farmer(2);
  let [state, first] = [1, 0];
  // Park and Miller's generator: the same run every time.
  const fraction = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  for (let i = 0; i < 3000; i += 1) {
    if (choosePlacement([good, fresh], needs, fraction)[0] === good) first += 1;
  }
  expect(first / 3000).toBeGreaterThan(0.63);
  expect(first / 3000).toBeLessThan(0.7);
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
