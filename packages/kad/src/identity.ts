import {
  expandKey,
  isPrivateKey,
  publicKeyOf,
  recoverKey,
  signDigest,
  verifyDigest,
} from '#kad/platform';
import { KadError } from './errors.js';
import { type NodeId, nodeIdOf } from './node-id.js';
import { type Random, systemRandom } from './random.js';

/** A node's secp256k1 key pair. */
export class Identity {
  private constructor(
    private readonly privateKey: Uint8Array,
    /** The compressed public key, 33 bytes. */
    readonly publicKey: Uint8Array,
    /** SHA-256 of the public key, in hex. */
    readonly nodeId: NodeId,
  ) {}

  /** A new identity. */
  static generate(random: Random = systemRandom): Identity {
    for (;;) {
      const key = random(32);
      if (isPrivateKey(key)) return Identity.fromPrivateKey(key);
    }
  }

  /** @throws KadError KAD_IDENTITY_FILE when the bytes are not a private key of the curve. */
  static fromPrivateKey(key: Uint8Array): Identity {
    if (key.length !== 32 || !isPrivateKey(key)) {
      throw new KadError('KAD_IDENTITY_FILE', 'these bytes are not a secp256k1 private key');
    }
    const privateKey = Uint8Array.from(key);
    const publicKey = publicKeyOf(privateKey);
    return new Identity(privateKey, publicKey, nodeIdOf(publicKey));
  }

  /** An ECDSA signature over a 32-byte digest: 64 bytes, low S, nonce by RFC 6979. */
  sign(digest: Uint8Array): Uint8Array {
    return signDigest(digest, this.privateKey);
  }

  /** A copy of the private key. Keep it secret. */
  exportPrivateKey(): Uint8Array {
    return this.privateKey.slice();
  }

  /** Keeps the private key out of logs. */
  toJSON(): { nodeId: NodeId } {
    return { nodeId: this.nodeId };
  }
}

/** Whether a signature is the key's own on the digest. High S is refused. Never throws. */
export function verifySignature(
  publicKey: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return verifyDigest(digest, publicKey, signature);
  } catch {
    return false;
  }
}

/**
 * The compressed public key that made a signature on a digest (SEC 1, section 4.1.6), by the parity of the
 * y coordinate of its nonce's point; undefined when there is none. Never throws.
 */
export function recoverPublicKey(
  digest: Uint8Array,
  signature: Uint8Array,
  parity: 0 | 1,
): Uint8Array | undefined {
  try {
    return recoverKey(digest, signature, parity);
  } catch {
    return undefined;
  }
}

/** A compressed public key (33 bytes) as 65 bytes, uncompressed; undefined when it is no point of the curve. */
export function uncompressPublicKey(publicKey: Uint8Array): Uint8Array | undefined {
  return publicKey.length === 33 ? expandKey(publicKey) : undefined;
}
