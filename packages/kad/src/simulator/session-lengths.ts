import type { SeededRandom } from './seeded-random.js';

/**
 * The shape of the Weibull distribution that fits the sessions of KAD's peers (Steiner, En-Najjary and
 * Biersack 2007, "Analyzing Peer Behavior in KAD", and 2009; scale 169.5385 minutes). Stutzbach and
 * Rejaie 2006 find Weibull distributions of shapes below 1 in Gnutella, BitTorrent and Kad, too: the
 * longer a node has been there, the longer it will stay.
 */
export const KAD_SHAPE = 0.61511;

/** How long nodes stay, in milliseconds. */
export interface SessionLengths {
  /** The session of a node that comes now. */
  whole(random: SeededRandom): number;
  /** What is left of the session of a node that is there already. */
  residual(random: SeededRandom): number;
  readonly meanMs: number;
}

/**
 * Weibull-distributed sessions.
 *
 * @param medianMs - milliseconds, above 0
 * @param shape - 1 is the exponential distribution; below it, most sessions are short and some long
 */
export function weibullSessions(medianMs: number, shape = KAD_SHAPE): SessionLengths {
  const scale = medianMs / Math.LN2 ** (1 / shape);
  return {
    meanMs: scale * gamma(1 + 1 / shape),
    whole: (random) => scale * (-Math.log(1 - random.next())) ** (1 / shape),
    // Whoever looks at a moment meets a session with a chance that grows with its length, at any
    // point of it: its length L has a density in proportion to that length, so that (L/scale)^shape
    // is gamma-distributed (1 + 1/shape), and what is left is a uniform share of it.
    residual: (random) =>
      scale * gammaDeviate(1 + 1 / shape, random) ** (1 / shape) * random.next(),
  };
}

/** A gamma-distributed number of this shape (at least 1) and scale 1 (Marsaglia and Tsang 2000). */
function gammaDeviate(shape: number, random: SeededRandom): number {
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = random.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.next()) < (x * x) / 2 + d - d * v + d * Math.log(v)) {
      return d * v;
    }
  }
}

/** The gamma function for x of at least 1 (Lanczos 1964, g = 7). */
function gamma(x: number): number {
  const coefficients = [
    676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];
  let sum = 0.99999999999980993;
  coefficients.forEach((coefficient, i) => (sum += coefficient / (x + i)));
  const t = x + 6.5;
  return Math.sqrt(2 * Math.PI) * t ** (x - 0.5) * Math.exp(-t) * sum;
}
