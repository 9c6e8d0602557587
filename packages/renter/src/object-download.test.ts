import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { piecesOf } from './object-download.js';

const MIB = 1024 * 1024;
const sizes = (offset: number, length: number, segmentBytes: number, first = MIB) =>
  piecesOf(offset, length, segmentBytes, first).map(({ from, to }) => (to - from) / MIB);

describe('the pieces of a read', () => {
  it('begin small, and are whole segments soon', () => {
    expect(sizes(0, 64 * MIB, 16 * MIB)).toEqual([1, 4, 11, 16, 16, 16]);
    expect(sizes(0, 64 * MIB, 2 * MIB)).toEqual([1, 1, ...Array<number>(31).fill(2)]);
    expect(sizes(3 * MIB, 61 * MIB, 16 * MIB)).toEqual([1, 4, 8, 16, 16, 16]);
    expect(sizes(15 * MIB, 33 * MIB, 16 * MIB)).toEqual([1, 4, 12, 16]);
  });

  it('are none for a small part of what is read, or as large as most of it', () => {
    expect(sizes(0, 3 * MIB, 16 * MIB)).toEqual([3]);
    expect(sizes(0, 4 * MIB, 16 * MIB)).toEqual([1, 3]);
    expect(sizes(0, 16 * MIB, 16 * MIB)).toEqual([1, 15]);
    expect(sizes(0, 64 * MIB, 1.5 * MIB).slice(0, 3)).toEqual([1.5, 1.5, 1.5]);
  });

  it('are whole segments for who has no need of the first bytes', () => {
    expect(sizes(0, 64 * MIB, 16 * MIB, Infinity)).toEqual([16, 16, 16, 16]);
  });

  it('are all that is read, in order, and each of one segment', () => {
    fc.assert(
      fc.property(
        fc.nat(1e9),
        fc.integer({ min: 1, max: 1e9 }),
        fc.integer({ min: 1e6, max: 64 * MIB }),
        fc.constantFrom(1, MIB, Infinity),
        (offset, length, segmentBytes, first) => {
          let at = offset;
          const pieces = piecesOf(offset, length, segmentBytes, first);
          for (const { index, from, to } of pieces) {
            expect(index * segmentBytes + from).toBe(at);
            expect(to).toBeGreaterThan(from);
            expect(to).toBeLessThanOrEqual(segmentBytes);
            at += to - from;
          }
          expect(at).toBe(offset + length);
          // However small the first, there are few more than there are segments.
          const segments = new Set(pieces.map(({ index }) => index)).size;
          expect(pieces.length - segments).toBeLessThanOrEqual(first === MIB ? 3 : 16);
        },
      ),
    );
  });
});
