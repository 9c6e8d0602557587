// Cryptography for browsers: see crypto.ts. Much goes through Web Crypto, which is native and works on
// other threads; what has to be there at once (records in the middle of a transaction of IndexedDB, which
// ends when it waits for anything else) is small, and goes through @noble. Web Crypto is there in secure
// contexts only: pages over HTTPS, and those of this machine. It also runs in Node, where the tests compare
// the two.
import { gcm } from '@noble/ciphers/aes.js';
import { hkdf as nobleHkdf } from '@noble/hashes/hkdf.js';
import { hmac as nobleHmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { createSHA256 } from 'hash-wasm';
import { utf8 } from '@granary/kad';
import { HASH_SIZE, LEAF_SIZE, leafCount } from '@granary/protocol';
import type { ChunkCipher, GrowingHash } from './crypto.js';
import { RenterError } from './errors.js';

type Bytes = Uint8Array<ArrayBuffer>;

function subtle(): SubtleCrypto {
  const { crypto } = globalThis as { crypto?: Crypto };
  if (crypto?.subtle === undefined) {
    throw new RenterError(
      'RENTER_PLATFORM',
      'there is no Web Crypto here: open the page over https://, or from this machine',
    );
  }
  return crypto.subtle;
}

/** HKDF-SHA-256 (RFC 5869). */
export function hkdf(
  secret: Uint8Array,
  salt: Uint8Array,
  info: string,
  length: number,
): Uint8Array {
  return nobleHkdf(sha256, secret, salt, utf8(info), length);
}

/** HMAC-SHA-256 (RFC 2104) of some bytes one after the other. */
export function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = nobleHmac.create(sha256, key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** AES-256-GCM (NIST SP 800-38D) of something small: the ciphertext, then the tag. */
export function seal(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plain: Uint8Array,
): Uint8Array {
  return gcm(key, nonce, aad).encrypt(plain);
}

/** Open what {@link seal} made. @throws Error when a byte of it, or the key, is another. */
export function open(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array {
  return gcm(key, nonce, aad).decrypt(sealed);
}

/** A cipher for chunks; the key has 32 bytes. */
export async function chunkCipher(key: Uint8Array): Promise<ChunkCipher> {
  const usages: KeyUsage[] = ['encrypt', 'decrypt'];
  const imported = await subtle().importKey('raw', key as Bytes, 'AES-GCM', false, usages);
  const parameters = (nonce: Uint8Array, aad: Uint8Array) => ({
    name: 'AES-GCM',
    iv: nonce as Bytes,
    additionalData: aad as Bytes,
  });
  return {
    async seal(nonce, aad, plain, out) {
      const sealed = await subtle().encrypt(parameters(nonce, aad), imported, plain as Bytes);
      out.set(new Uint8Array(sealed));
    },
    async open(nonce, aad, sealed, out) {
      const plain = await subtle().decrypt(parameters(nonce, aad), imported, sealed as Bytes);
      out.set(new Uint8Array(plain));
    },
  };
}

/** An array for what is written at once. In a browser there are zeros in it. */
export function uncleared(size: number): Uint8Array {
  return new Uint8Array(size);
}

/** SHA-256 of much. */
export async function digest(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await subtle().digest('SHA-256', bytes as Bytes));
}

/** AES-256-GMAC (NIST SP 800-38D). */
export async function gmac(
  key: Uint8Array,
  nonce: Uint8Array,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const imported = await subtle().importKey('raw', key as Bytes, 'AES-GCM', false, ['encrypt']);
  const parameters = { name: 'AES-GCM', iv: nonce as Bytes, additionalData: bytes as Bytes };
  return new Uint8Array(await subtle().encrypt(parameters, imported, new Uint8Array(0)));
}

/** Hashes under way at one time: each call has a price, and each a little memory. */
const LEAVES_AT_ONCE = 256;

/** The hashes of the 4 KiB leaves of some bytes, concatenated: what a shard tree stands on. */
export async function leafHashes(bytes: Uint8Array): Promise<Uint8Array> {
  const count = leafCount(bytes.length);
  const out = new Uint8Array(count * HASH_SIZE);
  for (let first = 0; first < count; first += LEAVES_AT_ONCE) {
    const some = Math.min(LEAVES_AT_ONCE, count - first);
    const hashes = await Promise.all(
      Array.from({ length: some }, (_, i) =>
        digest(bytes.subarray((first + i) * LEAF_SIZE, (first + i + 1) * LEAF_SIZE)),
      ),
    );
    hashes.forEach((hash, i) => out.set(hash, (first + i) * HASH_SIZE));
  }
  return out;
}

/** Bytes hashed in one go, so that the page can do other things in between. */
const STEP = 512 * 1024;

/** An empty SHA-256. Web Crypto's can't grow; that of hash-wasm is three times as fast as @noble's. */
export async function growingHash(): Promise<GrowingHash> {
  const hash = await createSHA256();
  hash.init();
  return {
    async update(bytes) {
      for (let at = 0; at < bytes.length; at += STEP) {
        hash.update(bytes.subarray(at, at + STEP));
        await breathe();
      }
    },
    hex: () => hash.digest('hex'),
  };
}

// A message to ourselves comes back after what else waits, without the four milliseconds of a timer.
const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => waiting.shift()?.();
(channel.port1 as { unref?: () => void }).unref?.();

function breathe(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
}
