import { createMix } from './mix.js';

/** The median round trip of the King data set, in milliseconds (Dabek et al. 2004, "Vivaldi"). */
export const KING_MEDIAN_MS = 159;
/** Its mean round trip, in milliseconds, as those give it who simulate with it (p2psim). */
export const KING_MEAN_MS = 180;
/** The shortest and the longest round trip that is drawn, in milliseconds. */
const BOUNDS = [4, 1200] as const;

/**
 * Latencies distributed as those between 1,740 DNS servers in the King data set (Gummadi, Saroiu and
 * Gribble 2002), on which most simulations of DHTs are run: log-normal, with the published median and
 * mean. A pair of addresses has the same latency both ways, and for the same seed always.
 *
 * What it leaves out: addresses near each other on a map are not near each other here, and the
 * latency of a pair does not vary.
 *
 * @param medianMs - of the round trip
 * @param meanMs - of the round trip; more than the median
 * @returns milliseconds one way between two addresses
 */
export function kingLatency(
  seed: string,
  { medianMs = KING_MEDIAN_MS, meanMs = KING_MEAN_MS } = {},
): (from: string, to: string) => number {
  // The mean of a log-normal distribution is its median times e^(sigma²/2).
  const sigma = Math.sqrt(2 * Math.log(meanMs / medianMs));
  const mix = createMix(seed);
  return (from, to) => {
    const roundTrip = medianMs * Math.exp(sigma * mix.normal(from, to));
    return Math.min(BOUNDS[1], Math.max(BOUNDS[0], roundTrip)) / 2;
  };
}
