import { sha256 } from '@granary/kad';
import { ProtocolError } from './errors.js';
import { HASH_SIZE, equalBytes } from './shard-tree.js';

/** The most precomputed challenges of a contract: their leaves travel in one control frame. */
export const MAX_AUDITS = 256;

/**
 * The nonce of the code of a shard in {@link auditAnswer}: zeros, since the key, which is the challenge, is
 * used for this one message only.
 */
export const AUDIT_NONCE = new Uint8Array(12);

/**
 * The answer to a precomputed challenge: H(challenge ‖ code), where the code is the AES-256-GMAC (NIST SP
 * 800-38D) of the shard with the challenge as its key and {@link AUDIT_NONCE}. A hash of the whole shard would
 * cost several times as much, of whoever stores a shard and for every challenge (decision 0034).
 *
 * @param challenge - 32 bytes
 * @param code - 16 bytes
 */
export function auditAnswer(challenge: Uint8Array, code: Uint8Array): Uint8Array {
  const both = new Uint8Array(challenge.length + code.length);
  both.set(challenge);
  both.set(code, challenge.length);
  return sha256(both);
}

/** The leaf of a precomputed challenge, from its answer: the answer's SHA-256. */
export function auditLeaf(answer: Uint8Array): Uint8Array {
  return sha256(answer);
}

function rows(leaves: Uint8Array): Uint8Array[] {
  const all = [leaves];
  for (let row = leaves; row.length > HASH_SIZE; all.push(row)) {
    const count = row.length / HASH_SIZE;
    const above = new Uint8Array(Math.ceil(count / 2) * HASH_SIZE);
    for (let i = 0; i < count; i += 2) {
      const pair = row.subarray(i * HASH_SIZE, (i + 2) * HASH_SIZE);
      above.set(pair.length > HASH_SIZE ? sha256(pair) : pair, (i / 2) * HASH_SIZE);
    }
    row = above;
  }
  return all;
}

function bindCount(count: number, top: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + HASH_SIZE);
  new DataView(bytes.buffer).setUint32(0, count);
  bytes.set(top, 4);
  return sha256(bytes);
}

function countOf(leaves: Uint8Array): number {
  const count = leaves.length / HASH_SIZE;
  if (!Number.isInteger(count) || count < 1 || count > MAX_AUDITS) {
    throw new ProtocolError('PROTOCOL_MALFORMED', `an audit tree has 1 to ${MAX_AUDITS} leaves`);
  }
  return count;
}

/**
 * The root of the Merkle tree over the leaves of a contract's precomputed challenges, bound to
 * their number (design, section 6). The shape is that of the shard tree.
 *
 * @param leaves - leaf hashes, concatenated, 1 to {@link MAX_AUDITS}
 * @throws ProtocolError PROTOCOL_MALFORMED.
 */
export function auditRootOf(leaves: Uint8Array): Uint8Array {
  const count = countOf(leaves);
  return bindCount(count, rows(leaves).at(-1)!);
}

/** The siblings of one leaf, from the bottom up, concatenated. @throws ProtocolError PROTOCOL_RANGE. */
export function auditPathOf(leaves: Uint8Array, index: number): Uint8Array {
  const count = countOf(leaves);
  if (!Number.isInteger(index) || index < 0 || index >= count) {
    throw new ProtocolError('PROTOCOL_RANGE', `there is no audit ${index} among ${count}`);
  }
  const siblings: Uint8Array[] = [];
  let at = index;
  for (const row of rows(leaves)) {
    const sibling = row.subarray((at ^ 1) * HASH_SIZE, ((at ^ 1) + 1) * HASH_SIZE);
    if (sibling.length > 0) siblings.push(sibling);
    at >>= 1;
  }
  return Uint8Array.from(siblings.flatMap((sibling) => [...sibling]));
}

/**
 * Whether an answer is the one that a contract's audit root commits to.
 *
 * @param count - number of audits in the contract
 */
export function verifyAuditAnswer(
  root: Uint8Array,
  count: number,
  index: number,
  answer: Uint8Array,
  path: Uint8Array,
): boolean {
  if (!Number.isInteger(index) || index < 0 || index >= count) return false;
  let node = auditLeaf(answer);
  let used = 0;
  for (let at = index, width = count; width > 1; at >>= 1, width = Math.ceil(width / 2)) {
    if ((at ^ 1) >= width) continue;
    const sibling = path.subarray(used, used + HASH_SIZE);
    if (sibling.length !== HASH_SIZE) return false;
    used += HASH_SIZE;
    const pair = new Uint8Array(2 * HASH_SIZE);
    pair.set(at % 2 === 0 ? node : sibling, 0);
    pair.set(at % 2 === 0 ? sibling : node, HASH_SIZE);
    node = sha256(pair);
  }
  return used === path.length && equalBytes(bindCount(count, node), root);
}
