import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TestGranary, put } from './care.test-support.js';
import type { Renter } from './index.js';
import { type SegmentEngine, inlineEngine } from './segment-engine.js';

const MIB = 1024 * 1024;
let granary: TestGranary;
let renter: Renter;
const content = randomBytes(20 * MIB);

beforeEach(async () => {
  granary = await TestGranary.start(6, { segmentSize: 8 * MIB });
  renter = await granary.renter();
  await put(renter, 'file', content);
});
afterEach(() => granary.stop());

/** Change a byte near the end of every large shard that some farmers hold. */
async function damage(count: number): Promise<void> {
  for (const farmer of granary.farmers.slice(0, count)) {
    for (const path of await granary.shardFiles(farmer)) {
      const file = await open(path, 'r+');
      const at = Math.floor(3.5 * MIB);
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, at);
      await file.write(Buffer.of(byte[0]! ^ 1), 0, 1, at);
      await file.close();
    }
  }
}

/** What a read gives until it ends or fails. */
async function readAll(by = renter): Promise<{ bytes: Buffer; error?: unknown }> {
  const parts: Uint8Array[] = [];
  try {
    for await (const part of by.get({ bucket: 'test', name: 'file' })) parts.push(part);
    return { bytes: Buffer.concat(parts) };
  } catch (error) {
    return { bytes: Buffer.concat(parts), error };
  }
}

it('reads past farmers whose shards turn out wrong after much of them was read', async () => {
  await damage(3);
  const { bytes, error } = await readAll();
  expect(error).toBeUndefined();
  expect(bytes.equals(content)).toBe(true);
  // Another read knows by now, and finds the same.
  expect((await readAll()).bytes.equals(content)).toBe(true);
}, 60_000);

it('gives right bytes only, and an error, where too many shards turn out wrong', async () => {
  await damage(6);
  const { bytes, error } = await readAll();
  expect(error).toMatchObject({ code: 'RENTER_NOT_ENOUGH_SHARDS' });
  // How much there was depends on who was how quick.
  expect(bytes.length).toBeLessThan(8 * MIB);
  expect(bytes.equals(content.subarray(0, bytes.length))).toBe(true);
}, 60_000);

it('is read again, and closed, after readers that left in the middle', async () => {
  for (const enough of [1, 3 * MIB, 9 * MIB]) {
    let got = 0;
    for await (const part of renter.get({ bucket: 'test', name: 'file' })) {
      if ((got += part.length) >= enough) break;
    }
  }
  expect((await readAll()).bytes.equals(content)).toBe(true);
}, 60_000);

it('reads the same where memory is not shared, and is given away piece by piece', async () => {
  await renter.close();
  const given: number[] = [];
  const engine: SegmentEngine = {
    ...inlineEngine,
    sharesMemory: false,
    decode: async (layout, segment, window, shards) => {
      for (const bytes of shards.values()) expect(bytes).toHaveLength(window.shardLength);
      const plain = await inlineEngine.decode(layout, segment, window, shards);
      given.push(plain.length);
      // As if they were in another thread now.
      for (const bytes of shards.values()) bytes.fill(0);
      return plain;
    },
  };
  const other = await granary.renter('renter', {}, { engine });
  expect((await readAll(other)).bytes.equals(content)).toBe(true);
  const segment = 8 * MIB - 128 * 16;
  expect(given.slice(0, 3)).toEqual([MIB, segment - MIB, segment]);
  await damage(3);
  expect((await readAll(other)).bytes.equals(content)).toBe(true);
}, 60_000);
