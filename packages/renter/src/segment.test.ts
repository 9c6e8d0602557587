import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ShardTree } from '@granary/protocol';
import {
  type SegmentCipher,
  TAG_SIZE,
  chunkPlain,
  cipherLength,
  decryptChunks,
  encryptChunks,
  segmentKey,
  plainLength,
} from './segment-cipher.js';
import { decodeJob, encodeJob, saltOfSegment, shardSizeOf, windowOf } from './segment-job.js';
import { inOrder } from './segment-pipeline.js';
import { defaultSettings, segmentSizeFor } from './settings.js';

const objectKey = new Uint8Array(32).fill(7);
const pattern = (length: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 13 + (i >> 8)) & 255);
const same = (a: Uint8Array, b: Uint8Array) => Buffer.from(a).equals(Buffer.from(b));

async function encryptSegment(cipher: SegmentCipher, plain: Uint8Array): Promise<Uint8Array> {
  const out = new Uint8Array(cipherLength(plain.length, cipher.chunkSize));
  const count = Math.ceil(plain.length / chunkPlain(cipher));
  expect(await encryptChunks(cipher, plain, { first: 0, count }, out)).toBe(out.length);
  return out;
}

describe('the segment cipher', () => {
  const salt = new Uint8Array(32).fill(1);
  const cipher = { key: segmentKey(objectKey, salt), index: 3, chunkSize: 64 };

  it('gives back what it took, and lengths fit', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1000 }), async (length) => {
        const plain = pattern(length);
        const sealed = await encryptSegment(cipher, plain);
        expect(sealed.length).toBe(cipherLength(length, 64));
        expect(plainLength(sealed.length, 64)).toBe(length);
        const chunks = Math.ceil(length / (64 - TAG_SIZE));
        expect(same(await decryptChunks(cipher, sealed, 0, chunks), plain)).toBe(true);
      }),
    );
  });

  it('refuses every altered, moved, dropped or foreign chunk', async () => {
    const sealed = await encryptSegment(cipher, pattern(48 * 4));
    const open = (bytes: Uint8Array, change: object = {}, first = 0, chunks = 4) =>
      decryptChunks({ ...cipher, ...change }, bytes, first, chunks);
    await open(sealed);
    for (let at = 0; at < sealed.length; at += 5) {
      const altered = sealed.slice();
      altered[at]! ^= 4;
      await expect(open(altered), `byte ${at}`).rejects.toThrow(/does not decrypt/);
    }
    const swapped = Buffer.concat([
      sealed.subarray(64, 128),
      sealed.subarray(0, 64),
      sealed.subarray(128),
    ]);
    await expect(open(swapped)).rejects.toThrow(/chunk 0/);
    await expect(open(sealed.subarray(0, 192), {}, 0, 3)).rejects.toThrow(/chunk 2/);
    await expect(open(sealed, { index: 4 })).rejects.toThrow(/segment 4/);
    const otherSalt = segmentKey(objectKey, new Uint8Array(32));
    await expect(open(sealed, { key: otherSalt })).rejects.toThrow(/does not decrypt/);
    const otherObject = segmentKey(new Uint8Array(32), salt);
    await expect(open(sealed, { key: otherObject })).rejects.toThrow(/does not decrypt/);
    await expect(open(sealed.subarray(0, 70))).rejects.toThrow(/does not decrypt/);
  });
});

describe('segments', () => {
  const shapes = fc.record({
    k: fc.integer({ min: 1, max: 6 }),
    parity: fc.integer({ min: 0, max: 5 }),
    length: fc.integer({ min: 1, max: 20_000 }),
    from: fc.double({ min: 0, max: 0.999, noNaN: true }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
    rotate: fc.nat({ max: 20 }),
  });

  it('give back any range from any k shards', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ k, parity, length, from, part, rotate }) => {
        const n = k + parity;
        const frame = { objectKey, chunkSize: 1024, cellSize: 4096, k, n };
        const plain = pattern(length);
        const { salt, shards } = await encodeJob(frame, 5, plain);
        // Memory that was used before, and is shared.
        const room = shards.map(({ bytes }) =>
          new Uint8Array(new SharedArrayBuffer(bytes.length + 9), 0, bytes.length).fill(0xa5),
        );
        const again = await encodeJob(frame, 5, plain, room);
        shards.forEach((shard, i) => {
          expect(again.shards[i]!.bytes).toBe(room[i]);
          expect(same(room[i]!, shard.bytes)).toBe(true);
          expect(same(again.shards[i]!.audits, shard.audits)).toBe(true);
        });
        expect(same(salt, await saltOfSegment(frame, 5, plain))).toBe(true);
        for (const { bytes, hash } of shards) {
          expect(bytes.length).toBe(shardSizeOf(frame, length));
          expect(same(ShardTree.of(bytes).root(), hash)).toBe(true);
        }
        const offset = Math.floor(from * length);
        const count = Math.max(1, Math.floor(part * (length - offset)));
        const window = windowOf(frame, length, offset, count);
        const some = new Map(
          Array.from({ length: k }, (_, i) => (i + rotate) % n).map((index) => [
            index,
            shards[index]!.bytes.slice(window.shardOffset, window.shardOffset + window.shardLength),
          ]),
        );
        const key = segmentKey(objectKey, salt);
        const out = await decodeJob(frame, { index: 5, length, key }, window, some);
        expect(same(out, plain.subarray(offset, offset + count))).toBe(true);
      }),
      { numRuns: 120 },
    );
  });

  it('have another key, and so another ciphertext, for other content, places and objects', async () => {
    const frame = { objectKey, chunkSize: 1024, cellSize: 4096, k: 1, n: 1 };
    const first = async (f: typeof frame, index: number, plain: Uint8Array) =>
      Buffer.from((await encodeJob(f, index, plain)).shards[0]!.bytes.slice(0, 64)).toString('hex');
    const plain = pattern(5000);
    const other = pattern(5000);
    other[4999]! ^= 1;
    const base = await first(frame, 0, plain);
    expect(await first(frame, 0, pattern(5000))).toBe(base);
    const all = [
      base,
      await first(frame, 0, other),
      await first(frame, 1, plain),
      await first({ ...frame, objectKey: new Uint8Array(32) }, 0, plain),
    ];
    expect(new Set(all).size).toBe(4);
  });

  it('are smaller where more shards are made, so that memory stays bounded', () => {
    for (const [k, n] of [
      [4, 12],
      [1, 256],
      [29, 80],
      [1, 1],
    ] as const) {
      const size = segmentSizeFor(defaultSettings, { k, repair: k, success: k, n });
      expect(size % defaultSettings.chunkSize).toBe(0);
      expect(size).toBeGreaterThan(0);
      expect((size * n) / k).toBeLessThanOrEqual(
        Math.max(48 * 2 ** 20, (defaultSettings.chunkSize * n) / k),
      );
    }
  });
});

describe('reading ahead', () => {
  it('keeps order and its bound, and starts nothing after the reader stops', async () => {
    let active = 0;
    let most = 0;
    let started = 0;
    const work = async (index: number) => {
      started += 1;
      active += 1;
      most = Math.max(most, active);
      await new Promise((resolve) => setTimeout(resolve, index % 2 === 0 ? 3 : 1));
      active -= 1;
      return index;
    };
    const seen: number[] = [];
    for await (const value of inOrder(10, 3, work)) seen.push(value);
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(most).toBe(3);
    started = 0;
    for await (const value of inOrder(10, 3, work)) if (value === 1) break;
    expect(started).toBeLessThanOrEqual(5);
  });

  it('passes an error on in its turn', async () => {
    const seen: number[] = [];
    const run = async () => {
      const work = (i: number) => (i === 2 ? Promise.reject(new Error('two')) : Promise.resolve(i));
      for await (const value of inOrder(5, 2, work)) seen.push(value);
    };
    await expect(run()).rejects.toThrow('two');
    expect(seen).toEqual([0, 1]);
  });
});
