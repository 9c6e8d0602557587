import * as secp256k1 from 'tiny-secp256k1';
import { describe, expect, it } from 'vitest';
import { binomialTail } from './binomial.test-support.js';
import { Identity } from './identity.js';
import { KEYS_PER_BATCH, KeySearch } from './key-search.js';
import { meetsDifficulty } from './proof-of-work.js';
import type { Random } from './random.js';
import { seededRandom } from './seeded-random.test-support.js';

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const toBytes = (scalar: bigint) =>
  new Uint8Array(Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex'));
const toScalar = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
const startingAt =
  (scalar: bigint): Random =>
  () =>
    toBytes(scalar);

/** The keys of a batch that meet a difficulty, found in the plain way. */
function solutions(first: bigint, difficulty: number): Set<string> {
  const found = new Set<string>();
  for (let i = 0n; i < BigInt(KEYS_PER_BATCH / 2); i += 1n) {
    for (const scalar of [(first + i) % ORDER, ORDER - ((first + i) % ORDER)]) {
      const { nodeId } = Identity.fromPrivateKey(toBytes(scalar));
      if (meetsDifficulty(nodeId, difficulty)) found.add(scalar.toString());
    }
  }
  return found;
}

describe('KeySearch', () => {
  it('tries the keys around its start, each with its negative, and goes on beside them', () => {
    const points = BigInt(KEYS_PER_BATCH / 2);
    const start = toScalar(seededRandom('start')(32)) % ORDER;
    const search = new KeySearch(11, startingAt(start));
    let hits = 0;
    for (let batch = 0n; batch < 4n; batch += 1n) {
      const expected = solutions(start + (batch - 1n) * points + (points + 1n) / 2n, 11);
      const found = search.tryBatch();
      if (found === undefined) {
        expect([...expected]).toEqual([]);
      } else {
        hits += 1;
        expect([...expected]).toContain(toScalar(found).toString());
      }
    }
    expect(hits).toBeGreaterThan(0);
  });

  it('says so when it comes to a point that it adds, rather than find a wrong key', () => {
    const stuck = expect.objectContaining({ code: 'KAD_MINING' }) as Error;
    expect(() => new KeySearch(256, startingAt(5n)).tryBatch()).toThrow(stuck);
    expect(() => new KeySearch(256, startingAt(ORDER - 5n)).tryBatch()).toThrow(stuck);
    const almost = new KeySearch(256, startingAt(ORDER - 600n));
    expect(almost.tryBatch()).toBeUndefined();
    expect(() => almost.tryBatch()).toThrow(stuck);
  });

  it('draws again what is no private key', () => {
    const draws = [new Uint8Array(32), new Uint8Array(32).fill(255), toBytes(2n ** 200n)];
    const found = new KeySearch(0, () => draws.shift()!).tryBatch()!;
    const scalar = toScalar(found);
    expect([2n ** 200n, ORDER - 2n ** 200n]).toContain(scalar);
    expect(draws).toEqual([]);
  });

  it('takes as many attempts as the difficulty says, and finds keys of both signs and all IDs', () => {
    const random = seededRandom('search');
    const searches = 60;
    const perBatch = 1 - (1 - 2 ** -12) ** KEYS_PER_BATCH;
    let batches = 0;
    let odd = 0;
    let high = 0;
    for (let i = 0; i < searches; i += 1) {
      const search = new KeySearch(12, random);
      let found: Uint8Array | undefined;
      while (found === undefined) {
        found = search.tryBatch();
        batches += 1;
      }
      const { nodeId, publicKey } = Identity.fromPrivateKey(found);
      expect(meetsDifficulty(nodeId, 12)).toBe(true);
      if (publicKey[0] === 3) odd += 1;
      if (parseInt(nodeId[0]!, 16) >= 8) high += 1;
      expect(secp256k1.isPrivate(found)).toBe(true);
    }
    // Batches until the first success are geometric, so that `searches` successes in `batches`
    // trials are as far out as the binomial tail says.
    expect(binomialTail(batches, perBatch, searches)).toBeGreaterThan(1e-6);
    expect(binomialTail(searches, 0.5, odd)).toBeGreaterThan(1e-6);
    expect(binomialTail(searches, 0.5, high)).toBeGreaterThan(1e-6);
  });
});
