import { chunkCipher, hmac, uncleared } from '#renter/crypto';
import { RenterError } from './errors.js';
import { deriveKey } from './renter-keys.js';

/** Bytes that AES-GCM adds to every chunk. */
export const TAG_SIZE = 16;

/** Ciphertext bytes of a segment of `length` plaintext bytes in chunks of `chunkSize` (tag included). */
export function cipherLength(length: number, chunkSize: number): number {
  return length + Math.ceil(length / (chunkSize - TAG_SIZE)) * TAG_SIZE;
}

/** Plaintext bytes of a segment of `length` ciphertext bytes. */
export function plainLength(length: number, chunkSize: number): number {
  return length - Math.ceil(length / chunkSize) * TAG_SIZE;
}

/**
 * The salt of a segment's key: an HMAC of its place and of its plaintext's SHA-256.
 *
 * The same bytes at the same place of the same object encrypt to the same ciphertext, so that an
 * upload can go on after a crash, and no two different plaintexts ever share a key and a nonce.
 * Nobody without the object's key can test a guess at the content.
 */
export function segmentSalt(
  objectKey: Uint8Array,
  index: number,
  plainHash: Uint8Array,
): Uint8Array {
  const place = new Uint8Array(4);
  new DataView(place.buffer).setUint32(0, index);
  const key = deriveKey(objectKey, new Uint8Array(0), 'segment salt');
  return hmac(key, place, plainHash);
}

/** The key of a segment. It opens that one, and nothing else comes from it. */
export function segmentKey(objectKey: Uint8Array, salt: Uint8Array): Uint8Array {
  return deriveKey(objectKey, salt, 'segment');
}

/** What fixes the encryption of a segment. */
export interface SegmentCipher {
  /** See {@link segmentKey}. */
  readonly key: Uint8Array;
  readonly index: number;
  readonly chunkSize: number;
}

function nonceOf(chunk: number): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setUint32(8, chunk);
  return nonce;
}

// The place of a chunk is authenticated, so that chunks can't be moved or a segment cut short.
function placeOf(index: number, chunk: number, last: boolean): Uint8Array {
  const place = new Uint8Array(9);
  const view = new DataView(place.buffer);
  view.setUint32(0, index);
  view.setUint32(4, chunk);
  view.setUint8(8, last ? 1 : 0);
  return place;
}

/** Plaintext bytes of every chunk but the last. */
export function chunkPlain({ chunkSize }: Pick<SegmentCipher, 'chunkSize'>): number {
  return chunkSize - TAG_SIZE;
}

/**
 * Encrypt some chunks of a segment: AES-256-GCM (NIST SP 800-38D), the counter as nonce.
 *
 * @param plain - the whole segment
 * @param first - the first chunk, and `count` how many from it on; fewer where the segment ends
 * @param out - where the ciphertext goes
 * @returns bytes written
 */
export async function encryptChunks(
  cipher: SegmentCipher,
  plain: Uint8Array,
  { first, count }: { first: number; count: number },
  out: Uint8Array,
): Promise<number> {
  const gcm = await chunkCipher(cipher.key);
  const step = chunkPlain(cipher);
  const chunks = Math.ceil(plain.length / step);
  const pending: Promise<void>[] = [];
  let at = 0;
  for (let i = first; i < Math.min(first + count, chunks); i += 1) {
    const chunk = plain.subarray(i * step, (i + 1) * step);
    const done = gcm.seal(
      nonceOf(i),
      placeOf(cipher.index, i, i === chunks - 1),
      chunk,
      out.subarray(at, at + chunk.length + TAG_SIZE),
    );
    if (done !== undefined) pending.push(done);
    at += chunk.length + TAG_SIZE;
  }
  await Promise.all(pending);
  return at;
}

/**
 * Decrypt some whole chunks of a segment.
 *
 * @param firstChunk - index of the chunk that `bytes` begins with
 * @param chunks - chunks in the whole segment
 * @throws RenterError RENTER_DECRYPT when a chunk was altered, moved or made with another key.
 */
export async function decryptChunks(
  cipher: SegmentCipher,
  bytes: Uint8Array,
  firstChunk: number,
  chunks: number,
): Promise<Uint8Array> {
  const gcm = await chunkCipher(cipher.key);
  const tail = bytes.length % cipher.chunkSize;
  if (tail !== 0 && tail <= TAG_SIZE) throw damaged(cipher.index, firstChunk);
  const out = uncleared(plainLength(bytes.length, cipher.chunkSize));
  const pending: Promise<void>[] = [];
  let at = 0;
  for (let from = 0, i = firstChunk; from < bytes.length; from += cipher.chunkSize, i += 1) {
    const chunk = bytes.subarray(from, Math.min(from + cipher.chunkSize, bytes.length));
    const body = out.subarray(at, at + chunk.length - TAG_SIZE);
    at += body.length;
    try {
      const done = gcm.open(nonceOf(i), placeOf(cipher.index, i, i === chunks - 1), chunk, body);
      if (done !== undefined) pending.push(done.catch(() => fail(i)));
    } catch {
      fail(i);
    }
  }
  await Promise.all(pending);
  return out;

  function fail(chunk: number): never {
    throw damaged(cipher.index, chunk);
  }
}

function damaged(index: number, chunk: number): RenterError {
  return new RenterError(
    'RENTER_DECRYPT',
    `segment ${index}, chunk ${chunk} does not decrypt: it was altered, or the keys are not its own`,
  );
}
