// What differs between Node and browsers, for Node. `#kad/platform` in package.json chooses between
// this file and platform.browser.ts; both export the same names with the same types and results.
import * as crypto from 'node:crypto';
import { setMaxListeners } from 'node:events';
import * as secp256k1 from 'tiny-secp256k1';
import { nativeSecp256k1 } from './native-secp256k1.js';

type OneShot = (algorithm: string, data: Uint8Array, encoding: 'binary') => string;

// crypto.hash (Node 20.12) skips making a Hash object, which matters for 4 KiB chunks. A string of its
// bytes costs half of a Buffer, whose memory lies outside of the heap.
const oneShot: OneShot =
  (crypto as { hash?: OneShot }).hash ??
  ((algorithm, data, encoding) => crypto.createHash(algorithm).update(data).digest(encoding));

/** Bytes of a SHA-256. */
const DIGEST = 32;

/** SHA-256 (FIPS 180-4): 32 bytes. */
export function sha256(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(DIGEST);
  writeBinary(oneShot('sha256', data, 'binary'), out, 0);
  return out;
}

/**
 * The SHA-256 of each `size` bytes of some, of which the last may be fewer, concatenated. Of no bytes
 * there is one.
 */
export function sha256Each(data: Uint8Array, size: number): Uint8Array {
  const count = Math.max(1, Math.ceil(data.length / size));
  const out = new Uint8Array(count * DIGEST);
  for (let i = 0; i < count; i += 1) {
    const part = data.subarray(i * size, (i + 1) * size);
    writeBinary(oneShot('sha256', part, 'binary'), out, i * DIGEST);
  }
  return out;
}

function writeBinary(text: string, out: Uint8Array, at: number): void {
  for (let i = 0; i < DIGEST; i += 1) out[at + i] = text.charCodeAt(i);
}

/**
 * Copy bytes to a place in an array. `set` moves a byte at a time between shared memory and bytes that do not begin at a
 * whole word, at a tenth of this speed.
 *
 * @param at - 0 to `target.length - source.length`
 */
export function copyBytes(target: Uint8Array, source: Uint8Array, at: number): void {
  if (source.length > 0) Buffer.prototype.fill.call(target, source, at, at + source.length);
}

/** Bytes from the operating system's randomness. */
export function randomBytes(count: number): Uint8Array {
  return new Uint8Array(crypto.randomBytes(count));
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Lower-case hex. */
export function encodeHex(bytes: Uint8Array): string {
  return view(bytes).toString('hex');
}

/** The bytes of text that is hex: the caller has checked it. */
export function decodeHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** Base64 (RFC 4648, section 4) with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  return view(bytes).toString('base64');
}

/** The bytes of base64 text; fewer than it stands for when it has other characters. */
export function decodeBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

/** UTF-8. */
export function encodeUtf8(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

/** Text from UTF-8; what is malformed becomes U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  return view(bytes).toString('utf8');
}

/** Bytes one after the other, in a new array. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

/** Whether 32 bytes are a private key of secp256k1. */
export function isPrivateKey(key: Uint8Array): boolean {
  return secp256k1.isPrivate(key);
}

/** The compressed public key, 33 bytes, of a private key. */
export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
  return secp256k1.pointFromScalar(privateKey, true)!;
}

/** ECDSA over a 32-byte digest: 64 bytes, low S, nonce by RFC 6979. */
export function signDigest(digest: Uint8Array, privateKey: Uint8Array): Uint8Array {
  if (nativeSecp256k1 === undefined) return secp256k1.sign(digest, privateKey);
  return nativeSecp256k1.ecdsaSign(digest, privateKey).signature;
}

/** Check a signature; high S is refused. May throw for bytes that are no key or signature. */
export function verifyDigest(
  digest: Uint8Array,
  publicKey: Uint8Array,
  signature: Uint8Array,
): boolean {
  return nativeSecp256k1 === undefined
    ? secp256k1.verify(digest, publicKey, signature, true)
    : nativeSecp256k1.ecdsaVerify(signature, digest, publicKey);
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
  return secp256k1.recover(digest, signature, parity, true) ?? undefined;
}

/** The 65 bytes of a compressed public key without compression; undefined when it is no point. */
export function expandKey(publicKey: Uint8Array): Uint8Array | undefined {
  return secp256k1.isPoint(publicKey) ? secp256k1.pointCompress(publicKey, false) : undefined;
}

/** Let any number of listeners wait for a signal without a warning. */
export function allowManyListeners(signal: AbortSignal): void {
  setMaxListeners(0, signal);
}
