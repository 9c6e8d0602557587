import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { RenterError } from './errors.js';

/** Seal a JSON value under a key (AES-256-GCM, random nonce), bound to the name it is kept under. */
export function seal(key: Uint8Array, name: string, value: unknown): Buffer {
  return sealBytes(key, name, Buffer.from(JSON.stringify(value), 'utf8'));
}

/** Seal bytes under a key, bound to a name. */
export function sealBytes(key: Uint8Array, name: string, bytes: Uint8Array): Buffer {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.from(name));
  const body = cipher.update(bytes);
  cipher.final();
  return Buffer.concat([nonce, body, cipher.getAuthTag()]);
}

/**
 * Open what {@link seal} made.
 *
 * @throws RenterError RENTER_STORE when the key, the name or a byte is not the one it was sealed with.
 */
export function unseal(key: Uint8Array, name: string, sealed: Uint8Array): unknown {
  return JSON.parse(unsealBytes(key, name, sealed).toString('utf8')) as unknown;
}

/** Open what {@link sealBytes} made. @throws RenterError RENTER_STORE. */
export function unsealBytes(key: Uint8Array, name: string, sealed: Uint8Array): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12));
    decipher.setAAD(Buffer.from(name));
    decipher.setAuthTag(sealed.subarray(sealed.length - 16));
    const body = decipher.update(sealed.subarray(12, sealed.length - 16));
    return Buffer.concat([body, decipher.final()]);
  } catch (error) {
    throw new RenterError(
      'RENTER_STORE',
      'a sealed record does not open: it is damaged, or belongs to other keys',
      { cause: error },
    );
  }
}
