import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  timingSafeEqual,
} from 'node:crypto';
import type { Random } from '@granary/kad';

/** Plaintext bytes of a chunk. */
export const CHUNK = 64 * 1024;
/** Bytes that AES-GCM adds to a chunk. */
const TAG = 16;
/** Bytes of a key of a client. */
export const CUSTOMER_KEY_BYTES = 32;
const SALT_BYTES = 32;

/** What is kept of a client's key: it tells whether a key is the same, and is no help in decrypting. */
export interface KeyProof {
  /** Hex. */
  readonly salt: string;
  /** HMAC-SHA-256 by the key, in hex. */
  readonly proof: string;
}

/** A body was altered, or sealed under another key. */
export class CustomerSealError extends Error {
  override readonly name = 'CustomerSealError';
  readonly code = 'BRIDGE_CUSTOMER_SEAL';

  constructor(chunk: number) {
    super(`chunk ${chunk} of a body does not open with the client's key: it was altered`);
  }
}

/** Bytes of a body of `size` plaintext bytes, sealed. */
export function sealedSize(size: number): number {
  return size + Math.ceil(size / CHUNK) * TAG;
}

/**
 * A key that a client keeps and sends with each request (SSE-C). Every body has a key of its own, derived
 * from it and a random salt, and is a row of chunks: AES-256-GCM, the chunk's number as nonce and whether it is
 * the last as additional data (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015). So it
 * is authenticated piece by piece, and any run of it can be read by itself.
 */
export class CustomerKey {
  /** MD5 of the key in base64, as clients send it and are answered. */
  readonly md5: string;

  /** @param key - 32 bytes */
  constructor(private readonly key: Uint8Array) {
    if (key.length !== CUSTOMER_KEY_BYTES) throw new RangeError("a client's key has 32 bytes");
    this.md5 = createHash('md5').update(key).digest('base64');
  }

  /** What to keep, to know this key again. */
  prove(random: Random): KeyProof {
    const salt = Buffer.from(random(SALT_BYTES)).toString('hex');
    return { salt, proof: this.proofWith(salt).toString('hex') };
  }

  /** Whether this is the key that a proof was made of. */
  matches({ salt, proof }: KeyProof): boolean {
    return timingSafeEqual(this.proofWith(salt), Buffer.from(proof, 'hex'));
  }

  equals(other: CustomerKey): boolean {
    return timingSafeEqual(this.key, other.key);
  }

  /** A salt for a new body. */
  static newSalt(random: Random): string {
    return Buffer.from(random(SALT_BYTES)).toString('hex');
  }

  /** Seal a body as it goes by; what is wrong with its source comes out before the last chunk does. */
  async *seal(salt: string, source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const key = this.bodyKey(salt);
    let number = 0;
    let chunk = Buffer.allocUnsafe(CHUNK);
    let filled = 0;
    for await (const part of source) {
      for (let at = 0; at < part.length;) {
        // A full chunk waits until it is known whether it is the last.
        if (filled === CHUNK) {
          yield sealChunk(key, number++, false, chunk);
          chunk = Buffer.allocUnsafe(CHUNK);
          filled = 0;
        }
        const count = Math.min(CHUNK - filled, part.length - at);
        chunk.set(part.subarray(at, at + count), filled);
        filled += count;
        at += count;
      }
    }
    if (filled > 0) yield sealChunk(key, number, true, chunk.subarray(0, filled));
  }

  /**
   * Read a run of a sealed body.
   *
   * @param size - plaintext bytes of the whole body
   * @param read - reads a run of the body as it is stored
   * @throws CustomerSealError.
   */
  async *open(
    salt: string,
    size: number,
    range: { readonly offset: number; readonly length: number },
    read: (range: { offset: number; length: number }) => AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array> {
    if (range.length === 0) return;
    const key = this.bodyKey(salt);
    const last = Math.ceil(size / CHUNK) - 1;
    const first = Math.floor(range.offset / CHUNK);
    const end = range.offset + range.length;
    const to = Math.min(Math.floor((end - 1) / CHUNK), last);
    const begin = first * (CHUNK + TAG);
    const stored = Math.min((to + 1) * (CHUNK + TAG), sealedSize(size)) - begin;
    let number = first;
    for await (const sealed of chunksOf(read({ offset: begin, length: stored }))) {
      const plain = openChunk(key, number, number === last, sealed);
      const start = number * CHUNK;
      yield plain.subarray(Math.max(0, range.offset - start), end - start);
      number += 1;
    }
    if (number !== to + 1) throw new CustomerSealError(number);
  }

  private proofWith(salt: string): Buffer {
    return createHmac('sha256', this.key).update(`granary/1 sse-c proof ${salt}`).digest();
  }

  private bodyKey(salt: string): Uint8Array {
    const key = hkdfSync('sha256', this.key, Buffer.from(salt, 'hex'), 'granary/1 sse-c body', 32);
    return new Uint8Array(key);
  }
}

function nonceOf(number: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(number, 6, 6);
  return nonce;
}

function sealChunk(key: Uint8Array, number: number, last: boolean, plain: Uint8Array): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(number));
  cipher.setAAD(Buffer.from([last ? 1 : 0]));
  const body = cipher.update(plain);
  cipher.final();
  return Buffer.concat([body, cipher.getAuthTag()]);
}

function openChunk(key: Uint8Array, number: number, last: boolean, sealed: Buffer): Buffer {
  if (sealed.length <= TAG) throw new CustomerSealError(number);
  const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(number));
  decipher.setAAD(Buffer.from([last ? 1 : 0]));
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  const plain = decipher.update(sealed.subarray(0, sealed.length - TAG));
  try {
    decipher.final();
  } catch {
    throw new CustomerSealError(number);
  }
  return plain;
}

/** Whole chunks of a stream, the last of which may be shorter. */
async function* chunksOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let parts: Uint8Array[] = [];
  let have = 0;
  for await (const part of source) {
    for (let at = 0; at < part.length;) {
      const count = Math.min(CHUNK + TAG - have, part.length - at);
      // Copied, since a source may use its buffer again.
      parts.push(Uint8Array.from(part.subarray(at, at + count)));
      have += count;
      at += count;
      if (have === CHUNK + TAG) {
        yield Buffer.concat(parts);
        [parts, have] = [[], 0];
      }
    }
  }
  if (have > 0) yield Buffer.concat(parts);
}
