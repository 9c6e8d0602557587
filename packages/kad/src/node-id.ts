import { toHex } from './bytes.js';
import { sha256 } from './sha256.js';

/** A node's ID: the SHA-256 of its 33-byte compressed public key, 64 lower-case hex digits. */
export type NodeId = string;

/** Bits in a node ID. */
export const ID_BITS = 256;

/** The ID of the node with this compressed public key. */
export function nodeIdOf(publicKey: Uint8Array): NodeId {
  return toHex(sha256(publicKey));
}

/** Whether some text is a node ID or a key. */
export function isNodeId(text: unknown): text is NodeId {
  return typeof text === 'string' && /^[0-9a-f]{64}$/.test(text);
}

/** The XOR distance of two IDs (Kademlia, section 2.1) as hex text, which sorts as the number does. */
export function distance(a: NodeId, b: NodeId): string {
  let out = '';
  for (let i = 0; i < 64; i += 8) {
    const x = (parseInt(a.slice(i, i + 8), 16) ^ parseInt(b.slice(i, i + 8), 16)) >>> 0;
    out += x.toString(16).padStart(8, '0');
  }
  return out;
}

/**
 * Which of two IDs is closer to a target: negative when `a` is, positive when `b` is, 0 when they
 * are the same. The same order as that of {@link distance}, without making the distances.
 */
export function compareDistance(a: NodeId, b: NodeId, target: NodeId): number {
  for (let i = 0; i < 64; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    const t = digit(target.charCodeAt(i));
    return (digit(x) ^ t) - (digit(y) ^ t);
  }
  return 0;
}

/** The value of a lower-case hex digit. */
function digit(code: number): number {
  return code < 58 ? code - 48 : code - 87;
}

/**
 * The index of the k-bucket for `other` in the table of `own`: the position of the highest bit in
 * which they differ, 0 to 255; -1 when they are the same.
 */
export function bucketIndex(own: NodeId, other: NodeId): number {
  for (let i = 0; i < 64; i += 1) {
    const x = digit(own.charCodeAt(i)) ^ digit(other.charCodeAt(i));
    if (x !== 0) return (63 - i) * 4 + (31 - Math.clz32(x));
  }
  return -1;
}

/** Whether two IDs differ in a bit; bit 0 is the lowest. */
export function differsInBit(a: NodeId, b: NodeId, bit: number): boolean {
  const at = 63 - (bit >> 2);
  return (((digit(a.charCodeAt(at)) ^ digit(b.charCodeAt(at))) >> (bit & 3)) & 1) === 1;
}

/** An ID that falls into k-bucket `index` of `own`, otherwise random. */
export function randomIdInBucket(
  own: NodeId,
  index: number,
  random: (count: number) => Uint8Array,
): NodeId {
  const id = BigInt(`0x${own}`);
  const noise = BigInt(`0x${toHex(random(32))}`);
  const bit = 1n << BigInt(index);
  const high = (id >> BigInt(index)) << BigInt(index);
  return ((high ^ bit) | (noise & (bit - 1n))).toString(16).padStart(64, '0');
}
