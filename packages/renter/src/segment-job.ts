import { digest, leafHashes } from '#renter/crypto';
import {
  type Codec,
  createCodec,
  decodeSegment,
  type StripeLayout,
  decodeStripes,
  encodeSegment,
  encodeStripes,
  stripeLayout,
  stripesForRange,
} from '@granary/erasure';
import { ShardTree } from '@granary/protocol';
import { AUDIT_SALT_SIZE, auditLeaves } from './audit-challenges.js';
import { Scratch } from './scratch.js';
import {
  TAG_SIZE,
  cipherLength,
  decryptChunks,
  type SegmentCipher,
  chunkPlain,
  encryptChunks,
  segmentKey,
  segmentSalt,
} from './segment-cipher.js';

/** The layout of every segment of one object, and where its key comes from. */
export interface SegmentFrame {
  readonly objectKey: Uint8Array;
  readonly chunkSize: number;
  readonly cellSize: number;
  readonly k: number;
  readonly n: number;
  /** Precomputed audits of every new contract. */
  readonly audits: number;
}

/** What reading needs of the layout. */
export type SegmentLayout = Pick<SegmentFrame, 'chunkSize' | 'cellSize' | 'k' | 'n'>;

/** What reading needs of one segment: its place, its plaintext bytes, its key. */
export interface SegmentToRead {
  readonly index: number;
  readonly length: number;
  readonly key: Uint8Array;
}

/**
 * One finished shard of a segment: its bytes, its hash (the root of its tree), and the leaves of its
 * precomputed audits, concatenated.
 */
export interface EncodedShard {
  readonly bytes: Uint8Array;
  readonly hash: Uint8Array;
  readonly audits: Uint8Array;
}

/** A segment, encrypted and coded. `shards` has n entries. */
export interface EncodedSegment {
  readonly salt: Uint8Array;
  readonly shards: EncodedShard[];
}

/** The stretch of a segment that a read needs, in its several coordinates. */
export interface SegmentWindow {
  /** Bytes of every shard to fetch. */
  readonly shardOffset: number;
  readonly shardLength: number;
  /** Whole encryption chunks that those shards give back. */
  readonly firstChunk: number;
  readonly cipherOffset: number;
  readonly cipherLength: number;
  /** Plaintext bytes to drop at the front of the decrypted chunks, and to keep after that. */
  readonly skip: number;
  readonly length: number;
}

/** Chunks that are encrypted before they are coded. */
const CHUNKS = 8;

/** Ciphertext between decoding and decryption. */
const scratch = new Scratch();

const codecs = new Map<string, Promise<Codec>>();
const MAX_CODECS = 8;

function codecFor(k: number, n: number): Promise<Codec> {
  const name = `${k}/${n}`;
  let codec = codecs.get(name);
  if (codec === undefined) {
    if (codecs.size >= MAX_CODECS) codecs.delete(codecs.keys().next().value!);
    codec = createCodec({ k, n });
    codecs.set(name, codec);
  }
  return codec;
}

function layoutOf(frame: SegmentLayout, length: number) {
  return stripeLayout({
    k: frame.k,
    n: frame.n,
    cellSize: frame.cellSize,
    segmentLength: cipherLength(length, frame.chunkSize),
  });
}

/** Bytes of each shard of a segment of `length` plaintext bytes. */
export function shardSizeOf(frame: SegmentLayout, length: number): number {
  return layoutOf(frame, length).shardLength;
}

/** The salt that a segment's bytes will have, without coding it. */
export async function saltOfSegment(
  frame: SegmentFrame,
  index: number,
  plain: Uint8Array,
): Promise<Uint8Array> {
  return segmentSalt(frame.objectKey, index, await digest(plain));
}

/**
 * Encrypt, code and hash one segment.
 *
 * @param room - n arrays of the shards' size to write into; whatever is in them
 */
export async function encodeJob(
  frame: SegmentFrame,
  index: number,
  plain: Uint8Array,
  room?: Uint8Array[],
): Promise<EncodedSegment> {
  const codec = await codecFor(frame.k, frame.n);
  const salt = await saltOfSegment(frame, index, plain);
  const { objectKey, chunkSize } = frame;
  const key = segmentKey(objectKey, salt);
  const layout = layoutOf(frame, plain.length);
  const coded = room ?? Array.from({ length: frame.n }, () => new Uint8Array(layout.shardLength));
  await encryptAndCode(codec, layout, { key, index, chunkSize }, plain, coded);
  const auditSalt = salt.subarray(0, AUDIT_SALT_SIZE);
  const shards: EncodedShard[] = [];
  for (const bytes of coded) shards.push(await finishShard(frame, auditSalt, bytes));
  return { salt, shards };
}

/** Encrypt, and code stripe by stripe what has just been encrypted, while it is in the cache. */
async function encryptAndCode(
  codec: Codec,
  layout: StripeLayout,
  cipher: SegmentCipher,
  plain: Uint8Array,
  shards: readonly Uint8Array[],
): Promise<void> {
  const stripe = layout.k * layout.cellSize;
  const buffer = new Uint8Array(stripe + CHUNKS * cipher.chunkSize);
  let [stripes, filled] = [0, 0];
  for (let first = 0; first * chunkPlain(cipher) < plain.length; first += CHUNKS) {
    const range = { first, count: CHUNKS };
    filled += await encryptChunks(cipher, plain, range, buffer.subarray(filled));
    const whole = filled - (filled % stripe);
    encodeStripes(codec, layout, stripes, buffer.subarray(0, whole), shards);
    buffer.copyWithin(0, whole, filled);
    stripes += whole / stripe;
    filled -= whole;
  }
  encodeStripes(codec, layout, stripes, buffer.subarray(0, filled), shards);
}

async function finishShard(
  frame: SegmentFrame,
  auditSalt: Uint8Array,
  bytes: Uint8Array,
): Promise<EncodedShard> {
  const hash = ShardTree.fromLeaves(bytes.length, await leafHashes(bytes)).root();
  const seed = { objectKey: frame.objectKey, auditSalt, hash };
  return { bytes, hash, audits: await auditLeaves(seed, bytes, frame.audits) };
}

/**
 * Make shards of a segment anew, from k others, or as they are when they are among those given.
 *
 * @param length - plaintext bytes in the segment
 * @param shards - whole, verified shards by index
 * @param wanted - indices of the shards to return, in this order
 * @param auditSalt - what their challenges are derived with: never used before
 */
export async function rebuildJob(
  frame: SegmentFrame,
  length: number,
  shards: ReadonlyMap<number, Uint8Array>,
  wanted: readonly number[],
  auditSalt: Uint8Array,
): Promise<EncodedShard[]> {
  let all: readonly (Uint8Array | undefined)[] = wanted.map((index) => shards.get(index));
  if (all.includes(undefined)) {
    const codec = await codecFor(frame.k, frame.n);
    const layout = layoutOf(frame, length);
    const coded = encodeSegment(codec, layout, decodeSegment(codec, layout, shards));
    all = wanted.map((index) => coded[index]);
  }
  // Shards may share a buffer, which goes to another thread as a whole.
  const finished: EncodedShard[] = [];
  for (const bytes of all) finished.push(await finishShard(frame, auditSalt, bytes!.slice()));
  return finished;
}

/**
 * What to fetch to read `length` plaintext bytes from `offset` of a segment.
 *
 * @param segmentLength - plaintext bytes in the segment; the range lies within
 */
export function windowOf(
  frame: SegmentLayout,
  segmentLength: number,
  offset: number,
  length: number,
): SegmentWindow {
  const step = frame.chunkSize - TAG_SIZE;
  const firstChunk = Math.floor(offset / step);
  const lastChunk = Math.floor((offset + length - 1) / step);
  const total = cipherLength(segmentLength, frame.chunkSize);
  const from = firstChunk * frame.chunkSize;
  const to = Math.min((lastChunk + 1) * frame.chunkSize, total);
  const layout = layoutOf(frame, segmentLength);
  const range = stripesForRange(layout, from, to - from);
  return {
    shardOffset: range.shardOffset,
    shardLength: range.shardLength,
    firstChunk,
    cipherOffset: from,
    cipherLength: to - from,
    skip: offset - firstChunk * step,
    length,
  };
}

/**
 * Decode and decrypt a window of a segment from k of its shards, each cut to the window.
 *
 * @throws RenterError RENTER_DECRYPT when what comes out was not what went in.
 */
export async function decodeJob(
  frame: SegmentLayout,
  segment: SegmentToRead,
  window: SegmentWindow,
  shards: ReadonlyMap<number, Uint8Array>,
): Promise<Uint8Array> {
  const codec = await codecFor(frame.k, frame.n);
  const layout = layoutOf(frame, segment.length);
  const range = stripesForRange(layout, window.cipherOffset, window.cipherLength);
  const room = scratch.take(range.segmentLength);
  const stripes = decodeStripes(codec, layout, range, shards, room);
  const at = window.cipherOffset - range.segmentOffset;
  const cipher = stripes.subarray(at, at + window.cipherLength);
  const chunks = Math.ceil(cipherLength(segment.length, frame.chunkSize) / frame.chunkSize);
  const plain = await decryptChunks(
    { key: segment.key, index: segment.index, chunkSize: frame.chunkSize },
    cipher,
    window.firstChunk,
    chunks,
  );
  // Not after an error: chunks that were begun with the one that failed may still be read.
  scratch.give(room);
  return plain.subarray(window.skip, window.skip + window.length);
}
