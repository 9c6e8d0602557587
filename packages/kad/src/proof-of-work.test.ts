import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { binomialTail } from './binomial.test-support.js';
import {
  MAX_DIFFICULTY,
  PROOF_OF_WORK_LABEL,
  chanceOfSolution,
  difficultyOf,
  expectedAttempts,
  meetsDifficulty,
} from './proof-of-work.js';
import { seededRandom } from './seeded-random.test-support.js';
import { hashBlock } from './sha256-block.js';

const nodeId = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));

/** The definition, in another way: the hash as text of binary digits. */
function zerosByDefinition(id: string): number {
  const hash = createHash('sha256')
    .update(PROOF_OF_WORK_LABEL, 'latin1')
    .update(id, 'hex')
    .digest('hex');
  const binary = [...hash]
    .map((digit) => parseInt(digit, 16).toString(2).padStart(4, '0'))
    .join('');
  return binary.indexOf('1') < 0 ? 256 : binary.indexOf('1');
}

describe('the puzzle', () => {
  it('counts the leading zero bits of the second hash', () => {
    fc.assert(
      fc.property(nodeId, (id) => {
        expect(difficultyOf(id)).toBe(zerosByDefinition(id));
      }),
    );
  });

  it('does not change: identities made today must stay good', () => {
    expect(difficultyOf('b7916cbcb3453ff2d162b7aaa30485bac26bb40500af5c7de54e0f6b43e21417')).toBe(
      20,
    );
    expect(difficultyOf('0'.repeat(64))).toBe(zerosByDefinition('0'.repeat(64)));
  });

  it('is met by every difficulty up to its own and by none above', () => {
    fc.assert(
      fc.property(nodeId, fc.integer({ min: 0, max: MAX_DIFFICULTY }), (id, bits) => {
        expect(meetsDifficulty(id, bits)).toBe(bits <= difficultyOf(id));
      }),
    );
  });

  it('refuses what is no node ID and no difficulty', () => {
    const bad = expect.objectContaining({ code: 'KAD_BAD_PARAMETERS' }) as Error;
    for (const id of ['', 'ab', 'A'.repeat(64), `${'a'.repeat(63)}g`]) {
      expect(() => difficultyOf(id)).toThrow(bad);
      expect(() => meetsDifficulty(id, 0)).toThrow(bad);
    }
    for (const bits of [-1, 0.5, 257, NaN, Infinity]) {
      expect(() => meetsDifficulty('a'.repeat(64), bits)).toThrow(bad);
      expect(() => expectedAttempts(bits)).toThrow(bad);
      expect(() => chanceOfSolution(bits, 1)).toThrow(bad);
    }
  });

  it('is as hard as it says: each bit halves what passes', () => {
    const random = seededRandom('difficulty');
    const trials = 40_000;
    const passed = new Array<number>(13).fill(0);
    for (let i = 0; i < trials; i += 1) {
      const work = difficultyOf(Buffer.from(random(32)).toString('hex'));
      for (let bits = 1; bits <= Math.min(work, 12); bits += 1) passed[bits]! += 1;
    }
    for (let bits = 1; bits <= 12; bits += 1) {
      // Exact tails; a right puzzle is beyond this once in 40,000 seeds and bits together.
      expect(binomialTail(trials, 2 ** -bits, passed[bits]!)).toBeGreaterThan(1e-6);
    }
  });

  it('leaves IDs uniform: of those that pass, half begin with a one', () => {
    const random = seededRandom('uniform');
    let ones = 0;
    let passed = 0;
    while (passed < 2000) {
      const id = Buffer.from(random(32)).toString('hex');
      if (!meetsDifficulty(id, 4)) continue;
      passed += 1;
      if (parseInt(id[0]!, 16) >= 8) ones += 1;
    }
    expect(binomialTail(passed, 0.5, ones)).toBeGreaterThan(1e-6);
  });
});

describe('what to expect of a search', () => {
  it('doubles with each bit', () => {
    expect(expectedAttempts(0)).toBe(1);
    expect(expectedAttempts(20)).toBe(1_048_576);
  });

  it('gives the chance as the complement of failing every time', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 5000 }), (bits, n) => {
        expect(chanceOfSolution(bits, n)).toBeCloseTo(1 - (1 - 2 ** -bits) ** n, 9);
      }),
    );
    expect(chanceOfSolution(0, 1)).toBe(1);
    expect(chanceOfSolution(60, 2 ** 60)).toBeCloseTo(1 - Math.exp(-1), 9);
  });
});

describe('SHA-256 of one block', () => {
  it('is what node:crypto says, for every message that fits', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 55 }), (message) => {
        const block = Buffer.alloc(64);
        block.set(message);
        block[message.length] = 0x80;
        block.writeUInt32BE(message.length * 8, 60);
        const w = new Int32Array(64);
        for (let i = 0; i < 16; i += 1) w[i] = block.readInt32BE(4 * i);
        const digest = new Int32Array(8);
        hashBlock(w, digest);
        const bytes = Buffer.alloc(32);
        digest.forEach((word, i) => bytes.writeInt32BE(word, 4 * i));
        expect(bytes.toString('hex')).toBe(createHash('sha256').update(message).digest('hex'));
      }),
      { numRuns: 500 },
    );
  });
});
