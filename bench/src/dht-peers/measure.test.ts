import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { comparison } from './bench.js';
import { type Measured, quantile, trueClosest } from './measure.js';

const id = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));

describe('trueClosest', () => {
  it('names the 20 closest by XOR, closest first, without the asker', () => {
    fc.assert(
      fc.property(fc.uniqueArray(id, { minLength: 2, maxLength: 40 }), id, (ids, target) => {
        const [asker] = ids;
        const closest = trueClosest(ids, target, asker!);
        const distanceOf = (one: string) => BigInt(`0x${one}`) ^ BigInt(`0x${target}`);
        expect(closest).not.toContain(asker);
        expect(closest.length).toBe(Math.min(20, ids.length - 1));
        for (const other of ids.slice(1)) {
          const place = closest.indexOf(other);
          const nearer = ids.slice(1).filter((one) => distanceOf(one) < distanceOf(other)).length;
          expect(place).toBe(nearer < 20 ? nearer : -1);
        }
      }),
    );
  });
});

describe('quantile', () => {
  it('is the value at its place in order', () => {
    expect(quantile([5, 1, 4, 2, 3], 0.5)).toBe(3);
    expect(quantile([5, 1, 4, 2, 3], 0.95)).toBe(5);
    expect(quantile([7], 0)).toBe(7);
    expect(quantile([], 0.5)).toBeNaN();
  });
});

describe('the table', () => {
  const one: Measured = {
    system: 'ours',
    nodes: 10,
    joinSeconds: 2,
    joinRetries: 0,
    readySeconds: 3,
    joinCpuMs: 1,
    singleMedianMs: 10,
    singleP95Ms: 20,
    lookupsPerSecond: 100,
    cpuMsPerLookup: 4,
    messagesPerLookup: 20,
    foundClosest: 1,
    foundTwenty: 1,
    failed: 0,
    idleCpuMsPerSecond: 1,
    rssBytes: 200e6,
    emptyRssBytes: 100e6,
  };

  it('says in what ours is worse, whichever way is better', () => {
    const other = { ...one, system: 'theirs', lookupsPerSecond: 400, singleMedianMs: 40 };
    const text = comparison([one, other]).join('\n');
    expect(text).toMatch(/lookups a second +100 +400 +×0\.25/);
    expect(text).toMatch(/one lookup, median, ms +10\.0 +40\.0 +×4\.00/);
    expect(text).toContain('Worse in: lookups a second (theirs: ×0.25).');
    expect(comparison([one, one]).at(-1)).toBe('Worse in nothing.');
  });

  it('has no ratio where a system has no figure', () => {
    const other = { ...one, system: 'theirs', readySeconds: undefined };
    expect(comparison([one, other]).join('\n')).toMatch(/right, s +3\.00 +-$/m);
  });
});
