import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { frameSizeAt } from './frame-size.js';
import { MAX_DATA_FRAME, MIN_DATA_FRAME } from './transfer-messages.js';

it('is of a quarter of a second at most, where that is between the bounds', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e12, noNaN: true }), (rate) => {
      const size = frameSizeAt(rate);
      expect(size).toBeGreaterThanOrEqual(MIN_DATA_FRAME);
      expect(size).toBeLessThanOrEqual(MAX_DATA_FRAME);
      if (size > 65_536) expect(size).toBeLessThanOrEqual(rate / 4);
      if (size < MAX_DATA_FRAME) expect(2 * size).toBeGreaterThan(rate / 4);
    }),
  );
});

it('is small for slow connections, and as large as can be for fast ones, even of no measurable time', () => {
  expect(frameSizeAt(10_000)).toBe(65_536);
  expect(frameSizeAt(1024 * 1024)).toBe(256 * 1024);
  expect(frameSizeAt(Infinity)).toBe(MAX_DATA_FRAME);
});
