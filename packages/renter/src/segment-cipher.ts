import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
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
  const place = Buffer.alloc(4);
  place.writeUInt32BE(index);
  const key = deriveKey(objectKey, new Uint8Array(0), 'segment salt');
  return new Uint8Array(createHmac('sha256', key).update(place).update(plainHash).digest());
}

/** What fixes the encryption of a segment. */
export interface SegmentCipher {
  readonly objectKey: Uint8Array;
  readonly salt: Uint8Array;
  readonly index: number;
  readonly chunkSize: number;
}

function nonceOf(chunk: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(chunk, 8);
  return nonce;
}

// The place of a chunk is authenticated, so that chunks can't be moved or a segment cut short.
function placeOf(index: number, chunk: number, last: boolean): Buffer {
  const place = Buffer.alloc(9);
  place.writeUInt32BE(index, 0);
  place.writeUInt32BE(chunk, 4);
  place.writeUInt8(last ? 1 : 0, 8);
  return place;
}

/** Encrypt a segment: AES-256-GCM (NIST SP 800-38D) chunk by chunk, the counter as nonce. */
export function encryptSegment(cipher: SegmentCipher, plain: Uint8Array): Uint8Array {
  const key = deriveKey(cipher.objectKey, cipher.salt, 'segment');
  const step = cipher.chunkSize - TAG_SIZE;
  const out = new Uint8Array(cipherLength(plain.length, cipher.chunkSize));
  const chunks = Math.ceil(plain.length / step);
  let at = 0;
  for (let i = 0; i < chunks; i += 1) {
    const gcm = createCipheriv('aes-256-gcm', key, nonceOf(i));
    gcm.setAAD(placeOf(cipher.index, i, i === chunks - 1));
    const body = gcm.update(plain.subarray(i * step, (i + 1) * step));
    gcm.final();
    out.set(body, at);
    out.set(gcm.getAuthTag(), at + body.length);
    at += body.length + TAG_SIZE;
  }
  return out;
}

/**
 * Decrypt some whole chunks of a segment.
 *
 * @param firstChunk - index of the chunk that `bytes` begins with
 * @param chunks - chunks in the whole segment
 * @throws RenterError RENTER_DECRYPT when a chunk was altered, moved or made with another key.
 */
export function decryptChunks(
  cipher: SegmentCipher,
  bytes: Uint8Array,
  firstChunk: number,
  chunks: number,
): Uint8Array {
  const key = deriveKey(cipher.objectKey, cipher.salt, 'segment');
  const tail = bytes.length % cipher.chunkSize;
  if (tail !== 0 && tail <= TAG_SIZE) throw damaged(cipher.index, firstChunk);
  const out = new Uint8Array(plainLength(bytes.length, cipher.chunkSize));
  let at = 0;
  for (let from = 0, i = firstChunk; from < bytes.length; from += cipher.chunkSize, i += 1) {
    const chunk = bytes.subarray(from, Math.min(from + cipher.chunkSize, bytes.length));
    const gcm = createDecipheriv('aes-256-gcm', key, nonceOf(i));
    gcm.setAAD(placeOf(cipher.index, i, i === chunks - 1));
    gcm.setAuthTag(chunk.subarray(chunk.length - TAG_SIZE));
    const body = gcm.update(chunk.subarray(0, chunk.length - TAG_SIZE));
    try {
      gcm.final();
    } catch {
      throw damaged(cipher.index, i);
    }
    out.set(body, at);
    at += body.length;
  }
  return out;
}

function damaged(index: number, chunk: number): RenterError {
  return new RenterError(
    'RENTER_DECRYPT',
    `segment ${index}, chunk ${chunk} does not decrypt: it was altered, or the keys are not its own`,
  );
}
