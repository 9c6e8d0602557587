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
          const seen = new Set<ArrayBufferLike>();
          for (const size of sizes) {
            const array = buffers.take(size);
            expect(array.length).toBe(size);
            // A new one is little larger; one that was kept may be four times as large.
            const known = seen.has(array.buffer);
            seen.add(array.buffer);
            const most = Math.ceil(size * 1.25) * (known ? 4 : 1);
            expect(array.buffer.byteLength).toBeLessThanOrEqual(most);
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
    // Of those that are kept the smallest that fits, if not by far too large.
    buffers.give(first);
    expect(buffers.take(300 * KiB).buffer).toBe(first.buffer);
    buffers.give(first);
    expect(buffers.take(200 * KiB).buffer).not.toBe(first.buffer);
    // No room for another one.
    buffers.give(buffers.take(200 * KiB));
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

  it('have garbage collected by how much is made and let go, not by what is used again', () => {
    let collections = 0;
    const buffers = new SharedBuffers(128 * 1024 * KiB, (what) => {
      expect(what).toBe('all');
      collections += 1;
    });
    const size = 16 * 1024 * KiB;
    const taken = [1, 2, 3].map(() => buffers.take(size));
    expect(collections).toBe(0);
    taken.push(buffers.take(size));
    expect(collections).toBe(1);
    for (let i = 0; i < 100; i += 1) {
      buffers.give(taken.pop()!);
      taken.push(buffers.take(size));
    }
    for (const array of taken) buffers.give(array);
    expect(collections).toBe(1);
    buffers.clear();
    expect(collections).toBe(2);
  });
});
