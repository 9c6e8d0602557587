import * as crypto from 'node:crypto';

type OneShot = (algorithm: string, data: Uint8Array, encoding: 'buffer') => Buffer;

// crypto.hash (Node 20.12) skips making a Hash object, which matters for 4 KiB chunks.
const oneShot = (crypto as { hash?: OneShot }).hash;

/** SHA-256 (FIPS 180-4): 32 bytes. */
export function sha256(data: Uint8Array): Uint8Array {
  return oneShot === undefined
    ? crypto.createHash('sha256').update(data).digest()
    : oneShot('sha256', data, 'buffer');
}
