// FIPS 180-4, section 4.2.2: the first 32 bits of the fractional parts of the cube roots of the
// first 64 primes, and (section 5.3.3) of the square roots of the first 8.
const PRIMES = firstPrimes(64);
const K = Int32Array.from(PRIMES, (prime) => fractionBits(BigInt(prime), 3n));
const H = Int32Array.from(PRIMES.slice(0, 8), (prime) => fractionBits(BigInt(prime), 2n));

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let n = 2; primes.length < count; n += 1) {
    if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  }
  return primes;
}

/** The first 32 bits after the point of a root, as a signed number. */
function fractionBits(radicand: bigint, degree: bigint): number {
  const scaled = radicand << (32n * degree);
  let low = 0n;
  let high = 1n << 40n;
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** degree <= scaled) low = middle;
    else high = middle;
  }
  return Number(BigInt.asIntN(32, low));
}

/**
 * SHA-256 of a message of one block (at most 55 bytes). For the search of a proof of work, which
 * hashes two such messages for each key: a call of node:crypto takes four times as long, most of it
 * on the way there and back.
 *
 * @param w - 64 words, of which the first 16 hold the padded block; the rest is overwritten
 * @param digest - takes the 8 words of the hash
 */
export function hashBlock(w: Int32Array, digest: Int32Array): void {
  for (let i = 16; i < 64; i += 1) {
    const x = w[i - 15]!;
    const y = w[i - 2]!;
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0;
  }
  let a = H[0]!;
  let b = H[1]!;
  let c = H[2]!;
  let d = H[3]!;
  let e = H[4]!;
  let f = H[5]!;
  let g = H[6]!;
  let h = H[7]!;
  for (let i = 0; i < 64; i += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + (g ^ (e & (f ^ g))) + K[i]! + w[i]!) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (c & (a ^ b)))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  digest[0] = H[0]! + a;
  digest[1] = H[1]! + b;
  digest[2] = H[2]! + c;
  digest[3] = H[3]! + d;
  digest[4] = H[4]! + e;
  digest[5] = H[5]! + f;
  digest[6] = H[6]! + g;
  digest[7] = H[7]! + h;
}
