import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newReputation } from './reputation.js';
import { type HealthView, endangerment, planRepair, segmentHealth } from './segment-health.js';

const scheme = { k: 3, repair: 5, success: 6, n: 8 };
const KINDS = ['healthy', 'leaving', 'failed', 'offline', 'disqualified', 'ended'] as const;
type Kind = (typeof KINDS)[number];
const NOW = 10 ** 12;

const shard = (index: number, i: number) => ({
  index,
  hash: '0'.repeat(64),
  farmer: `f${i}`,
  contract: `c${i}`,
});
function viewOf(kinds: readonly Kind[]): HealthView {
  const of = (name: string) => kinds[Number(name.slice(1))];
  const base = newReputation(0);
  return {
    now: NOW,
    reputation: (farmer) => ({
      ...base,
      standing: of(farmer) === 'disqualified' ? 'disqualified' : 'good',
      offlineSince: of(farmer) === 'offline' ? 0 : null,
    }),
    leaving: (farmer) => of(farmer) === 'leaving',
    failed: (contract) => of(contract) === 'failed',
    end: (contract) => (of(contract) === 'ended' ? NOW : NOW + 1),
  };
}

describe('the health of a segment', () => {
  it('counts every index once, and says what has to be done', () => {
    const verdict = (kinds: Kind[], indices = kinds.map((_, i) => i)) => {
      const shards = indices.map((index, i) => shard(index, i));
      return segmentHealth({ shards }, scheme, viewOf(kinds));
    };
    const all = (kind: Kind, count: number) => Array<Kind>(count).fill(kind);
    expect(verdict(all('healthy', 8))).toMatchObject({ healthy: 8, verdict: 'fine' });
    expect(verdict(all('healthy', 5))).toMatchObject({ healthy: 5, verdict: 'fine' });
    expect(verdict(all('healthy', 4))).toMatchObject({ healthy: 4, verdict: 'repair' });
    expect(verdict([...all('healthy', 5), 'leaving'])).toMatchObject({ verdict: 'move' });
    expect(verdict([...all('healthy', 2), ...all('leaving', 3)])).toMatchObject({
      healthy: 2,
      readable: 5,
      verdict: 'repair',
    });
    expect(verdict([...all('healthy', 2), ...all('offline', 6)])).toMatchObject({
      verdict: 'lost',
    });
    // The same index twice is one shard.
    expect(verdict(all('healthy', 6), [0, 0, 1, 1, 2, 2])).toMatchObject({ healthy: 3 });
    for (const bad of ['failed', 'offline', 'disqualified', 'ended'] as const) {
      expect(verdict([...all('healthy', 4), ...all(bad, 4)]), bad).toMatchObject({ healthy: 4 });
    }
  });

  it('is planned back to n, each index once, and nothing healthy is given up', () => {
    const shards = fc.array(
      fc.record({ index: fc.nat({ max: 7 }), kind: fc.constantFrom(...KINDS) }),
      { maxLength: 16 },
    );
    fc.assert(
      fc.property(shards, (list) => {
        const segment = { shards: list.map(({ index }, i) => shard(index, i)) };
        const view = viewOf(list.map(({ kind }) => kind));
        const health = segmentHealth(segment, scheme, view);
        const { keep, drop, missing } = planRepair(segment, scheme, health);
        expect([...keep, ...drop].sort((a, b) => a.contract.localeCompare(b.contract))).toEqual(
          [...segment.shards].sort((a, b) => a.contract.localeCompare(b.contract)),
        );
        const indices = [...keep.map(({ index }) => index), ...missing];
        expect(indices.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
        expect(keep.length).toBe(health.healthy);
        for (const { contract } of keep) expect(health.states.get(contract)).toBe('healthy');
      }),
    );
  });

  it('puts the most endangered first, across schemes, and what can not be helped last', () => {
    const at = (readable: number, verdict: 'repair' | 'lost' = 'repair') => ({
      states: new Map(),
      healthy: readable,
      readable,
      verdict,
    });
    const wide = { k: 20, repair: 30, success: 40, n: 50 };
    expect(endangerment(at(3), scheme)).toBeLessThan(endangerment(at(4), scheme));
    expect(endangerment(at(22), wide)).toBeLessThan(endangerment(at(4), scheme));
    expect(endangerment(at(2, 'lost'), scheme)).toBeGreaterThan(endangerment(at(8), scheme));
  });
});
