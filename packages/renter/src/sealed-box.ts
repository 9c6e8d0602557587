import { open, seal as gcmSeal } from '#renter/crypto';
import { concatBytes, fromUtf8, systemRandom, utf8 } from '@granary/kad';
import { RenterError } from './errors.js';

const NONCE = 12;

/** Seal a JSON value under a key (AES-256-GCM, random nonce), bound to the name it is kept under. */
export function seal(key: Uint8Array, name: string, value: unknown): Uint8Array {
  return sealBytes(key, name, utf8(JSON.stringify(value)));
}

/** Seal bytes under a key, bound to a name. */
export function sealBytes(key: Uint8Array, name: string, bytes: Uint8Array): Uint8Array {
  const nonce = systemRandom(NONCE);
  return concatBytes(nonce, gcmSeal(key, nonce, utf8(name), bytes));
}

/**
 * Open what {@link seal} made.
 *
 * @throws RenterError RENTER_STORE when the key, the name or a byte is not the one it was sealed with.
 */
export function unseal(key: Uint8Array, name: string, sealed: Uint8Array): unknown {
  return JSON.parse(fromUtf8(unsealBytes(key, name, sealed))) as unknown;
}

/** Open what {@link sealBytes} made. @throws RenterError RENTER_STORE. */
export function unsealBytes(key: Uint8Array, name: string, sealed: Uint8Array): Uint8Array {
  try {
    return open(key, sealed.subarray(0, NONCE), utf8(name), sealed.subarray(NONCE));
  } catch (error) {
    throw new RenterError(
      'RENTER_STORE',
      'a sealed record does not open: it is damaged, or belongs to other keys',
      { cause: error },
    );
  }
}
