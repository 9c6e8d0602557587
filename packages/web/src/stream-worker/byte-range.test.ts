import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseByteRange } from './byte-range.js';

describe('a range of bytes', () => {
  it('is read as RFC 9110 says', () => {
    expect(parseByteRange(null, 100)).toBe('whole');
    expect(parseByteRange('bytes=0-', 100)).toEqual({ offset: 0, length: 100 });
    expect(parseByteRange('bytes=10-19', 100)).toEqual({ offset: 10, length: 10 });
    expect(parseByteRange('bytes=90-500', 100)).toEqual({ offset: 90, length: 10 });
    expect(parseByteRange('bytes=-30', 100)).toEqual({ offset: 70, length: 30 });
    expect(parseByteRange('bytes=-300', 100)).toEqual({ offset: 0, length: 100 });
    expect(parseByteRange('bytes=99-', 100)).toEqual({ offset: 99, length: 1 });
    expect(parseByteRange('bytes=100-', 100)).toBe('none');
    expect(parseByteRange('bytes=-0', 100)).toBe('none');
    expect(parseByteRange('bytes=0-', 0)).toBe('none');
  });

  it('is not understood where it need not be', () => {
    for (const odd of ['bytes=5-4', 'bytes=0-1,3-4', 'lines=0-1', 'bytes=-', 'bytes=a-b', '']) {
      expect([odd, parseByteRange(odd, 100)]).toEqual([odd, 'whole']);
    }
  });

  it('lies within the bytes, whatever is asked', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc
            .tuple(fc.option(fc.nat(2000)), fc.option(fc.nat(2000)))
            .map(([from, to]) => `bytes=${from ?? ''}-${to ?? ''}`),
        ),
        fc.nat(1000),
        (header, size) => {
          const range = parseByteRange(header, size);
          if (typeof range === 'string') return;
          expect(range.offset).toBeGreaterThanOrEqual(0);
          expect(range.length).toBeGreaterThan(0);
          expect(range.offset + range.length).toBeLessThanOrEqual(size);
        },
      ),
    );
  });
});
