import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createCodec } from './codec.js';
import {
  decodeSegment,
  decodeStream,
  decodeStripes,
  encodeSegment,
  encodeStream,
  encodeStripes,
  stripeLayout,
  stripesForRange,
} from './striping.js';

function pattern(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255);
}

const cases = fc.record({
  k: fc.integer({ min: 1, max: 9 }),
  parity: fc.integer({ min: 0, max: 6 }),
  cellSize: fc.constantFrom(1, 5, 32, 64, 96),
  segmentLength: fc.integer({ min: 0, max: 3000 }),
  pick: fc.integer({ min: 0, max: 1000 }),
  from: fc.double({ min: 0, max: 0.999, noNaN: true }),
  part: fc.double({ min: 0, max: 1, noNaN: true }),
});

it('gives back a segment, and any range of it, from any k shards', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ k, parity, cellSize, segmentLength, pick, from, part }) => {
      const n = k + parity;
      const layout = stripeLayout({ k, n, cellSize, segmentLength });
      const codec = await createCodec({ k, n });
      const segment = pattern(segmentLength);
      const shards = encodeSegment(codec, layout, segment);
      expect(shards.map(({ length }) => length)).toEqual(
        Array.from({ length: n }, () => layout.shardLength),
      );
      expect(layout.shardLength * k - segmentLength).toBeLessThan(k);
      const kept = Array.from({ length: k }, (_, i) => (i + pick) % n);
      const map = new Map(kept.map((i) => [i, shards[i]!]));
      expect(decodeSegment(codec, layout, map)).toEqual(segment);

      if (segmentLength === 0) return;
      const offset = Math.floor(from * segmentLength);
      const length = Math.max(1, Math.floor(part * (segmentLength - offset)));
      const range = stripesForRange(layout, offset, length);
      const cut = new Map(
        [...map].map(([i, shard]) => [
          i,
          shard.subarray(range.shardOffset, range.shardOffset + range.shardLength),
        ]),
      );
      const stripes = decodeStripes(codec, layout, range, cut);
      const at = offset - range.segmentOffset;
      expect(stripes.subarray(at, at + length)).toEqual(segment.subarray(offset, offset + length));
      const room = new Uint8Array(range.segmentLength).fill(0xa5);
      expect(decodeStripes(codec, layout, range, cut, room)).toBe(room);
      expect(room).toEqual(stripes);
      expect(() => decodeStripes(codec, layout, range, cut, room.subarray(1))).toThrow(
        expect.objectContaining({ code: 'ERASURE_SHARD_SIZE' }),
      );
    }),
    { numRuns: 200 },
  );
});

it('codes a segment piece by piece into arrays that had something else in them', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ k, parity, cellSize, segmentLength, pick }) => {
      const n = k + parity;
      const layout = stripeLayout({ k, n, cellSize, segmentLength });
      const codec = await createCodec({ k, n });
      const segment = pattern(segmentLength);
      const shards = Array.from({ length: n }, () => new Uint8Array(layout.shardLength).fill(0xa5));
      const stripe = k * cellSize;
      for (let first = 0; first * stripe < segmentLength;) {
        const count = 1 + ((pick + first) % 3);
        const bytes = segment.subarray(first * stripe, (first + count) * stripe);
        encodeStripes(codec, layout, first, bytes, shards);
        first += count;
      }
      expect(shards).toEqual(encodeSegment(codec, layout, segment));
    }),
    { numRuns: 200 },
  );
  const codec = await createCodec({ k: 2, n: 3 });
  const layout = stripeLayout({ k: 2, n: 3, cellSize: 4, segmentLength: 20 });
  const shards = Array.from({ length: 3 }, () => new Uint8Array(layout.shardLength));
  const refused =
    (first: number, length: number, room = shards) =>
    () =>
      encodeStripes(codec, layout, first, new Uint8Array(length), room);
  expect(refused(0, 12)).toThrow(/stripe 0/);
  expect(refused(2, 8)).toThrow(/stripe 2/);
  expect(refused(0, 8, shards.slice(1))).toThrow(/room for 3 shards/);
  expect(refused(2, 4)).not.toThrow();
});

it('codes a stream stripe by stripe, whatever pieces it comes in', async () => {
  const codec = await createCodec({ k: 3, n: 5 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uint8Array({ maxLength: 70 }), { maxLength: 20 }),
      async (pieces) => {
        const whole = Buffer.concat(pieces);
        const stripes: Map<number, Uint8Array>[] = [];
        const source = (async function* () {
          for (const piece of pieces) yield await Promise.resolve(piece);
        })();
        for await (const cells of encodeStream(codec, 16, source)) {
          stripes.push(
            new Map([
              [4, cells[4]!],
              [1, cells[1]!],
              [3, cells[3]!],
            ]),
          );
        }
        expect(stripes.length).toBe(Math.ceil(whole.length / 48));
        const out: Uint8Array[] = [];
        const coded = (async function* () {
          for (const stripe of stripes) yield await Promise.resolve(stripe);
        })();
        for await (const piece of decodeStream(codec, 16, whole.length, coded)) out.push(piece);
        expect(Buffer.concat(out).equals(whole)).toBe(true);
      },
    ),
    { numRuns: 50 },
  );
});

it('refuses a stream that ends early', async () => {
  const codec = await createCodec({ k: 2, n: 2 });
  const none = (async function* () {})() as AsyncGenerator<Map<number, Uint8Array>>;
  await expect(decodeStream(codec, 4, 5, none).next()).rejects.toThrow(/end 5 bytes early/);
});

it('refuses ranges outside of the segment and shards of another length', async () => {
  const layout = stripeLayout({ k: 2, n: 3, cellSize: 4, segmentLength: 10 });
  expect(() => stripesForRange(layout, 8, 3)).toThrow(/not in a segment of 10/);
  expect(() => stripesForRange(layout, 0, 0)).toThrow(/not in a segment/);
  const codec = await createCodec({ k: 2, n: 3 });
  const short = new Map([
    [0, new Uint8Array(2)],
    [1, new Uint8Array(2)],
  ]);
  expect(() => decodeSegment(codec, layout, short)).toThrow(/2 bytes where 5/);
});
