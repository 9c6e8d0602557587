import { type Random, randomFraction } from '../random.js';

/** In place, each order as likely as any other (Fisher and Yates). */
export function shuffle<T>(items: T[], random: Random): T[] {
  for (let i = items.length - 1; i > 0; i -= 1) {
    const j = Math.floor(randomFraction(random) * (i + 1));
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}

/** A time, give or take a fifth, so that nodes do not work in step. */
export function jittered(ms: number, random: Random): number {
  return ms * (0.8 + 0.4 * randomFraction(random));
}
