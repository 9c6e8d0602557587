import * as secp256k1 from 'tiny-secp256k1';
import { KadError } from './errors.js';
import { PROOF_OF_WORK_LABEL } from './proof-of-work.js';
import type { Random } from './random.js';
import { hashBlock } from './sha256-block.js';

interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

/** Points on either side of the centre in one batch. More would save little: see the inversion. */
const REACH = 512;
/** Keys that one batch tries: two for each point, since the negative of a point has the same x. */
export const KEYS_PER_BATCH = 2 * (2 * REACH + 1);

// SEC 2, section 2.4.1.
const P = 2n ** 256n - 2n ** 32n - 977n;
const FOLD = 2n ** 32n + 977n;
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

/**
 * Looks for a key whose identity meets a difficulty. It starts at a random key d and tries d ± 1,
 * d ± 2 and so on: the public keys are then one addition of points apart, which costs a hundredth of
 * a multiplication (with the division of a whole batch done at once, Montgomery 1987, section
 * 10.3.1, and only x worked out, since either y is a key of ours).
 *
 * The key found is as safe as a random one: d is uniform, drawn for this search alone, kept nowhere,
 * and what was tried beside it is given to nobody; so no two identities ever have keys whose
 * difference is known. Nothing here runs in constant time, which matters only to somebody who can
 * time this process while it searches; the private key itself is touched by libsecp256k1 alone.
 */
export class KeySearch {
  private readonly start: Uint8Array;
  private centre: Point;
  /** Where the centre is: start + offset. */
  private offset = 0n;
  private readonly multiples = multiplesOfG();
  private readonly prefix: bigint[] = new Array<bigint>(REACH + 1);
  private readonly puzzle: Puzzle;

  /** @param difficulty - in bits, 0 to 256 */
  constructor(difficulty: number, random: Random) {
    this.puzzle = new Puzzle(difficulty);
    let start = random(32);
    while (!secp256k1.isPrivate(start)) start = random(32);
    this.start = start;
    this.centre = affine(secp256k1.pointFromScalar(start, false)!);
  }

  /**
   * Try the next {@link KEYS_PER_BATCH} keys.
   *
   * @returns a private key of 32 bytes, to be kept secret; undefined when none of them is good enough
   * @throws KadError KAD_MINING when the search has run into a multiple of G that it adds, which
   * would take a start that is almost 0; begin a new one.
   */
  tryBatch(): Uint8Array | undefined {
    const { centre, multiples, prefix, puzzle } = this;
    const differences = (i: number) => multiples[i]!.x - centre.x;
    // One inversion for all: prefix products, one inverse, and back.
    let product = 1n;
    for (let i = 0; i <= REACH; i += 1) {
      prefix[i] = product;
      product = reduce(product * differences(i));
    }
    let inverse = invert(product);
    if (inverse === 0n) {
      throw new KadError('KAD_MINING', 'this search cannot go on from its start: begin a new one');
    }
    let next: Point | undefined;
    let found: Uint8Array | undefined = puzzle.solvedBy(canonical(centre.x))
      ? this.keyAt(0n, puzzle.odd)
      : undefined;
    for (let i = REACH; i >= 0; i -= 1) {
      const reciprocal = reduce(inverse * prefix[i]!);
      inverse = reduce(inverse * differences(i));
      const { x, y } = multiples[i]!;
      const slope = reduce((y - centre.y) * reciprocal);
      const sumX = reduce(slope * slope) - centre.x - x;
      if (i === REACH) {
        // The centre of the next batch, which is the only point whose y is needed.
        const canonicalX = canonical(sumX);
        next = { x: canonicalX, y: canonical(slope * (centre.x - canonicalX) - centre.y) };
        continue;
      }
      if (puzzle.solvedBy(canonical(sumX))) found ??= this.keyAt(BigInt(i + 1), puzzle.odd);
      const back = reduce((-y - centre.y) * reciprocal);
      const differenceX = reduce(back * back) - centre.x - x;
      if (puzzle.solvedBy(canonical(differenceX))) {
        found ??= this.keyAt(-BigInt(i + 1), puzzle.odd);
      }
    }
    this.centre = next!;
    this.offset += STEP;
    return found;
  }

  /** The private key of the point `steps` from the centre, or its negative: the one whose y is odd or even. */
  private keyAt(steps: bigint, odd: boolean): Uint8Array {
    const tweak = scalarBytes((((this.offset + steps) % ORDER) + ORDER) % ORDER);
    const key = secp256k1.privateAdd(this.start, tweak)!;
    const isOdd = secp256k1.pointFromScalar(key, true)![0] === 3;
    return isOdd === odd ? key : secp256k1.privateNegate(key);
  }
}

/** From one centre to the next, so that batches do not overlap. */
const STEP = BigInt(2 * REACH + 1);

/** The puzzle of the proof of work, for points of which x is known and both y will do. */
class Puzzle {
  /** Whether the y that solved it is odd. */
  odd = false;
  private readonly x = new DataView(new ArrayBuffer(32));
  private readonly w = new Int32Array(64);
  private readonly id = new Int32Array(8);
  private readonly digest = new Int32Array(8);
  private readonly label: Int32Array;

  constructor(private readonly difficulty: number) {
    const label = new TextEncoder().encode(PROOF_OF_WORK_LABEL);
    const view = new DataView(label.buffer);
    this.label = Int32Array.from({ length: 4 }, (_, i) => view.getInt32(4 * i));
  }

  /** Whether one of the two points at x has an ID that meets the difficulty. */
  solvedBy(x: bigint): boolean {
    this.x.setBigUint64(0, x >> 192n);
    this.x.setBigUint64(8, BigInt.asUintN(64, x >> 128n));
    this.x.setBigUint64(16, BigInt.asUintN(64, x >> 64n));
    this.x.setBigUint64(24, BigInt.asUintN(64, x));
    for (const prefix of PREFIXES) {
      if (this.workOf(prefix) >= this.difficulty) {
        this.odd = prefix === 3;
        return true;
      }
    }
    return false;
  }

  /** Leading zero bits of the hash of the ID of the point with this prefix. */
  private workOf(prefix: number): number {
    const { w, x, id, digest, label } = this;
    // The compressed key, 33 bytes: a byte for y, then x (SEC 1, section 2.3.3).
    let carried = prefix;
    for (let i = 0; i < 8; i += 1) {
      const word = x.getInt32(4 * i);
      w[i] = (carried << 24) | (word >>> 8);
      carried = word;
    }
    w[8] = (carried << 24) | 0x800000;
    w.fill(0, 9, 15);
    w[15] = 33 * 8;
    hashBlock(w, id);
    w.set(label);
    w.set(id, 4);
    w[12] = 0x80000000;
    w[13] = 0;
    w[14] = 0;
    w[15] = 48 * 8;
    hashBlock(w, digest);
    let zeros = 0;
    for (let i = 0; i < 8; i += 1) {
      zeros += Math.clz32(digest[i]!);
      if (digest[i] !== 0) break;
    }
    return zeros;
  }
}

const PREFIXES = [2, 3] as const;

/** 1·G to REACH·G, and, last, the step from one centre to the next. */
function multiplesOfG(): Point[] {
  const one = scalarBytes(1n);
  const g = secp256k1.pointFromScalar(one, false)!;
  const points = [affine(g)];
  let last = secp256k1.pointFromScalar(scalarBytes(2n), false)!;
  while (points.length < REACH) {
    points.push(affine(last));
    last = secp256k1.pointAdd(last, g, false)!;
  }
  points.push(affine(secp256k1.pointFromScalar(scalarBytes(STEP), false)!));
  return points;
}

function affine(uncompressed: Uint8Array): Point {
  const number = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
  return { x: number(uncompressed.subarray(1, 33)), y: number(uncompressed.subarray(33)) };
}

function scalarBytes(scalar: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex'));
}

/** Congruent modulo P and of about 256 bits, of either sign: 2^256 = FOLD modulo P. */
function reduce(value: bigint): bigint {
  const once = BigInt.asUintN(256, value) + (value >> 256n) * FOLD;
  return BigInt.asUintN(256, once) + (once >> 256n) * FOLD;
}

/** The one representative from 0 to P - 1. */
function canonical(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

/** The inverse modulo P, by Euclid's algorithm; of 0 it is 0. */
function invert(value: bigint): bigint {
  let [a, b] = [canonical(value), P];
  let [u, v] = [1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b] = [b - quotient * a, a];
    [u, v] = [v - quotient * u, u];
  }
  return a === 0n ? 0n : canonical(u);
}
