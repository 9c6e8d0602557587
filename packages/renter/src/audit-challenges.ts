import { gmac, hmac } from '#renter/crypto';
import { AUDIT_NONCE, auditAnswer, auditLeaf } from '@granary/protocol';
import { deriveKey } from './renter-keys.js';

/** Bytes of the salt that a shard's challenges are derived with. */
export const AUDIT_SALT_SIZE = 16;

/** What the challenges for one placing of one shard come from. */
export interface AuditSeed {
  readonly objectKey: Uint8Array;
  /** The first bytes of the segment's salt, or random ones when the shard is placed again. */
  readonly auditSalt: Uint8Array;
  /** The shard hash. */
  readonly hash: Uint8Array;
}

/**
 * A precomputed challenge: 32 bytes that only the renter can know before they are asked, and that
 * it need not keep, since the master secret leads to them.
 */
export function challengeOf({ objectKey, auditSalt, hash }: AuditSeed, index: number): Uint8Array {
  const key = deriveKey(objectKey, new Uint8Array(0), 'audit');
  const place = new Uint8Array(4);
  new DataView(place.buffer).setUint32(0, index);
  return hmac(key, auditSalt, hash, place);
}

/** The leaves of a contract's audits, concatenated. Reads the shard `count` times. */
export async function auditLeaves(
  seed: AuditSeed,
  shard: Uint8Array,
  count: number,
): Promise<Uint8Array> {
  const leaves = new Uint8Array(count * 32);
  for (let i = 0; i < count; i += 1) {
    const challenge = challengeOf(seed, i);
    const code = await gmac(challenge, AUDIT_NONCE, shard);
    leaves.set(auditLeaf(auditAnswer(challenge, code)), i * 32);
  }
  return leaves;
}
