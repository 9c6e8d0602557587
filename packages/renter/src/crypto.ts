// Cryptography that differs between Node and browsers, for Node. `#renter/crypto` in package.json
// chooses between this file and crypto.browser.ts; both export the same names with the same results.
// What may be a promise is one only in browsers.
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync } from 'node:crypto';
import { sha256, sha256Each } from '@granary/kad';
import { LEAF_SIZE } from '@granary/protocol';

/** Bytes of an AES-GCM tag. */
const TAG = 16;

/** HKDF-SHA-256 (RFC 5869). */
export function hkdf(
  secret: Uint8Array,
  salt: Uint8Array,
  info: string,
  length: number,
): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, length));
}

/** HMAC-SHA-256 (RFC 2104) of some bytes one after the other. */
export function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return new Uint8Array(mac.digest());
}

/** AES-256-GCM (NIST SP 800-38D) of something small: the ciphertext, then the tag. */
export function seal(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plain: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(aad);
  const body = cipher.update(plain);
  cipher.final();
  return Buffer.concat([body, cipher.getAuthTag()]);
}

/** Open what {@link seal} made. @throws Error when a byte of it, or the key, is another. */
export function open(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
  const body = decipher.update(sealed.subarray(0, sealed.length - TAG));
  return Buffer.concat([body, decipher.final()]);
}

/** AES-256-GCM of many chunks under one key. */
export interface ChunkCipher {
  /** Write the ciphertext and the tag of a chunk to `out`, which has 16 bytes more than it. */
  seal(
    nonce: Uint8Array,
    aad: Uint8Array,
    plain: Uint8Array,
    out: Uint8Array,
  ): Promise<void> | undefined;
  /** Write the plaintext of a chunk to `out`. @throws or rejects when the chunk is not what it was. */
  open(
    nonce: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
    out: Uint8Array,
  ): Promise<void> | undefined;
}

/** A cipher for chunks; the key has 32 bytes. */
export function chunkCipher(key: Uint8Array): ChunkCipher | Promise<ChunkCipher> {
  return {
    seal(nonce, aad, plain, out) {
      const gcm = createCipheriv('aes-256-gcm', key, nonce);
      gcm.setAAD(aad);
      const body = gcm.update(plain);
      gcm.final();
      out.set(body);
      out.set(gcm.getAuthTag(), body.length);
      return undefined;
    },
    open(nonce, aad, sealed, out) {
      const gcm = createDecipheriv('aes-256-gcm', key, nonce);
      gcm.setAAD(aad);
      gcm.setAuthTag(sealed.subarray(sealed.length - TAG));
      const body = gcm.update(sealed.subarray(0, sealed.length - TAG));
      gcm.final();
      out.set(body);
      return undefined;
    },
  };
}

/** An array for what is written at once: anything may be in it. */
export function uncleared(size: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
}

/** SHA-256 of much. */
export function digest(bytes: Uint8Array): Uint8Array | Promise<Uint8Array> {
  return sha256(bytes);
}

/** AES-256-GMAC (NIST SP 800-38D): GCM of nothing, with the bytes as what is only authenticated. 16 bytes. */
export function gmac(
  key: Uint8Array,
  nonce: Uint8Array,
  bytes: Uint8Array,
): Uint8Array | Promise<Uint8Array> {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(bytes);
  cipher.final();
  return cipher.getAuthTag();
}

/** The hashes of the 4 KiB leaves of some bytes, concatenated: what a shard tree stands on. */
export function leafHashes(bytes: Uint8Array): Uint8Array | Promise<Uint8Array> {
  return sha256Each(bytes, LEAF_SIZE);
}

/** A SHA-256 that grows. */
export interface GrowingHash {
  update(bytes: Uint8Array): Promise<void> | undefined;
  /** In lower-case hex; nothing can be added after it. */
  hex(): string;
}

/** An empty SHA-256. */
export function growingHash(): GrowingHash | Promise<GrowingHash> {
  const hash = createHash('sha256');
  return {
    update(bytes) {
      hash.update(bytes);
      return undefined;
    },
    hex: () => hash.digest('hex'),
  };
}
