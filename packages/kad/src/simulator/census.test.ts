import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bucketIndex, compareDistance } from '../node-id.js';
import { Census } from './census.js';

const id = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
// Some IDs that share long prefixes, so that the deep halves are reached, too.
const near = fc
  .uint8Array({ minLength: 1, maxLength: 1 })
  .map(([last]) => 'ab'.repeat(31) + last!.toString(16).padStart(2, '0'));
const ids = fc.array(fc.oneof(id, near), { maxLength: 60 });

describe('a census', () => {
  it('knows the closest, as sorting all of them does', () => {
    fc.assert(
      fc.property(
        ids,
        fc.oneof(id, near),
        fc.integer({ min: 1, max: 70 }),
        (all, target, count) => {
          const expected = [...new Set(all)].sort((a, b) => compareDistance(a, b, target));
          expect(new Census(all).closest(target, count)).toEqual(expected.slice(0, count));
        },
      ),
    );
  });

  it('puts everybody but oneself into the k-bucket where it belongs', () => {
    fc.assert(
      fc.property(ids, fc.oneof(id, near), (all, own) => {
        const seen: string[] = [];
        for (const { size, at } of new Census([...all, own]).buckets(own)) {
          const bucket = Array.from({ length: size }, (_, i) => at(i));
          expect(new Set(bucket.map((other) => bucketIndex(own, other))).size).toBeLessThan(2);
          seen.push(...bucket);
        }
        expect(seen.sort()).toEqual([...new Set(all)].filter((other) => other !== own).sort());
      }),
    );
  });

  it('forgets who goes', () => {
    const census = new Census(['aa'.repeat(32)]);
    census.add('bb'.repeat(32));
    census.remove('aa'.repeat(32));
    census.remove('cc'.repeat(32));
    expect([census.size, census.has('bb'.repeat(32)), census.has('aa'.repeat(32))]).toEqual([
      1,
      true,
      false,
    ]);
  });
});
