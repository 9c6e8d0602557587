/**
 * GF(2^8) with the primitive polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d), the field of most
 * Reed–Solomon storage codes (Plank 1997).
 */
export const POLYNOMIAL = 0x11d;

/** Powers of the generator 2; twice over, so that sums of logarithms need no reduction. */
export const EXP = new Uint8Array(510);
/** Logarithms to base 2 of 1..255. */
export const LOG = new Uint8Array(256);

for (let i = 0, x = 1; i < 255; i += 1) {
  EXP[i] = x;
  EXP[i + 255] = x;
  LOG[x] = i;
  x <<= 1;
  if (x > 255) x ^= POLYNOMIAL;
}

/** The product of two elements. */
export function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : EXP[LOG[a]! + LOG[b]!]!;
}

/** The inverse of an element other than 0. */
export function inverse(a: number): number {
  return EXP[255 - LOG[a]!]!;
}
