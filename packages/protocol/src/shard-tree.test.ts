import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  HASH_SIZE,
  LEAF_SIZE,
  ShardHasher,
  ShardTree,
  hashSpan,
  leafCount,
  levelCount,
  nodeSpan,
  siblingCount,
  verifyRangeProof,
} from './shard-tree.js';
import { toHex } from './hex.js';

const sha = (...parts: Uint8Array[]) =>
  new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest());

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 9)) & 255);
}

/** The definition, said again without levels or tricks: RFC 6962's shape, without its prefixes. */
function referenceTop(leaves: Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return sha(referenceTop(leaves.slice(0, split)), referenceTop(leaves.slice(split)));
}

function referenceRoot(shard: Uint8Array): Uint8Array {
  const leaves: Uint8Array[] = [];
  for (let at = 0; at < Math.max(1, shard.length); at += LEAF_SIZE) {
    leaves.push(sha(shard.subarray(at, at + LEAF_SIZE)));
  }
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE(BigInt(shard.length));
  return sha(size, referenceTop(leaves));
}

it.each([0, 1, 4095, 4096, 4097, 8192, 12288, 20481, 40960, 65536, 100_000])(
  'has the root of the definition for %i bytes',
  (size) => {
    const shard = pattern(size);
    expect(toHex(ShardTree.of(shard).root())).toBe(toHex(referenceRoot(shard)));
  },
);

it('does not depend on how the shard comes in', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 30_000 }),
      fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 8 }),
      (size, steps) => {
        const shard = pattern(size);
        const hasher = new ShardHasher();
        for (let at = 0, i = 0; at < size; i += 1) {
          const step = steps[i % steps.length]!;
          hasher.update(shard.subarray(at, at + step));
          at += step;
        }
        expect(hasher.size).toBe(size);
        expect(hasher.finish().root()).toEqual(ShardTree.of(shard).root());
      },
    ),
    { numRuns: 100 },
  );
});

const ranges = fc
  .record({ size: fc.integer({ min: 0, max: 120_000 }), level: fc.integer({ min: 0, max: 6 }) })
  .chain(({ size, level }) => {
    const count = levelCount(leafCount(size), level);
    return fc
      .tuple(fc.integer({ min: 0, max: count - 1 }), fc.integer({ min: 0, max: count - 1 }))
      .map(([a, b]) => ({ size, level, first: Math.min(a, b), last: Math.max(a, b) }));
  });

it('proves any range, and nothing else', () => {
  fc.assert(
    fc.property(ranges, fc.nat(), ({ size, level, first, last }, noise) => {
      const shard = pattern(size);
      const tree = ShardTree.of(shard);
      const proof = tree.rangeProof(level, first, last);
      expect(proof.siblings.length / HASH_SIZE).toBe(siblingCount(size, level, first, last));
      expect(verifyRangeProof(tree.root(), size, level, first, proof)).toBe(true);

      const span = nodeSpan(level);
      for (let node = first; node <= last; node += 1) {
        const bytes = shard.subarray(node * span, Math.min((node + 1) * span, size));
        const at = (node - first) * HASH_SIZE;
        expect(toHex(hashSpan(bytes))).toBe(toHex(proof.nodes.subarray(at, at + HASH_SIZE)));
      }

      const flip = (bytes: Uint8Array) => {
        const changed = bytes.slice();
        changed[noise % changed.length]! ^= 1;
        return changed;
      };
      const { nodes, siblings } = proof;
      const root = tree.root();
      expect(verifyRangeProof(root, size, level, first, { nodes: flip(nodes), siblings })).toBe(
        false,
      );
      if (siblings.length > 0) {
        const forged = { nodes, siblings: flip(siblings) };
        expect(verifyRangeProof(root, size, level, first, forged)).toBe(false);
      }
      expect(verifyRangeProof(root, size + 1, 0, 0, { nodes, siblings })).toBe(false);
      const longer = { nodes, siblings: Buffer.concat([siblings, new Uint8Array(HASH_SIZE)]) };
      expect(verifyRangeProof(root, size, level, first, longer)).toBe(false);
    }),
    { numRuns: 150 },
  );
});

it('proves the same from the nodes of a level as from the leaves, from that level up', () => {
  fc.assert(
    fc.property(ranges, fc.nat({ max: 6 }), ({ size, level, first, last }, lowest) => {
      const whole = ShardTree.of(pattern(size));
      const part = ShardTree.fromNodes(size, lowest, whole.nodes(lowest));
      expect(toHex(part.root())).toBe(toHex(whole.root()));
      if (level < lowest) {
        expect(() => part.rangeProof(level, first, last)).toThrow(/is not here/);
      } else {
        expect(part.rangeProof(level, first, last)).toEqual(whole.rangeProof(level, first, last));
      }
      if (lowest > 0) expect(() => part.leaves()).toThrow(/is not here/);
    }),
    { numRuns: 150 },
  );
  expect(() => ShardTree.fromNodes(40_960, 2, new Uint8Array(2 * HASH_SIZE))).toThrow(/3 nodes/);
});

it('refuses ranges that no tree has, and leaves that do not fit', () => {
  const tree = ShardTree.of(pattern(10_000));
  expect(() => tree.rangeProof(0, 0, 3)).toThrow(/do not exist/);
  expect(() => tree.rangeProof(0, 2, 1)).toThrow(/do not exist/);
  expect(() => tree.rangeProof(-1, 0, 0)).toThrow(/do not exist/);
  expect(() => ShardTree.fromLeaves(10_000, new Uint8Array(2 * HASH_SIZE))).toThrow(/3 leaves/);
});
