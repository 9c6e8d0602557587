import { sha256, sha256Each } from '@granary/kad';
import { ProtocolError } from './errors.js';

/** Bytes a leaf of the shard tree covers. An audit of one chunk moves this and a path. */
export const LEAF_SIZE = 4096;
/** Bytes of one hash in a tree or a proof. */
export const HASH_SIZE = 32;

/** Leaves of a shard of `size` bytes. An empty shard has one empty leaf. */
export function leafCount(size: number): number {
  return Math.max(1, Math.ceil(size / LEAF_SIZE));
}

/** Nodes on a level of the tree over `leaves` leaves; level 0 holds the leaves. */
export function levelCount(leaves: number, level: number): number {
  return Math.ceil(leaves / 2 ** level);
}

/** Bytes of shard that one node on `level` covers (the last node of a level may cover fewer). */
export function nodeSpan(level: number): number {
  return LEAF_SIZE * 2 ** level;
}

function parents(nodes: Uint8Array): Uint8Array {
  if (nodes.length <= HASH_SIZE) return nodes;
  const whole = nodes.length - (nodes.length % (2 * HASH_SIZE));
  const out = sha256Each(nodes.subarray(0, whole), 2 * HASH_SIZE);
  if (whole === nodes.length) return out;
  // A node without a sibling moves up unchanged, as in RFC 6962.
  const longer = new Uint8Array(out.length + HASH_SIZE);
  longer.set(out);
  longer.set(nodes.subarray(whole), out.length);
  return longer;
}

/** The shard hash: SHA-256 over the shard's size (8 bytes, big-endian) and its tree's top node. */
function bindSize(size: number, top: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + HASH_SIZE);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size));
  bytes.set(top, 8);
  return sha256(bytes);
}

/**
 * The Merkle tree over a shard's 4 KiB chunks, whose root is the shard hash.
 *
 * The shape is that of RFC 6962 (an odd node moves up unchanged). There are no leaf and node
 * prefixes: the root binds the shard's size, the size fixes the shape, and in a tree of known shape
 * a leaf can't be passed off as an inner node. That lets leaves be hashed where they lie.
 */
export class ShardTree {
  /** From the lowest level that there is, each made of the one below when it is wanted. */
  private readonly rows: Uint8Array[];

  private constructor(
    /** The shard's size in bytes. */
    readonly size: number,
    /** The lowest level that there is. */
    private readonly lowest: number,
    nodes: Uint8Array,
  ) {
    this.rows = [nodes];
  }

  /** The tree of a whole shard in memory. */
  static of(shard: Uint8Array): ShardTree {
    const hasher = new ShardHasher();
    hasher.update(shard);
    return hasher.finish();
  }

  /**
   * The tree from its stored leaf hashes.
   *
   * @throws ProtocolError PROTOCOL_MALFORMED when their count does not fit the size.
   */
  static fromLeaves(size: number, leaves: Uint8Array): ShardTree {
    if (leaves.length !== leafCount(size) * HASH_SIZE) {
      throw new ProtocolError(
        'PROTOCOL_MALFORMED',
        `a shard of ${size} bytes has ${leafCount(size)} leaves, not ${leaves.length / HASH_SIZE}`,
      );
    }
    return new ShardTree(size, 0, leaves);
  }

  /**
   * The part of a tree from a level up, from the stored nodes of that level.
   *
   * @throws ProtocolError PROTOCOL_MALFORMED when their count does not fit the size.
   */
  static fromNodes(size: number, level: number, nodes: Uint8Array): ShardTree {
    const count = levelCount(leafCount(size), level);
    if (nodes.length !== count * HASH_SIZE) {
      throw new ProtocolError(
        'PROTOCOL_MALFORMED',
        `a shard of ${size} bytes has ${count} nodes of level ${level}, not ${nodes.length / HASH_SIZE}`,
      );
    }
    return new ShardTree(size, level, nodes);
  }

  /** The shard hash. */
  root(): Uint8Array {
    return bindSize(this.size, this.row(this.top));
  }

  /** All leaf hashes, concatenated. @throws ProtocolError PROTOCOL_RANGE when only a part of the tree is there. */
  leaves(): Uint8Array {
    return this.row(0);
  }

  /** All nodes of a level, concatenated; above the top of the tree there is nothing else than that. */
  nodes(level: number): Uint8Array {
    return this.row(Math.min(level, this.top));
  }

  /** The level of the node above all others. */
  private get top(): number {
    return Math.max(this.lowest, Math.ceil(Math.log2(leafCount(this.size))));
  }

  private row(level: number): Uint8Array {
    if (level < this.lowest) {
      throw new ProtocolError('PROTOCOL_RANGE', `level ${level} of the tree is not here`);
    }
    while (this.rows.length <= level - this.lowest) this.rows.push(parents(this.rows.at(-1)!));
    return this.rows[level - this.lowest]!;
  }

  /**
   * What a reader needs to check the nodes `first`..`last` of a level: those nodes, then the
   * siblings to their left and right on the way up, level by level, left before right.
   *
   * @throws ProtocolError PROTOCOL_RANGE when the level or the nodes don't exist, or are not here.
   */
  rangeProof(level: number, first: number, last: number): RangeProof {
    checkRange(leafCount(this.size), level, first, last);
    const { top } = this;
    const at = Math.min(level, top);
    const nodes = this.row(at).slice(first * HASH_SIZE, (last + 1) * HASH_SIZE);
    const siblings: Uint8Array[] = [];
    let a = first;
    let b = last;
    for (let l = at; l < top; l += 1) {
      const count = levelCount(leafCount(this.size), l);
      if (a % 2 === 1) siblings.push(this.row(l).slice((a - 1) * HASH_SIZE, a * HASH_SIZE));
      if (b % 2 === 0 && b + 1 < count) {
        siblings.push(this.row(l).slice((b + 1) * HASH_SIZE, (b + 2) * HASH_SIZE));
      }
      a >>= 1;
      b >>= 1;
    }
    return { nodes, siblings: concat(siblings) };
  }
}

/** Node hashes of a range on one level, and the sibling hashes that lead from them to the root. */
export interface RangeProof {
  readonly nodes: Uint8Array;
  readonly siblings: Uint8Array;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.length * HASH_SIZE);
  parts.forEach((part, i) => out.set(part, i * HASH_SIZE));
  return out;
}

function checkRange(leaves: number, level: number, first: number, last: number): void {
  const ok =
    Number.isInteger(level) &&
    level >= 0 &&
    level <= 32 &&
    Number.isInteger(first) &&
    Number.isInteger(last) &&
    first >= 0 &&
    first <= last &&
    last < levelCount(leaves, level);
  if (!ok) {
    throw new ProtocolError(
      'PROTOCOL_RANGE',
      `nodes ${first}..${last} of level ${level} do not exist in a tree of ${leaves} leaves`,
    );
  }
}

/** The number of sibling hashes in a proof, so that a reader can bound what it accepts. */
export function siblingCount(size: number, level: number, first: number, last: number): number {
  let count = levelCount(leafCount(size), level);
  let a = first;
  let b = last;
  let siblings = 0;
  while (count > 1) {
    if (a % 2 === 1) siblings += 1;
    if (b % 2 === 0 && b + 1 < count) siblings += 1;
    a >>= 1;
    b >>= 1;
    count = Math.ceil(count / 2);
  }
  return siblings;
}

/**
 * Check a range proof against a shard hash.
 *
 * @param size - the shard's size in bytes, from the contract
 * @returns true only if these nodes are the tree's own at that place
 * @throws ProtocolError PROTOCOL_RANGE when the level or the nodes can't exist.
 */
export function verifyRangeProof(
  shardHash: Uint8Array,
  size: number,
  level: number,
  first: number,
  proof: RangeProof,
): boolean {
  if (proof.nodes.length === 0 || proof.nodes.length % HASH_SIZE !== 0) return false;
  const last = first + proof.nodes.length / HASH_SIZE - 1;
  const leaves = leafCount(size);
  checkRange(leaves, level, first, last);
  if (proof.siblings.length !== siblingCount(size, level, first, last) * HASH_SIZE) return false;
  let count = levelCount(leaves, level);
  let a = first;
  let b = last;
  let nodes = proof.nodes;
  let used = 0;
  const next = () => proof.siblings.subarray(used, (used += HASH_SIZE));
  while (count > 1) {
    const row: Uint8Array[] = [];
    if (a % 2 === 1) row.push(next());
    row.push(nodes);
    if (b % 2 === 0 && b + 1 < count) row.push(next());
    const total = row.reduce((sum, part) => sum + part.length, 0);
    const joined = new Uint8Array(total);
    let at = 0;
    for (const part of row) {
      joined.set(part, at);
      at += part.length;
    }
    nodes = parents(joined);
    a >>= 1;
    b >>= 1;
    count = Math.ceil(count / 2);
  }
  return equalBytes(bindSize(size, nodes), shardHash);
}

/** The hash of one node on `level`, from the shard bytes that it covers. */
export function hashSpan(bytes: Uint8Array): Uint8Array {
  return nodeOfLeaves(sha256Each(bytes, LEAF_SIZE));
}

/** The hash of the node above some leaves, from their hashes, concatenated. */
export function nodeOfLeaves(leaves: Uint8Array): Uint8Array {
  let nodes = leaves;
  while (nodes.length > HASH_SIZE) nodes = parents(nodes);
  return nodes;
}

/** Hashes a shard that arrives in pieces of any length. */
export class ShardHasher {
  private chunks: Uint8Array[] = [];
  private pending = new Uint8Array(LEAF_SIZE);
  private pendingLength = 0;
  private total = 0;

  /** Bytes taken so far. */
  get size(): number {
    return this.total;
  }

  /** Take the next bytes. They are read before the call returns and not kept. */
  update(bytes: Uint8Array): void {
    this.total += bytes.length;
    let at = 0;
    if (this.pendingLength > 0) {
      at = Math.min(LEAF_SIZE - this.pendingLength, bytes.length);
      this.pending.set(bytes.subarray(0, at), this.pendingLength);
      this.pendingLength += at;
      if (this.pendingLength < LEAF_SIZE) return;
      this.chunks.push(sha256(this.pending));
      this.pendingLength = 0;
    }
    const whole = Math.floor((bytes.length - at) / LEAF_SIZE) * LEAF_SIZE;
    if (whole > 0) this.chunks.push(sha256Each(bytes.subarray(at, at + whole), LEAF_SIZE));
    const rest = bytes.subarray(at + whole);
    this.pending.set(rest);
    this.pendingLength = rest.length;
  }

  /** The finished tree. */
  finish(): ShardTree {
    if (this.pendingLength > 0 || this.total === 0) {
      this.chunks.push(sha256(this.pending.subarray(0, this.pendingLength)));
    }
    const leaves = new Uint8Array(leafCount(this.total) * HASH_SIZE);
    let at = 0;
    for (const chunk of this.chunks) {
      leaves.set(chunk, at);
      at += chunk.length;
    }
    return ShardTree.fromLeaves(this.total, leaves);
  }
}

/** Whether two byte strings are the same. Not for secrets: the time it takes tells where they differ. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}
