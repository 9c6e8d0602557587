import { randomBytes } from 'node:crypto';
import { systemRandom } from '@granary/kad';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHUNK, CustomerKey, CustomerSealError, sealedSize } from './customer-key.js';

const key = new CustomerKey(randomBytes(32));
const salt = CustomerKey.newSalt(systemRandom);

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

const open = (
  sealed: Uint8Array,
  size: number,
  range = { offset: 0, length: size },
  { by = key, piece = 50_000 } = {},
) =>
  all(
    by.open(salt, size, range, ({ offset, length }) =>
      pieces(sealed.subarray(offset, offset + length), piece),
    ),
  );

describe('a body under a client’s key', () => {
  it('reads back, whole and in every run, however its bytes come', () =>
    fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.nat(3 * CHUNK),
          fc.constantFrom(0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1),
        ),
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1000, max: 200_000 }),
        async (size, a, b, piece) => {
          const plain = randomBytes(size);
          const sealed = await all(key.seal(salt, pieces(plain, piece)));
          expect(sealed.length).toBe(sealedSize(size));
          expect((await open(sealed, size, undefined, { piece })).equals(plain)).toBe(true);
          if (size === 0) return;
          const offset = a % size;
          const length = 1 + (b % (size - offset));
          const run = await open(sealed, size, { offset, length }, { piece });
          expect(run.equals(plain.subarray(offset, offset + length))).toBe(true);
        },
      ),
      { numRuns: 60 },
    ));

  it('tells when a byte, the order or the end of it was altered, or the key is another', async () => {
    const size = 3 * CHUNK;
    const sealed = await all(key.seal(salt, pieces(randomBytes(size), 70_000)));
    const step = CHUNK + 16;
    const flipped = Buffer.from(sealed);
    flipped[step + 5]! ^= 1;
    const swapped = Buffer.concat([
      sealed.subarray(step, 2 * step),
      sealed.subarray(0, step),
      sealed.subarray(2 * step),
    ]);
    for (const altered of [flipped, swapped]) {
      await expect(open(altered, size)).rejects.toThrow(CustomerSealError);
    }
    // Cut off where a chunk ends, and said to be that short.
    await expect(open(sealed.subarray(0, 2 * step), 2 * CHUNK)).rejects.toThrow(CustomerSealError);
    await expect(open(sealed.subarray(0, 2 * step), size)).rejects.toThrow(CustomerSealError);
    const by = new CustomerKey(randomBytes(32));
    await expect(open(sealed, size, undefined, { by })).rejects.toThrow(CustomerSealError);
    expect((await open(flipped, size, { offset: 2 * CHUNK, length: 10 })).length).toBe(10);
  });

  it('hands nothing on as the last chunk when its source ends with an error', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield randomBytes(CHUNK + 1);
      await Promise.resolve();
      throw new Error('cut off');
    }
    const parts: number[] = [];
    const read = async () => {
      for await (const part of key.seal(salt, broken())) parts.push(part.length);
    };
    await expect(read()).rejects.toThrow('cut off');
    expect(parts).toEqual([CHUNK + 16]);
  });

  it('is known again by its proof only', () => {
    const proof = key.prove(systemRandom);
    expect(key.matches(proof)).toBe(true);
    expect(new CustomerKey(randomBytes(32)).matches(proof)).toBe(false);
    expect(key.prove(systemRandom).proof).not.toBe(proof.proof);
  });
});
