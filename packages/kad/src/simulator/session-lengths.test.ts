import { describe, expect, it } from 'vitest';
import { SeededRandom } from './seeded-random.js';
import { KAD_SHAPE, weibullSessions } from './session-lengths.js';

const COUNT = 40_000;
const draw = (of: (random: SeededRandom) => number) => {
  const random = new SeededRandom('sessions');
  return Array.from({ length: COUNT }, () => of(random)).sort((a, b) => a - b);
};
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

describe('session lengths', () => {
  it('have the median that was asked for, and the mean of the Weibull distribution', () => {
    const sessions = weibullSessions(3600);
    const lengths = draw((random) => sessions.whole(random));
    expect(Math.abs(lengths[COUNT / 2]! / 3600 - 1)).toBeLessThan(0.04);
    expect(Math.abs(mean(lengths) / sessions.meanMs - 1)).toBeLessThan(0.04);
    // Of all sessions, the share below t is 1 - exp(-ln 2 (t / median)^shape).
    const below = lengths.filter((length) => length < 600).length / COUNT;
    expect(below).toBeCloseTo(1 - Math.exp(-Math.LN2 * (600 / 3600) ** KAD_SHAPE), 1);
  });

  it('have the published mean of KAD for the published median', () => {
    // Scale 169.5385 minutes and shape 0.61511; the mean of the fit is given by its formula.
    const median = 169.5385 * Math.LN2 ** (1 / KAD_SHAPE);
    expect(weibullSessions(median).meanMs).toBeCloseTo(247.1, 0);
  });

  it('are memoryless for shape 1: what is left is distributed as the whole', () => {
    const sessions = weibullSessions(1000, 1);
    const left = draw((random) => sessions.residual(random));
    expect(sessions.meanMs).toBeCloseTo(1000 / Math.LN2, 6);
    expect(Math.abs(mean(left) / sessions.meanMs - 1)).toBeLessThan(0.04);
  });

  it('are longer for those who are there already, when most are short and some long', () => {
    const sessions = weibullSessions(1000);
    const left = draw((random) => sessions.residual(random));
    // The mean of what is left is E[L²] / 2 E[L] (renewal theory).
    const second = draw((random) => sessions.whole(random)).map((length) => length ** 2);
    expect(mean(left) / (mean(second) / (2 * sessions.meanMs))).toBeCloseTo(1, 1);
    expect(mean(left)).toBeGreaterThan(1.5 * sessions.meanMs);
  });
});
