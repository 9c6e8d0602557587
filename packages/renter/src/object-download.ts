import { type Manifest, fromHex } from '@granary/protocol';
import { anySignal } from './any-signal.js';
import { RenterError } from './errors.js';
import {
  type RenterCore,
  abortError,
  frameOf,
  plainSegmentSize,
  segmentOf,
} from './renter-core.js';
import type { OnProgress, OnShard } from './renter-types.js';
import { segmentKey } from './segment-cipher.js';
import { type SegmentToFetch, type ShardFetching, fetchShards } from './segment-download.js';
import type { SegmentEngine } from './segment-engine.js';
import { type SegmentLayout, type SegmentToRead, windowOf } from './segment-job.js';
import { inOrder } from './segment-pipeline.js';
import type { RenterSettings } from './settings.js';

/** An object whose segments can be read. */
export interface SegmentedObject {
  readonly layout: SegmentLayout;
  /** Plaintext bytes of a full segment. */
  readonly segmentBytes: number;
  /** Where a segment is, and its key. */
  segment(index: number): Promise<SegmentToFetch & SegmentToRead>;
  /**
   * A segment could not be read: whether its shards may be elsewhere by now, so that it is worth
   * another try. May throw what tells more than the error. Not there: no.
   */
  moved?(index: number, error: unknown): Promise<boolean>;
}

/** Read `length` bytes from `offset` of an object, segments ahead in parallel, bytes in order. */
export function readObject(
  core: RenterCore,
  manifest: Manifest,
  offset: number,
  length: number,
  onProgress: OnProgress | undefined,
  signal: AbortSignal,
  onShard?: OnShard,
): AsyncGenerator<Uint8Array> {
  const frame = frameOf(core, manifest);
  const object: SegmentedObject = {
    layout: frame,
    segmentBytes: plainSegmentSize(manifest),
    segment: async (index) => {
      const segment = await segmentOf(core, manifest, index);
      return { ...segment, key: segmentKey(frame.objectKey, fromHex(segment.salt)) };
    },
  };
  return readSegments(core, object, { offset, length }, onProgress, signal, onShard);
}

/** Read a range of an object, segments ahead in parallel, bytes in order. */
export async function* readSegments(
  core: ShardFetching & {
    readonly engine: Pick<SegmentEngine, 'decode'>;
    readonly settings: Pick<RenterSettings, 'parallelSegments'>;
  },
  object: SegmentedObject,
  { offset, length }: { offset: number; length: number },
  onProgress: OnProgress | undefined,
  outer: AbortSignal,
  onShard?: OnShard,
): AsyncGenerator<Uint8Array> {
  if (length === 0) return;
  const stop = new AbortController();
  const signal = anySignal([outer, stop.signal]);
  const { layout, segmentBytes: step } = object;
  const pieces = piecesOf(offset, length, step);
  const counts = { bytes: 0, networkBytes: 0, segments: 0, shards: 0 };
  const progress = () => onProgress?.({ ...counts, total: length });

  const readPiece = async (i: number): Promise<Uint8Array> => {
    const piece = pieces[i]!;
    try {
      return await readOnce(piece);
    } catch (error) {
      if (signal.aborted || (await object.moved?.(piece.index, error)) !== true) throw error;
      return readOnce(piece);
    }
  };

  const readOnce = async ({ index, from, to }: Piece): Promise<Uint8Array> => {
    const segment = await object.segment(index);
    const window = windowOf(layout, segment.length, from, to - from);
    const shards = await fetchShards(
      core,
      segment,
      window,
      layout.k,
      (count) => {
        counts.networkBytes += count;
        progress();
      },
      signal,
      onShard && ((move) => onShard({ ...move, segment: index })),
    );
    const { key } = segment;
    return core.engine.decode(layout, { index, length: segment.length, key }, window, shards);
  };

  try {
    let at = 0;
    for await (const bytes of inOrder(pieces.length, core.settings.parallelSegments, readPiece)) {
      counts.bytes += bytes.length;
      if (pieces[at]!.index !== pieces[++at]?.index) counts.segments += 1;
      progress();
      yield bytes;
    }
  } catch (error) {
    throw signal.aborted ? abortError(signal) : error;
  } finally {
    stop.abort(new RenterError('RENTER_ABORTED', 'the read was stopped'));
  }
}

/** A stretch of one segment, by offsets in its plaintext. */
interface Piece {
  readonly index: number;
  readonly from: number;
  readonly to: number;
}

/** Bytes of the first piece of a read. */
const FIRST_PIECE = 1024 * 1024;

/**
 * What a read fetches, one piece after the other: small ones first, each four times as large as the one before,
 * since nothing of a piece can be read before all of it is there; then whole segments.
 */
export function piecesOf(offset: number, length: number, segmentBytes: number): Piece[] {
  const pieces: Piece[] = [];
  const end = offset + length;
  let size = FIRST_PIECE;
  for (let at = offset; at < end;) {
    const index = Math.floor(at / segmentBytes);
    const segmentEnd = Math.min(end, (index + 1) * segmentBytes);
    // No crumbs: each piece costs a request to every farmer.
    const to = segmentEnd - at < 2 * size ? segmentEnd : at + size;
    pieces.push({ index, from: at - index * segmentBytes, to: to - index * segmentBytes });
    size *= 4;
    at = to;
  }
  return pieces;
}

/** Check that a range lies in an object. @throws RenterError RENTER_RANGE. */
export function checkRange({ size }: Pick<Manifest, 'size'>, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (!whole || offset < 0 || length < 0 || offset + length > size) {
    throw new RenterError(
      'RENTER_RANGE',
      `bytes ${offset} to ${offset + length} are not in an object of ${size} bytes`,
    );
  }
}
