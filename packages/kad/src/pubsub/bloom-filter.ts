import { fromBase64, toBase64 } from '../bytes.js';
import { KadError } from '../errors.js';

/** The most hash functions: a key of 256 bits gives 8 words. */
const MAX_HASHES = 8;

/** The size of a {@link BloomFilter}. */
export interface BloomShape {
  /** A power of two, 64 to 65,536. */
  readonly bits: number;
  /** Hash functions, 1 to 8. */
  readonly hashes: number;
}

/** 512 bytes: with 300 keys a third of a per cent of the questions are answered wrongly. */
export const defaultBloomShape: BloomShape = { bits: 4096, hashes: 4 };

/**
 * A Bloom filter (Bloom 1970) over keys that are hashes already: 64 hex digits. Each hash function is
 * a 32-bit word of the key, so that a question about a key that is not in the filter is answered
 * wrongly with a probability of exactly `fill ** hashes`.
 */
export class BloomFilter {
  private readonly bytes: Uint8Array;

  /** @throws KadError KAD_BAD_PARAMETERS when the shape is not one. */
  constructor(
    readonly shape: BloomShape = defaultBloomShape,
    bytes?: Uint8Array,
  ) {
    const { bits, hashes } = shape;
    const power = Number.isInteger(Math.log2(bits)) && bits >= 64 && bits <= 65_536;
    if (!power || !Number.isInteger(hashes) || hashes < 1 || hashes > MAX_HASHES) {
      throw new KadError(
        'KAD_BAD_PARAMETERS',
        'a Bloom filter has 64 to 65536 bits, 1 to 8 hashes',
      );
    }
    this.bytes = bytes ?? new Uint8Array(bits / 8);
  }

  /** @param key - 64 hex digits */
  add(key: string): void {
    for (let i = 0; i < this.shape.hashes; i += 1) {
      const at = this.place(key, i);
      this.bytes[at >> 3]! |= 1 << (at & 7);
    }
  }

  /** False: it was not added. True: it probably was. */
  has(key: string): boolean {
    for (let i = 0; i < this.shape.hashes; i += 1) {
      const at = this.place(key, i);
      if ((this.bytes[at >> 3]! & (1 << (at & 7))) === 0) return false;
    }
    return true;
  }

  /** Add everything that is in another filter of the same shape. */
  merge(other: BloomFilter): void {
    for (let i = 0; i < this.bytes.length; i += 1) this.bytes[i]! |= other.bytes[i]!;
  }

  /** The share of bits that are set, 0 to 1. */
  get fill(): number {
    let set = 0;
    for (const byte of this.bytes) for (let b = byte; b !== 0; b &= b - 1) set += 1;
    return set / this.shape.bits;
  }

  /** Base64 of the bits. */
  encode(): string {
    return toBase64(this.bytes);
  }

  /**
   * A filter from the network.
   *
   * @throws KadError KAD_BAD_PARAMETERS when it is not base64 of exactly so many bits.
   */
  static parse(text: unknown, shape: BloomShape = defaultBloomShape): BloomFilter {
    const size = shape.bits / 8;
    if (typeof text !== 'string' || text.length !== Math.ceil(size / 3) * 4) {
      throw new KadError('KAD_BAD_PARAMETERS', `a filter is base64 of ${size} bytes`);
    }
    return new BloomFilter(shape, fromBase64(text));
  }

  private place(key: string, hash: number): number {
    return parseInt(key.slice(hash * 8, hash * 8 + 8), 16) & (this.shape.bits - 1);
  }
}
