import {
  concat,
  decodeBase64,
  decodeHex,
  decodeUtf8,
  encodeBase64,
  encodeHex,
  encodeUtf8,
} from '#kad/platform';
import { KadError } from './errors.js';

/** Lower-case hex. */
export function toHex(bytes: Uint8Array): string {
  return encodeHex(bytes);
}

/**
 * The bytes of hex text, upper or lower case.
 *
 * @throws KadError KAD_BAD_PARAMETERS when it is not an even number of hex digits.
 */
export function fromHex(text: string): Uint8Array {
  // Node takes some letters of other alphabets for digits, so that its own check won't do.
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new KadError('KAD_BAD_PARAMETERS', 'this is not an even number of hex digits');
  }
  return decodeHex(text);
}

/** Base64 (RFC 4648, section 4) with padding. */
export function toBase64(bytes: Uint8Array): string {
  return encodeBase64(bytes);
}

/**
 * The bytes of base64 text (RFC 4648, section 4) with padding.
 *
 * @throws KadError KAD_BAD_PARAMETERS when it has other characters or is cut off.
 */
export function fromBase64(text: string): Uint8Array {
  const bytes = decodeBase64(text);
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  if (
    text.length % 4 !== 0 ||
    bytes.length !== (text.length / 4) * 3 - padding ||
    // Node takes the alphabet of section 5 as well.
    text.includes('-') ||
    text.includes('_')
  ) {
    throw new KadError('KAD_BAD_PARAMETERS', 'this is not base64 with padding');
  }
  return bytes;
}

/** The UTF-8 of some text. */
export function utf8(text: string): Uint8Array {
  return encodeUtf8(text);
}

/** Text from UTF-8; what is malformed becomes U+FFFD, and nothing is thrown. */
export function fromUtf8(bytes: Uint8Array): string {
  return decodeUtf8(bytes);
}

/** Bytes one after the other, in a new array. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return concat(parts);
}
