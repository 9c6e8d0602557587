import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { LEAF_SIZE, ShardTree, hashSpan, verifyRangeProof } from '@granary/protocol';

/** Audits of random chunks that find a farmer with this certainty when it dropped this share. */
const auditsNeeded = (share: number, certainty: number) =>
  Math.ceil(Math.log(1 - certainty) / Math.log(1 - share));

it('finds with 99.9 % certainty, in 688 audits, a farmer that dropped 1 % of its data', () => {
  expect(auditsNeeded(0.01, 0.999)).toBe(688);
  // A shard of 400 chunks; the farmer has lost 4 of them, and answers with zeros.
  const CHUNKS = 400;
  const shard = randomBytes(CHUNKS * LEAF_SIZE);
  const tree = ShardTree.of(shard);
  const root = tree.root();
  const kept = Buffer.from(shard);
  const lost = [3, 77, 200, 399];
  for (const leaf of lost) kept.fill(0, leaf * LEAF_SIZE, (leaf + 1) * LEAF_SIZE);
  const passes = Array.from({ length: CHUNKS }, (_, leaf) => {
    const bytes = kept.subarray(leaf * LEAF_SIZE, (leaf + 1) * LEAF_SIZE);
    const { siblings } = tree.rangeProof(0, leaf, leaf);
    return verifyRangeProof(root, shard.length, 0, leaf, { nodes: hashSpan(bytes), siblings });
  });
  expect(passes.filter((passed) => !passed)).toHaveLength(lost.length);

  // 20,000 farmers, each audited until it is found out or 688 times (seeded, SplitMix32).
  let state = 20_261_124;
  const below = (n: number) => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return Math.floor((((z ^ (z >>> 15)) >>> 0) / 2 ** 32) * n);
  };
  const TRIALS = 20_000;
  let escaped = 0;
  for (let trial = 0; trial < TRIALS; trial += 1) {
    let found = false;
    for (let i = 0; i < 688 && !found; i += 1) found = !passes[below(CHUNKS)]!;
    if (!found) escaped += 1;
  }
  // Expected: 20,000 · 0.99^688 = 19.9; four standard deviations to each side.
  expect(escaped).toBeGreaterThan(1);
  expect(escaped).toBeLessThan(38);
});
