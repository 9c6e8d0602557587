import fc from 'fast-check';
import { expect, it } from 'vitest';
import { exponentOf, fitOrder } from './curve.js';

const work = [10, 100, 1000, 10_000];

it('finds the curve that points lie on, whatever its parts', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('constant + n' as const, 'log n' as const, 'n log n' as const),
      fc.double({ min: 0.1, max: 100, noNaN: true }),
      fc.double({ min: 0.01, max: 10, noNaN: true }),
      (order, fixed, slope) => {
        const term = {
          'constant + n': (n: number) => n,
          'log n': Math.log2,
          'n log n': (n: number) => n * Math.log2(n),
        };
        const points = work.map((n) => ({ n, cost: fixed + slope * term[order](n) }));
        const fit = fitOrder(order, points);
        for (const { n, cost } of points) expect(fit.at(n) / cost).toBeCloseTo(1, 3);
      },
    ),
  );
});

it('has no part below zero', () => {
  const falling = fitOrder('log n', [
    { n: 10, cost: 5 },
    { n: 1000, cost: 3 },
  ]);
  expect(falling.slope).toBe(0);
  expect(falling.fixed).toBeGreaterThan(3);
  expect(falling.fixed).toBeLessThan(5);
  const steep = fitOrder('constant + n', [
    { n: 10, cost: 1 },
    { n: 100, cost: 100 },
  ]);
  expect(steep.fixed).toBe(0);
  expect(steep.slope).toBeGreaterThan(0);
});

it('knows a power by its exponent', () => {
  for (const power of [0, 0.5, 1, 2]) {
    expect(exponentOf(work.map((n) => ({ n, cost: 3 * n ** power })))).toBeCloseTo(power, 6);
  }
});
