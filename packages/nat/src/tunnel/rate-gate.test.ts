import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RateGate } from './rate-gate.js';

describe('a rate gate', () => {
  it('lets a burst through, and then asks for the time that the rate takes', () => {
    const gate = new RateGate(1000, 2000, 0);
    expect(gate.take(2000, 0)).toBe(0);
    expect(gate.take(500, 0)).toBe(500);
    expect(gate.take(0, 500)).toBe(0);
    // A clock that is set back gives nothing.
    expect(gate.take(100, 0)).toBe(100);
    expect(new RateGate(Infinity, Infinity, 0).take(1e12, 0)).toBe(0);
  });

  it('keeps whoever waits as he is told to the rate', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1 }), (chunks) => {
        const gate = new RateGate(10_000, 50_000, 0);
        let now = 0;
        let bytes = 0;
        for (const chunk of chunks) {
          bytes += chunk;
          now += gate.take(chunk, now);
        }
        expect(bytes).toBeLessThanOrEqual(50_000 + 10_000 * (now / 1000) + 1);
      }),
    );
  });
});
