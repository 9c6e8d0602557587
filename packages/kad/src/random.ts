import { randomBytes } from '#kad/platform';

/** A source of random bytes, passed in so that a simulator can seed it. */
export type Random = (count: number) => Uint8Array;

/** The operating system's randomness. */
export const systemRandom: Random = randomBytes;

/** A number in [0, 1) from a random source. */
export function randomFraction(random: Random): number {
  const bytes = random(4);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 2 ** 32;
}
