import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SharedBuffers } from './shared-buffers.js';

const KiB = 1024;

describe('shared buffers', () => {
  it('are as large as asked, little larger behind, and never given twice', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 3000 * KiB }), { maxLength: 40 }),
        fc.infiniteStream(fc.boolean()),
        (sizes, coins) => {
          const buffers = new SharedBuffers(8 * 1024 * KiB);
          const out: Uint8Array[] = [];
          for (const size of sizes) {
            const array = buffers.take(size);
            expect(array.length).toBe(size);
            expect(array.buffer.byteLength).toBeLessThanOrEqual(Math.ceil(size * 1.25));
            expect(out.every(({ buffer }) => buffer !== array.buffer)).toBe(true);
            out.push(array);
            if (coins.next().value === true) buffers.give(out.splice(0, 1)[0]!);
            expect(buffers.size).toBeLessThanOrEqual(8 * 1024 * KiB);
          }
        },
      ),
    );
  });

  it('come back for arrays of about the same size', () => {
    const buffers = new SharedBuffers(1024 * KiB);
    const first = buffers.take(1000 * KiB);
    buffers.give(first);
    expect(buffers.size).toBe(1024 * KiB);
    expect(buffers.take(990 * KiB).buffer).toBe(first.buffer);
    expect(buffers.size).toBe(0);
    // No room for another one.
    buffers.give(first);
    buffers.give(buffers.take(300 * KiB));
    expect(buffers.size).toBe(1024 * KiB);
    buffers.clear();
    expect(buffers.size).toBe(0);
    expect(buffers.take(1000 * KiB).buffer).not.toBe(first.buffer);
  });

  it('are ordinary arrays when they are small, and take none that are', () => {
    const buffers = new SharedBuffers(1024 * KiB);
    const small = buffers.take(100 * KiB);
    expect(small.buffer).toBeInstanceOf(ArrayBuffer);
    buffers.give(small);
    buffers.give(new Uint8Array(500 * KiB));
    expect(buffers.size).toBe(0);
  });
});
