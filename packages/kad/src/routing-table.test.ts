import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Contact } from './contact.js';
import { KBucket } from './k-bucket.js';
import { distance } from './node-id.js';
import { RoutingTable } from './routing-table.js';
import { seededRandom } from './memory-nodes.test-support.js';

const random = seededRandom('table');
const contact = (nodeId: string, sequence = 1): Contact => ({
  nodeId,
  publicKey: '',
  addresses: ['https://a.test:1'],
  protocolVersion: 1,
  sequence,
  signature: '',
});
const randomId = () => Buffer.from(random(32)).toString('hex');

it('keeps the least recently seen first and asks before it drops it', () => {
  const bucket = new KBucket(2);
  expect(bucket.seen(contact('a'), 1)).toBeUndefined();
  expect(bucket.seen(contact('b'), 2)).toBeUndefined();
  expect(bucket.seen(contact('a'), 3)).toBeUndefined();
  expect(bucket.contacts.map((e) => e.contact.nodeId)).toEqual(['b', 'a']);
  // Full: the newcomer waits, and the oldest is to be pinged.
  expect(bucket.seen(contact('c'), 4)?.nodeId).toBe('b');
  expect(bucket.contacts.map((e) => e.contact.nodeId)).toEqual(['b', 'a']);
  expect(bucket.waiting.map((e) => e.contact.nodeId)).toEqual(['c']);
  expect(bucket.remove('b')).toBe(true);
  expect(bucket.contacts.map((e) => e.contact.nodeId)).toEqual(['c', 'a']);
  expect(bucket.waiting).toEqual([]);
  expect(bucket.remove('zz')).toBe(false);
});

it('never replaces a contact by an older one of the same node', () => {
  const bucket = new KBucket(2);
  bucket.seen(contact('a', 5), 1);
  bucket.seen(contact('a', 4), 2);
  expect(bucket.get('a')?.contact.sequence).toBe(5);
  bucket.seen(contact('a', 6), 3);
  expect(bucket.get('a')?.contact.sequence).toBe(6);
});

it('bounds contacts and replacements under any history', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 30 })), { maxLength: 200 }),
      (history) => {
        const bucket = new KBucket(4);
        history.forEach(([seen, n], time) => {
          if (seen) bucket.seen(contact(`n${n}`), time);
          else bucket.remove(`n${n}`);
          const ids = [...bucket.contacts, ...bucket.waiting].map((e) => e.contact.nodeId);
          expect(bucket.contacts.length).toBeLessThanOrEqual(4);
          expect(bucket.waiting.length).toBeLessThanOrEqual(4);
          expect(new Set(ids).size).toBe(ids.length);
          if (bucket.waiting.length > 0) expect(bucket.contacts.length).toBe(4);
        });
      },
    ),
  );
});

it('names the closest contacts it has, and leaves clients and itself out', () => {
  const own = randomId();
  const table = new RoutingTable(own, 20);
  for (let i = 0; i < 300; i += 1) table.seen(contact(randomId()), i);
  table.seen(contact(own), 1);
  table.seen({ ...contact(randomId()), addresses: [] }, 1);
  expect(table.get(own)).toBeUndefined();
  const all = table.contacts();
  expect(all.every(({ addresses }) => addresses.length > 0)).toBe(true);
  for (let i = 0; i < 20; i += 1) {
    const target = randomId();
    const best = all
      .map(({ nodeId }) => distance(nodeId, target))
      .sort()
      .slice(0, 20);
    expect(table.closest(target, 20).map(({ nodeId }) => distance(nodeId, target))).toEqual(best);
  }
});

it('wants newcomers where there is room, or where the oldest may be gone', () => {
  const own = '0'.repeat(64);
  const table = new RoutingTable(own, 2);
  const far = (n: number) => contact(`f${n}${'0'.repeat(62)}`);
  expect(table.wants(far(1).nodeId, 0)).toBe(true);
  table.seen(far(1), 100);
  expect(table.wants(far(3).nodeId, 0)).toBe(true);
  table.seen(far(2), 200);
  expect(table.wants(far(3).nodeId, 99)).toBe(false);
  expect(table.wants(far(3).nodeId, 100)).toBe(true);
  table.seen(far(1), 300);
  expect(table.wants(far(3).nodeId, 199)).toBe(false);
  expect(table.wants(far(3).nodeId, 200)).toBe(true);
});
