import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../bytes.js';
import { binomialTail } from '../binomial.test-support.js';
import { seededRandom } from '../seeded-random.test-support.js';
import { AttenuatedFilter } from './attenuated-filter.js';
import { BloomFilter } from './bloom-filter.js';

const key = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex);

describe('a Bloom filter', () => {
  it('never denies what was added, alone, merged, or sent', () => {
    fc.assert(
      fc.property(fc.array(key, { maxLength: 50 }), fc.array(key, { maxLength: 50 }), (a, b) => {
        const one = new BloomFilter();
        const other = new BloomFilter();
        for (const k of a) one.add(k);
        for (const k of b) other.add(k);
        one.merge(other);
        const sent = BloomFilter.parse(one.encode());
        for (const k of [...a, ...b]) {
          expect(one.has(k)).toBe(true);
          expect(sent.has(k)).toBe(true);
        }
        expect(sent.fill).toBe(one.fill);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    [4096, 4, 300],
    [4096, 4, 700],
    [1024, 8, 100],
    [256, 1, 100],
  ])('of %i bits and %i hashes errs with %i keys as often as it says', (bits, hashes, keys) => {
    const random = seededRandom(`bloom ${bits} ${keys}`);
    const filter = new BloomFilter({ bits, hashes });
    for (let i = 0; i < keys; i += 1) filter.add(toHex(random(32)));
    const trials = 20_000;
    let wrong = 0;
    for (let i = 0; i < trials; i += 1) if (filter.has(toHex(random(32)))) wrong += 1;
    expect(binomialTail(trials, filter.fill ** hashes, wrong)).toBeGreaterThan(1e-6);
    // The fill itself is that of keys × hashes bits thrown at random.
    expect(filter.fill).toBeCloseTo(1 - Math.exp((-keys * hashes) / bits), 1);
  });

  it('refuses what is not of its shape', () => {
    const good = new BloomFilter().encode();
    for (const bad of [undefined, 7, '', good.slice(4), `${good}AAAA`, `!${good.slice(1)}`]) {
      expect(() => BloomFilter.parse(bad)).toThrow(/base64/);
    }
    expect(() => new BloomFilter({ bits: 100, hashes: 4 })).toThrow(/64 to 65536/);
    expect(() => new BloomFilter({ bits: 128, hashes: 9 })).toThrow(/hashes/);
  });
});

describe('an attenuated filter', () => {
  it('has what is n steps away at level n, and not what is farther than its levels', () => {
    const random = seededRandom('attenuated');
    const keys = Array.from({ length: 5 }, () => toHex(random(32)));
    // A chain of nodes, each with the next as its only neighbour.
    let filter = AttenuatedFilter.of([keys[4]!], []);
    for (const k of [keys[3]!, keys[2]!, keys[1]!, keys[0]!])
      filter = AttenuatedFilter.of([k], [filter]);
    const sent = AttenuatedFilter.parse(filter.encode());
    expect(keys.map((k) => sent.levelOf(k))).toEqual([0, 1, 2, -1, -1]);
  });

  it('leaves a level empty that would say yes to too much', () => {
    const random = seededRandom('full');
    const many = Array.from({ length: 3000 }, () => toHex(random(32)));
    const loud = AttenuatedFilter.of(many, []);
    const filter = AttenuatedFilter.of([many[0]!], [loud], { maxFill: 0.5 });
    expect(loud.fill).toBeGreaterThan(0.5);
    expect(filter.fill).toBeLessThan(0.01);
    expect(() => AttenuatedFilter.parse([])).toThrow(/levels/);
  });
});
