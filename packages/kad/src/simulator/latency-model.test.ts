import { describe, expect, it } from 'vitest';
import { KING_MEAN_MS, KING_MEDIAN_MS, kingLatency } from './latency-model.js';

const address = (n: number) => `https://20.0.${n >> 8}.${n & 255}:1`;

describe('the latency model', () => {
  it('has the median and the mean of the King data set', () => {
    const latency = kingLatency('1');
    const roundTrips: number[] = [];
    for (let a = 0; a < 200; a += 1) {
      for (let b = a + 1; b < 200; b += 1) roundTrips.push(2 * latency(address(a), address(b)));
    }
    roundTrips.sort((a, b) => a - b);
    const median = roundTrips[roundTrips.length / 2]!;
    const mean = roundTrips.reduce((sum, ms) => sum + ms, 0) / roundTrips.length;
    expect(Math.abs(median / KING_MEDIAN_MS - 1)).toBeLessThan(0.03);
    expect(Math.abs(mean / KING_MEAN_MS - 1)).toBeLessThan(0.03);
    expect(roundTrips.at(-1)).toBeLessThanOrEqual(1200);
  });

  it('gives a pair the same latency both ways, for the same seed always', () => {
    const [one, same, other] = [kingLatency('1'), kingLatency('1'), kingLatency('2')];
    const [a, b] = [address(7), address(300)];
    expect(one(a, b)).toBe(one(b, a));
    expect(same(a, b)).toBe(one(a, b));
    expect(other(a, b)).not.toBe(one(a, b));
    expect(one(a, address(301))).not.toBe(one(a, b));
  });
});
