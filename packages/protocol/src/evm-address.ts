import { keccak_256 } from '@noble/hashes/sha3.js';
import { uncompressPublicKey } from '@granary/kad';
import { ProtocolError } from './errors.js';
import { fromHex, toHex } from './hex.js';

/**
 * The EVM address of an identity: the last 20 bytes of Keccak-256 over the uncompressed public key
 * (Ethereum yellow paper, appendix F), as `0x` and 40 lower-case hex digits.
 *
 * @param publicKey - compressed, 66 hex digits
 * @throws ProtocolError PROTOCOL_MALFORMED when it is no point of the curve.
 */
export function evmAddressOf(publicKey: string): string {
  const point = uncompressPublicKey(fromHex(publicKey));
  if (point === undefined) {
    throw new ProtocolError('PROTOCOL_MALFORMED', 'the public key is no point of secp256k1');
  }
  return `0x${toHex(keccak_256(point.subarray(1)).subarray(12))}`;
}
