import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { MetadataError } from './metadata-error.js';

/** Seals what the database must neither learn nor alter: AES-256-GCM, random nonces. */
export interface Sealer {
  /** Seal a JSON value, bound to the name of the place that it is kept in. */
  seal(place: string, value: unknown): Buffer;
  sealBytes(place: string, bytes: Uint8Array): Buffer;
  /** @throws MetadataError METADATA_DAMAGED when a byte, the place or the key is another. */
  open(place: string, sealed: Uint8Array): unknown;
  openBytes(place: string, sealed: Uint8Array): Buffer;
}

const NONCE = 12;
/** Nonces drawn from the system at one time: a draw costs as much as a seal. */
const DRAWN = 256;
const TAG = 16;
/** Bytes that sealing adds. */
export const SEAL_BYTES = NONCE + TAG;

/** @param key - 32 bytes; good for 2^32 seals (random nonces of 96 bits, NIST SP 800-38D, 8.3) */
export function createSealer(key: Uint8Array): Sealer {
  if (key.length !== 32) throw new RangeError('a sealing key has 32 bytes');
  let drawn = Buffer.alloc(0);
  const newNonce = () => {
    if (drawn.length < NONCE) drawn = randomBytes(NONCE * DRAWN);
    const nonce = drawn.subarray(0, NONCE);
    drawn = drawn.subarray(NONCE);
    return nonce;
  };
  const sealBytes = (place: string, bytes: Uint8Array) => {
    const nonce = newNonce();
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    cipher.setAAD(Buffer.from(place));
    const body = cipher.update(bytes);
    cipher.final();
    return Buffer.concat([nonce, body, cipher.getAuthTag()]);
  };
  const openBytes = (place: string, sealed: Uint8Array) => {
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE));
      decipher.setAAD(Buffer.from(place));
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
      const body = decipher.update(sealed.subarray(NONCE, sealed.length - TAG));
      return Buffer.concat([body, decipher.final()]);
    } catch (error) {
      throw new MetadataError(
        'METADATA_DAMAGED',
        'a record of the database does not open: it was altered, or sealed under another master key',
        { cause: error },
      );
    }
  };
  return {
    sealBytes,
    openBytes,
    seal: (place, value) => sealBytes(place, Buffer.from(JSON.stringify(value), 'utf8')),
    open: (place, sealed) => JSON.parse(openBytes(place, sealed).toString('utf8')) as unknown,
  };
}
