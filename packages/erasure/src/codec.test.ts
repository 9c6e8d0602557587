import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createCodec } from './codec.js';
import { ErasureError } from './errors.js';
import type { Implementation } from './kernel.js';
import { hasSimd } from './wasm-kernel.js';

const implementations: Implementation[] = ['wasm-simd', 'scalar'];

/** The data of testdata/make-vectors.py. */
function bytesOf(seed: string, length: number): Uint8Array {
  const parts: Buffer[] = [];
  for (let counter = 0; parts.length * 32 < length; counter += 1) {
    parts.push(createHash('sha256').update(`${seed}:${counter}`).digest());
  }
  return new Uint8Array(Buffer.concat(parts).subarray(0, length));
}

const scheme = fc
  .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 40 }))
  .map(([k, m]) => ({ k, n: k + m }));

const lossy = scheme.chain(({ k, n }) =>
  fc.record({
    k: fc.constant(k),
    n: fc.constant(n),
    length: fc.integer({ min: 0, max: 300 }),
    kept: fc.shuffledSubarray(
      Array.from({ length: n }, (_, i) => i),
      { minLength: k, maxLength: k },
    ),
    seed: fc.string(),
  }),
);

it('runs with SIMD here, so that both implementations are tested', () => {
  expect(hasSimd()).toBe(true);
});

describe.each(implementations)('%s', (implementation) => {
  it('makes the same parity as zfec', async () => {
    const { vectors } = JSON.parse(
      readFileSync(new URL('../testdata/vectors.json', import.meta.url), 'utf8'),
    ) as { vectors: { k: number; n: number; length: number; parity: string[] }[] };
    expect(vectors.length).toBeGreaterThan(10);
    for (const { k, n, length, parity } of vectors) {
      const codec = await createCodec({ k, n, implementation });
      expect(codec.implementation).toBe(implementation);
      const data = Array.from({ length: k }, (_, i) => bytesOf(`${k}/${n}/${i}`, length));
      const made = codec.encode(data).map((shard) => Buffer.from(shard).toString('hex'));
      expect(made).toEqual(parity);
    }
  });

  it('restores every shard from any k', async () => {
    await fc.assert(
      fc.asyncProperty(lossy, async ({ k, n, length, kept, seed }) => {
        const codec = await createCodec({ k, n, implementation });
        const data = Array.from({ length: k }, (_, i) => bytesOf(`${seed}${i}`, length));
        const all = [...data, ...codec.encode(data)];
        const some = new Map(kept.map((index) => [index, all[index]!]));
        expect(codec.reconstructAll(some)).toEqual(all);
        expect(codec.reconstructData(some)).toEqual(data);
        // Into arrays that are there, whatever is in them; the others are new ones.
        const room = new Map(
          data.flatMap((_, i) => (i % 2 === 0 ? [[i, bytesOf(`old${i}`, length)] as const] : [])),
        );
        const made = codec.reconstructData(some, room);
        expect(made).toEqual(data);
        for (const [i, array] of room) if (!some.has(i)) expect(made[i]).toBe(array);
        const wanted = [0, n - 1];
        expect(codec.reconstruct(some, wanted)).toEqual(
          new Map(wanted.map((index) => [index, all[index]!])),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('restores under every pattern of loss of a small code', async () => {
    const [k, n] = [3, 7];
    const codec = await createCodec({ k, n, implementation });
    const data = Array.from({ length: k }, (_, i) => bytesOf(`small${i}`, 50));
    const all = [...data, ...codec.encode(data)];
    let patterns = 0;
    for (let mask = 0; mask < 2 ** n; mask += 1) {
      const kept = all.map((shard, i) => [i, shard] as const).filter(([i]) => (mask >> i) & 1);
      if (kept.length < k) {
        expect(() => codec.reconstructAll(new Map(kept))).toThrow(ErasureError);
      } else {
        expect(codec.reconstructAll(new Map(kept))).toEqual(all);
      }
      patterns += 1;
    }
    expect(patterns).toBe(128);
  });

  it('codes blocks longer than its working memory', async () => {
    const codec = await createCodec({ k: 5, n: 9, implementation });
    const data = Array.from({ length: 5 }, (_, i) => bytesOf(`long${i}`, 300_001));
    const all = [...data, ...codec.encode(data)];
    const some = new Map([8, 1, 7, 6, 5].map((index) => [index, all[index]!]));
    const restored = codec.reconstructAll(some);
    restored.forEach((shard, i) => expect(Buffer.compare(shard, all[i]!)).toBe(0));
  });

  it('tells a damaged shard', async () => {
    const codec = await createCodec({ k: 4, n: 8, implementation });
    const data = Array.from({ length: 4 }, (_, i) => bytesOf(`verify${i}`, 100));
    const all = [...data, ...codec.encode(data)];
    const map = () => new Map(all.map((shard, i) => [i, Uint8Array.from(shard)]));
    expect(codec.verify(map())).toBe(true);
    for (let index = 0; index < 8; index += 1) {
      const damaged = map();
      damaged.get(index)![99]! ^= 1;
      expect(codec.verify(damaged)).toBe(false);
    }
    expect(() => codec.verify(new Map([...map()].slice(0, 4)))).toThrow(/5 shards are needed/);
  });

  it('refuses shards that do not fit', async () => {
    const codec = await createCodec({ k: 2, n: 3, implementation });
    const [a, b] = [new Uint8Array(3), new Uint8Array(4)];
    expect(() => codec.encode([a, b])).toThrow(/differ in length/);
    expect(() => codec.encode([a])).toThrow(/2 data shards/);
    expect(() => codec.reconstruct(new Map([[3, a]]), [0])).toThrow(/no shard 3/);
    expect(() => codec.reconstruct(new Map([[0, a]]), [1])).toThrow(/2 shards are needed/);
    const two = new Map([1, 2].map((index) => [index, a]));
    expect(() => codec.reconstruct(two, [0], new Map([[0, b]]))).toThrow(/differ in length/);
  });
});

it('refuses parameters that no code has', async () => {
  for (const [k, n] of [
    [0, 1],
    [2, 1],
    [1, 257],
    [1.5, 3],
    [NaN, 3],
  ] as const) {
    await expect(createCodec({ k, n })).rejects.toThrow(ErasureError);
  }
});
