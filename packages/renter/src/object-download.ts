import type { ShortLivedBuffers } from '@granary/kad';
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
import { chunkPlain, segmentKey } from './segment-cipher.js';
import { type SegmentToFetch, type ShardFetching, fetchShards } from './segment-download.js';
import type { SegmentEngine } from './segment-engine.js';
import {
  type SegmentLayout,
  type SegmentToRead,
  type SegmentWindow,
  windowOf,
} from './segment-job.js';
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

/** What is to be read of an object. */
export interface ObjectRange {
  readonly offset: number;
  readonly length: number;
  /** Nobody waits for the first bytes: no more requests are made than have to be. */
  readonly patient?: boolean;
}

/** Read a range of an object, segments ahead in parallel, bytes in order. */
export function readObject(
  core: RenterCore,
  manifest: Manifest,
  range: ObjectRange,
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
  return readSegments(core, object, range, onProgress, signal, onShard);
}

/** Read a range of an object, segments ahead in parallel, bytes in order. */
export async function* readSegments(
  core: ShardFetching & {
    readonly engine: SegmentEngine;
    readonly buffers: ShortLivedBuffers;
    readonly settings: Pick<RenterSettings, 'parallelSegments'>;
  },
  object: SegmentedObject,
  { offset, length, patient = false }: ObjectRange,
  onProgress: OnProgress | undefined,
  outer: AbortSignal,
  onShard?: OnShard,
): AsyncGenerator<Uint8Array> {
  if (length === 0) return;
  const stop = new AbortController();
  const signal = anySignal([outer, stop.signal]);
  const { layout, segmentBytes: step } = object;
  const pieces = piecesOf(offset, length, step, patient ? Infinity : FIRST_PIECE);
  const counts = { bytes: 0, networkBytes: 0, segments: 0, shards: 0 };
  const progress = () => onProgress?.({ ...counts, total: length });

  let before: Promise<unknown> = Promise.resolve();
  const fetchPiece = (i: number): Promise<Fetched> => {
    const piece = pieces[i]!;
    // Pieces of one segment one after the other: by the same connections, and the first one undisturbed.
    const turn = pieces[i - 1]?.index === piece.index ? before : undefined;
    const fetched = fetchInTurn(piece, turn);
    before = fetched;
    return fetched;
  };

  const fetchInTurn = async (piece: Piece, turn?: Promise<unknown>): Promise<Fetched> => {
    await turn;
    try {
      return await fetchOnce(piece);
    } catch (error) {
      if (signal.aborted || (await object.moved?.(piece.index, error)) !== true) throw error;
      return fetchOnce(piece);
    }
  };

  const fetchOnce = async ({ index, from, to }: Piece): Promise<Fetched> => {
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
    return { segment: { index, length: segment.length, key }, from, to, window, shards };
  };

  try {
    let at = 0;
    for await (const piece of inOrder(pieces.length, core.settings.parallelSegments, fetchPiece)) {
      const last = pieces[at]!.index !== pieces[++at]?.index;
      for await (const { bytes, end } of decodePiece(core.engine, layout, piece)) {
        counts.bytes += bytes.length;
        if (end && last) counts.segments += 1;
        progress();
        yield bytes;
        core.buffers.note(bytes.length);
      }
    }
  } catch (error) {
    throw signal.aborted ? abortError(signal) : error;
  } finally {
    stop.abort(new RenterError('RENTER_ABORTED', 'the read was stopped'));
  }
}

/** A piece whose shards are here. */
interface Fetched {
  readonly segment: SegmentToRead;
  readonly from: number;
  readonly to: number;
  readonly window: SegmentWindow;
  readonly shards: ReadonlyMap<number, Uint8Array>;
}

/** Plaintext bytes decoded at one time: so much waits in memory, twice, for whoever reads. */
const DECODED = 1024 * 1024;

/**
 * Decode a piece, one part after the other where that can be, each while the one before is read. Parts are whole
 * chunks, so that none is decrypted twice.
 */
async function* decodePiece(
  engine: SegmentEngine,
  layout: SegmentLayout,
  { segment, from, to, window, shards }: Fetched,
): AsyncGenerator<{ bytes: Uint8Array; end: boolean }> {
  const chunk = chunkPlain(layout);
  const step = engine.sharesMemory ? Math.max(1, Math.floor(DECODED / chunk)) * chunk : Infinity;
  const decode = (at: number, end: number) => {
    if (at === from && end === to) return engine.decode(layout, segment, window, shards);
    const part = windowOf(layout, segment.length, at, end - at);
    const skipped = part.shardOffset - window.shardOffset;
    const cut = [...shards].map(
      ([i, bytes]) => [i, bytes.subarray(skipped, skipped + part.shardLength)] as const,
    );
    return engine.decode(layout, segment, part, new Map(cut));
  };
  const bounds = cutRange(from, to, step);
  let count = 0;
  for await (const bytes of inOrder(bounds.length, 2, (i) => decode(...bounds[i]!))) {
    yield { bytes, end: ++count === bounds.length };
  }
  for (const bytes of shards.values()) engine.recycleShard(bytes);
}

/** A stretch of one segment, by offsets in its plaintext. */
interface Piece {
  readonly index: number;
  readonly from: number;
  readonly to: number;
}

/** Plaintext bytes of the first piece of a read. */
const FIRST_PIECE = 1024 * 1024;
/** How much larger each piece is than the one before, and what follows it at least. */
const GROWTH = 4;

/**
 * What a read fetches, one piece after the other: small ones first, since nothing of a piece can be read before all
 * of it is there; then of every segment all that is needed.
 *
 * @param segmentBytes - plaintext bytes of a full segment
 * @param first - plaintext bytes of the first piece
 */
export function piecesOf(
  offset: number,
  length: number,
  segmentBytes: number,
  first: number,
): Piece[] {
  const pieces: Piece[] = [];
  const readEnd = offset + length;
  let size = first;
  for (const [start, end] of cutRange(offset, readEnd, segmentBytes)) {
    const index = Math.floor(start / segmentBytes);
    const before = index * segmentBytes;
    for (let at = start; at < end; size *= GROWTH) {
      // Each piece costs a request to every farmer: one for a small part of what is to be read, and none for crumbs.
      const small = readEnd - at >= GROWTH * size && end - at >= 2 * size;
      const to = small ? at + size : end;
      pieces.push({ index, from: at - before, to: to - before });
      at = to;
    }
  }
  return pieces;
}

/** A range cut at every multiple of a step. */
function cutRange(from: number, to: number, step: number): [number, number][] {
  const parts: [number, number][] = [];
  for (let at = from; at < to;) {
    const end = Math.min(to, (Math.floor(at / step) + 1) * step);
    parts.push([at, end]);
    at = end;
  }
  return parts;
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
