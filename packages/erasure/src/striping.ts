import type { Codec, ShardMap } from './codec.js';
import { ErasureError } from './errors.js';

/**
 * How a segment lies in its shards. The segment is cut into stripes of k cells; cell i of every
 * stripe belongs to shard i. The last stripe's cells are as short as they can be, so that little is
 * padded.
 */
export interface StripeLayout {
  readonly k: number;
  readonly n: number;
  /** Bytes in a cell of every stripe but the last. */
  readonly cellSize: number;
  /** Bytes in the segment. */
  readonly segmentLength: number;
  /** Stripes, the last one included. */
  readonly stripes: number;
  /** Bytes in a cell of the last stripe. */
  readonly lastCellSize: number;
  /** Bytes in each shard. */
  readonly shardLength: number;
}

/** The layout of a segment. @throws ErasureError ERASURE_PARAMETERS. */
export function stripeLayout(options: {
  k: number;
  n: number;
  cellSize: number;
  segmentLength: number;
}): StripeLayout {
  const { k, n, cellSize, segmentLength } = options;
  if (!Number.isInteger(cellSize) || cellSize < 1 || !Number.isInteger(segmentLength)) {
    throw new ErasureError('ERASURE_PARAMETERS', 'cell and segment are whole numbers of bytes');
  }
  if (segmentLength < 0 || k < 1 || n < k || n > 256) {
    throw new ErasureError('ERASURE_PARAMETERS', `no layout for ${k} of ${n}, ${segmentLength}`);
  }
  const stripes = Math.ceil(segmentLength / (k * cellSize));
  const rest = stripes === 0 ? 0 : segmentLength - (stripes - 1) * k * cellSize;
  const lastCellSize = Math.ceil(rest / k);
  const shardLength = stripes === 0 ? 0 : (stripes - 1) * cellSize + lastCellSize;
  return { k, n, cellSize, segmentLength, stripes, lastCellSize, shardLength };
}

/** Some stripes of a segment, and the bytes that they take up in the segment and in every shard. */
export interface StripeRange {
  readonly firstStripe: number;
  readonly lastStripe: number;
  readonly shardOffset: number;
  readonly shardLength: number;
  readonly segmentOffset: number;
  readonly segmentLength: number;
}

/** The stripes that hold `length` bytes from `offset` of the segment. @throws ErasureError ERASURE_RANGE. */
export function stripesForRange(layout: StripeLayout, offset: number, length: number): StripeRange {
  if (offset < 0 || length < 1 || offset + length > layout.segmentLength) {
    throw new ErasureError(
      'ERASURE_RANGE',
      `bytes ${offset} to ${offset + length} are not in a segment of ${layout.segmentLength}`,
    );
  }
  const stripe = layout.k * layout.cellSize;
  const firstStripe = Math.floor(offset / stripe);
  const lastStripe = Math.floor((offset + length - 1) / stripe);
  const shardOffset = firstStripe * layout.cellSize;
  const shardEnd = Math.min((lastStripe + 1) * layout.cellSize, layout.shardLength);
  const segmentOffset = firstStripe * stripe;
  const segmentEnd = Math.min((lastStripe + 1) * stripe, layout.segmentLength);
  return {
    firstStripe,
    lastStripe,
    shardOffset,
    shardLength: shardEnd - shardOffset,
    segmentOffset,
    segmentLength: segmentEnd - segmentOffset,
  };
}

/** The n shards of a segment. */
export function encodeSegment(
  codec: Codec,
  layout: StripeLayout,
  segment: Uint8Array,
): Uint8Array[] {
  if (segment.length !== layout.segmentLength) {
    throw new ErasureError(
      'ERASURE_SHARD_SIZE',
      `the segment has ${segment.length} bytes, its layout ${layout.segmentLength}`,
    );
  }
  const shards = Array.from({ length: layout.n }, () => new Uint8Array(layout.shardLength));
  encodeStripes(codec, layout, 0, segment, shards);
  return shards;
}

/**
 * Code some stripes of a segment into its shards.
 *
 * @param first - the first stripe
 * @param bytes - the segment's bytes from that stripe on: whole stripes, or to the segment's end
 * @param shards - n arrays of `layout.shardLength` bytes, of which those of these stripes are written
 * @throws ErasureError ERASURE_PARAMETERS, ERASURE_SHARD_SIZE, or ERASURE_RANGE for stripes that there are not.
 */
export function encodeStripes(
  codec: Codec,
  layout: StripeLayout,
  first: number,
  bytes: Uint8Array,
  shards: readonly Uint8Array[],
): void {
  checkLayout(codec, layout);
  const { k, n, cellSize, stripes, shardLength, lastCellSize, segmentLength } = layout;
  if (shards.length !== n || shards.some(({ length }) => length !== shardLength)) {
    throw new ErasureError('ERASURE_SHARD_SIZE', `room for ${n} shards of ${shardLength} bytes`);
  }
  const stripe = k * cellSize;
  const end = first * stripe + bytes.length;
  if (end > segmentLength || (end < segmentLength && bytes.length % stripe !== 0)) {
    throw new ErasureError('ERASURE_RANGE', `${bytes.length} bytes from stripe ${first} on`);
  }
  if (bytes.length === 0) return;
  const parity = shards.slice(k);
  // The segment's last stripe is another, even when it is a whole one.
  const full = end === segmentLength ? stripes - 1 - first : bytes.length / stripe;
  for (let s = 0; s < full; s += 1) {
    for (let i = 0; i < k; i += 1) {
      const from = (s * k + i) * cellSize;
      shards[i]!.set(bytes.subarray(from, from + cellSize), (first + s) * cellSize);
    }
  }
  codec.encodeStripes(bytes, 0, cellSize, full, parity, first * cellSize);
  if (end < segmentLength) return;
  const at = (stripes - 1) * cellSize;
  const last = new Uint8Array(k * lastCellSize);
  last.set(bytes.subarray(full * stripe));
  for (let i = 0; i < k; i += 1) {
    shards[i]!.set(last.subarray(i * lastCellSize, (i + 1) * lastCellSize), at);
  }
  codec.encodeStripes(last, 0, lastCellSize, 1, parity, at);
}

/** A segment from any k of its shards. @throws ErasureError ERASURE_TOO_FEW_SHARDS. */
export function decodeSegment(codec: Codec, layout: StripeLayout, shards: ShardMap): Uint8Array {
  if (layout.segmentLength === 0) return new Uint8Array(0);
  const all = stripesForRange(layout, 0, layout.segmentLength);
  return decodeStripes(codec, layout, all, shards);
}

/**
 * Some stripes of a segment from any k of its shards, each cut to the range.
 *
 * @param room - where they go: `range.segmentLength` bytes, a new array when it is not given
 * @throws ErasureError ERASURE_TOO_FEW_SHARDS, or ERASURE_SHARD_SIZE for shards or room of another size.
 */
export function decodeStripes(
  codec: Codec,
  layout: StripeLayout,
  range: StripeRange,
  shards: ShardMap,
  room?: Uint8Array,
): Uint8Array {
  checkLayout(codec, layout);
  if (room !== undefined && room.length !== range.segmentLength) {
    throw new ErasureError(
      'ERASURE_SHARD_SIZE',
      `there is room for ${room.length} bytes, and not for ${range.segmentLength}`,
    );
  }
  for (const { length } of shards.values()) {
    if (length !== range.shardLength) {
      throw new ErasureError(
        'ERASURE_SHARD_SIZE',
        `a shard has ${length} bytes where ${range.shardLength} were expected`,
      );
    }
  }
  const data = codec.reconstructData(shards);
  const out = room ?? new Uint8Array(range.segmentLength);
  const { k, cellSize, stripes, lastCellSize } = layout;
  for (let s = range.firstStripe; s <= range.lastStripe; s += 1) {
    const cell = s === stripes - 1 ? lastCellSize : cellSize;
    const row = (s - range.firstStripe) * cellSize;
    const base = (s - range.firstStripe) * k * cellSize;
    for (let i = 0; i < k; i += 1) {
      const at = base + i * cell;
      if (at >= out.length) break;
      const size = Math.min(cell, out.length - at);
      out.set(data[i]!.subarray(row, row + size), at);
    }
  }
  return out;
}

function checkLayout(codec: Codec, layout: StripeLayout): void {
  if (codec.k !== layout.k || codec.n !== layout.n) {
    throw new ErasureError('ERASURE_PARAMETERS', 'the codec and the layout are of different codes');
  }
}

/**
 * Code a stream stripe by stripe: yields the n cells of each stripe, the last one's shorter. Memory
 * is one stripe.
 */
export async function* encodeStream(
  codec: Codec,
  cellSize: number,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array[]> {
  const stripe = codec.k * cellSize;
  let pending = new Uint8Array(stripe);
  let filled = 0;
  const cells = (bytes: Uint8Array): Uint8Array[] => {
    const layout = stripeLayout({ k: codec.k, n: codec.n, cellSize, segmentLength: bytes.length });
    return encodeSegment(codec, layout, bytes);
  };
  for await (const piece of source) {
    for (let at = 0; at < piece.length;) {
      const size = Math.min(stripe - filled, piece.length - at);
      pending.set(piece.subarray(at, at + size), filled);
      filled += size;
      at += size;
      if (filled === stripe) {
        yield cells(pending);
        pending = new Uint8Array(stripe);
        filled = 0;
      }
    }
  }
  if (filled > 0) yield cells(pending.subarray(0, filled));
}

/**
 * The inverse of {@link encodeStream}: from each stripe's cells, any k of them by index, the bytes.
 *
 * @param length - bytes in the whole stream
 */
export async function* decodeStream(
  codec: Codec,
  cellSize: number,
  length: number,
  stripes: AsyncIterable<ShardMap>,
): AsyncGenerator<Uint8Array> {
  let left = length;
  for await (const cells of stripes) {
    const segmentLength = Math.min(left, codec.k * cellSize);
    if (segmentLength === 0) {
      throw new ErasureError('ERASURE_SHARD_SIZE', 'there are more stripes than the length allows');
    }
    const layout = stripeLayout({ k: codec.k, n: codec.n, cellSize, segmentLength });
    yield decodeSegment(codec, layout, cells);
    left -= segmentLength;
  }
  if (left > 0) {
    throw new ErasureError('ERASURE_TOO_FEW_SHARDS', `the stripes end ${left} bytes early`);
  }
}
