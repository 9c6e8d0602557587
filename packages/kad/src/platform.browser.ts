// What differs between Node and browsers, for browsers: see platform.ts. It also runs in Node, where
// the tests compare the two.
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';

/** SHA-256 (FIPS 180-4): 32 bytes. Synchronous, which Web Crypto is not. */
export function sha256(data: Uint8Array): Uint8Array {
  return nobleSha256(data);
}

/** Bytes of a SHA-256. */
const DIGEST = 32;

/**
 * The SHA-256 of each `size` bytes of some, of which the last may be fewer, concatenated. Of no bytes
 * there is one.
 */
export function sha256Each(data: Uint8Array, size: number): Uint8Array {
  const count = Math.max(1, Math.ceil(data.length / size));
  const out = new Uint8Array(count * DIGEST);
  for (let i = 0; i < count; i += 1) {
    out.set(nobleSha256(data.subarray(i * size, (i + 1) * size)), i * DIGEST);
  }
  return out;
}

// Web Crypto gives at most this many bytes in one call.
const RANDOM_CHUNK = 65_536;

/** Copy bytes to a place in an array. @param at - 0 to `target.length - source.length` */
export function copyBytes(target: Uint8Array, source: Uint8Array, at: number): void {
  target.set(source, at);
}

/** Bytes from the operating system's randomness. */
export function randomBytes(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; at += RANDOM_CHUNK) {
    globalThis.crypto.getRandomValues(bytes.subarray(at, Math.min(count, at + RANDOM_CHUNK)));
  }
  return bytes;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Lower-case hex. */
export function encodeHex(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 1) text += HEX[bytes[i]!]!;
  return text;
}

function digit(code: number): number {
  return code <= 57 ? code - 48 : (code | 32) - 87;
}

/** The bytes of text that is hex: the caller has checked it. */
export function decodeHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length >> 1);
  for (let i = 0; i < bytes.length; i += 1) {
    const high = digit(text.charCodeAt(2 * i));
    const low = digit(text.charCodeAt(2 * i + 1));
    bytes[i] = (high << 4) | low;
  }
  return bytes;
}

// Newer browsers encode by themselves (Uint8Array.prototype.toBase64, ECMAScript 2026).
interface NativeBase64 {
  toBase64?(): string;
}
interface NativeFromBase64 {
  fromBase64?(text: string): Uint8Array;
}
const fromBase64 = (Uint8Array as NativeFromBase64).fromBase64?.bind(Uint8Array);

/** Base64 (RFC 4648, section 4) with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  const native = (bytes as NativeBase64).toBase64;
  if (native !== undefined) return native.call(bytes);
  let binary = '';
  // Arguments of a call go on the stack: not too many at one time.
  for (let at = 0; at < bytes.length; at += 8192) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(binary);
}

/** The bytes of base64 text; none when it has other characters. */
export function decodeBase64(text: string): Uint8Array {
  try {
    if (fromBase64 !== undefined) return fromBase64(text);
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
    return bytes;
  } catch {
    return new Uint8Array(0);
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** UTF-8. */
export function encodeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Text from UTF-8; what is malformed becomes U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Bytes one after the other, in a new array. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const part of parts) size += part.length;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Whether 32 bytes are a private key of secp256k1. */
export function isPrivateKey(key: Uint8Array): boolean {
  return secp256k1.utils.isValidSecretKey(key);
}

/** The compressed public key, 33 bytes, of a private key. */
export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  return secp256k1.getPublicKey(privateKey, true);
}

/** ECDSA over a 32-byte digest: 64 bytes, low S, nonce by RFC 6979. */
export function signDigest(digest: Uint8Array, privateKey: Uint8Array): Uint8Array {
  return secp256k1.sign(digest, privateKey, { prehash: false, lowS: true });
}

/** Check a signature; high S is refused. May throw for bytes that are no key or signature. */
export function verifyDigest(
  digest: Uint8Array,
  publicKey: Uint8Array,
  signature: Uint8Array,
): boolean {
  return secp256k1.verify(signature, digest, publicKey, { prehash: false, lowS: true });
}

/**
 * The compressed key that made a signature, by the parity of its nonce's point; undefined when there is
 * none. May throw for bytes that are no signature.
 */
export function recoverKey(
  digest: Uint8Array,
  signature: Uint8Array,
  parity: 0 | 1,
): Uint8Array | undefined {
  const parsed = secp256k1.Signature.fromBytes(signature, 'compact').addRecoveryBit(parity);
  try {
    return parsed.recoverPublicKey(digest).toBytes(true);
  } catch {
    return undefined;
  }
}

/** The 65 bytes of a compressed public key without compression; undefined when it is no point. */
export function expandKey(publicKey: Uint8Array): Uint8Array | undefined {
  try {
    return secp256k1.Point.fromBytes(publicKey).toBytes(false);
  } catch {
    return undefined;
  }
}

/** Let any number of listeners wait for a signal. Browsers don't warn. */
export function allowManyListeners(_signal: AbortSignal): void {}
