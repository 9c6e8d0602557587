import { type Random, randomFraction } from '@granary/kad';

/** Ports outside are drawn from here to 65535: above those that services are known by. */
const LOWEST = 20_000;

/** A random port outside, so that nodes can't be found by scanning one port of every address. */
export function randomPort(random: Random): number {
  return LOWEST + Math.floor(randomFraction(random) * (65_536 - LOWEST));
}
