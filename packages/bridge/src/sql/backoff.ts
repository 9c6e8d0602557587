import { type Clock, type Random, randomFraction } from '@granary/kad';

/** Wait before try number `attempt` (from 1): up to 2^attempt milliseconds, 100 at most, at random. */
export function backOff(clock: Clock, random: Random, attempt: number): Promise<void> {
  const ms = 1 + randomFraction(random) * Math.min(100, 2 ** Math.min(attempt, 10));
  return new Promise((resolve) => void clock.setTimeout(resolve, ms));
}
