import { fitLine } from '../simulate/measure.js';

/** How cost may grow with work `n`. */
export type Order = 'constant + n' | 'log n' | 'n log n';

/** What was measured: how much work, and what one of it cost. */
export interface Point {
  readonly n: number;
  readonly cost: number;
}

const terms: Record<Order, (n: number) => number> = {
  'constant + n': (n) => n,
  'log n': (n) => Math.log2(n),
  'n log n': (n) => n * Math.log2(n),
};

/** A curve of the expected order through what was measured. */
export interface Fit {
  readonly fixed: number;
  readonly slope: number;
  at(n: number): number;
}

/**
 * Fit `fixed + slope · order(n)`, neither below zero, to points over orders of magnitude: each counts by how far it
 * is off in proportion, or the largest alone would decide.
 */
export function fitOrder(order: Order, points: readonly Point[]): Fit {
  const term = terms[order];
  // Weighted least squares over cost / cost: minimise sum((fixed + slope t) / cost - 1)².
  let [aa, ab, bb, a, b] = [0, 0, 0, 0, 0];
  for (const { n, cost } of points) {
    const u = 1 / cost;
    const v = term(n) / cost;
    aa += u * u;
    ab += u * v;
    bb += v * v;
    a += u;
    b += v;
  }
  const determinant = aa * bb - ab * ab;
  let fixed = determinant === 0 ? 0 : (a * bb - b * ab) / determinant;
  let slope = determinant === 0 ? 0 : (b * aa - a * ab) / determinant;
  if (fixed < 0 || determinant === 0) [fixed, slope] = [0, b / bb];
  if (slope < 0) [fixed, slope] = [a / aa, 0];
  return { fixed, slope, at: (n) => fixed + slope * term(n) };
}

/** The exponent of the power law between the points, by their logarithms: 1 where cost grows as work does. */
export function exponentOf(points: readonly Point[]): number {
  return fitLine(points.map(({ n, cost }) => [Math.log(n), Math.log(cost)])).slope;
}
