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
import {
  type SegmentToFetch,
  type ShardFetching,
  type ShardStream,
  streamShards,
} from './segment-download.js';
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
  const { engine, settings } = core;
  const first = patient || engine.sharesMemory ? Infinity : FIRST_PIECE;
  const pieces = piecesOf(offset, length, step, first);
  const counts = { bytes: 0, networkBytes: 0, segments: 0, shards: 0 };
  const progress = () => onProgress?.({ ...counts, total: length });

  const mayHaveMoved = async (index: number, error: unknown) =>
    !signal.aborted && (await object.moved?.(index, error)) === true;
  const unfinished = new Set<Promise<unknown>>();
  const fetchPiece = async ({ index, from, to }: Piece): Promise<Fetching> => {
    signal.throwIfAborted();
    const segment = await object.segment(index).catch(async (error: unknown) => {
      if (!(await mayHaveMoved(index, error))) throw error;
      return object.segment(index);
    });
    const window = windowOf(layout, segment.length, from, to - from);
    const shards = streamShards(
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
    const ended = shards.done.catch(() => undefined).then(() => void unfinished.delete(ended));
    unfinished.add(ended);
    const { key } = segment;
    return { segment: { index, length: segment.length, key }, from, to, window, shards };
  };

  // Nothing else is fetched before the first part is here, nor more at one time than is set.
  const begun = signalOf();
  const read = pieces.map(signalOf);
  let before: Promise<Fetching> | undefined;
  const inTurn = (i: number): Promise<Fetching> => {
    const piece = pieces[i]!;
    // Pieces of one segment one after the other: by the same connections, and the first one undisturbed.
    const turn = pieces[i - 1]?.index === piece.index ? before : undefined;
    const fetching = (async () => {
      if (i > 0) await begun.given;
      await read[i - settings.parallelSegments]?.given;
      // Should that one fail, whoever reads it is told.
      await turn?.then(({ shards }) => shards.done).catch(() => undefined);
      return fetchPiece(piece);
    })();
    before = fetching;
    return fetching;
  };

  const readPiece = async function* (fetching: Fetching): AsyncGenerator<Uint8Array> {
    let at = fetching.from;
    try {
      for await (const bytes of decodePiece(engine, layout, fetching)) {
        at += bytes.length;
        yield bytes;
      }
    } catch (error) {
      const { index } = fetching.segment;
      const lost = error === fetching.shards.failure;
      if (!lost || !(await mayHaveMoved(index, error))) throw error;
      yield* decodePiece(engine, layout, await fetchPiece({ index, from: at, to: fetching.to }));
    }
  };

  try {
    let at = 0;
    for await (const fetching of inOrder(pieces.length, settings.parallelSegments, inTurn)) {
      const last = pieces[at]!.index !== pieces[at + 1]?.index;
      let left = fetching.to - fetching.from;
      for await (const bytes of readPiece(fetching)) {
        begun.give();
        counts.bytes += bytes.length;
        left -= bytes.length;
        if (left === 0 && last) counts.segments += 1;
        progress();
        yield bytes;
        core.buffers.note(bytes.length);
      }
      read[at]!.give();
      at += 1;
    }
    // The receipts of the last shards may be on their way.
    await Promise.all(unfinished);
  } catch (error) {
    throw signal.aborted ? abortError(signal) : error;
  } finally {
    stop.abort(new RenterError('RENTER_ABORTED', 'the read was stopped'));
    begun.give();
    for (const { give } of read) give();
  }
}

/** Something that is waited for, and given once. */
function signalOf(): { readonly given: Promise<void>; give(): void } {
  let give!: () => void;
  const given = new Promise<void>((resolve) => (give = resolve));
  return { given, give };
}

/** A piece whose shards are on their way. */
interface Fetching {
  readonly segment: SegmentToRead;
  readonly from: number;
  readonly to: number;
  readonly window: SegmentWindow;
  readonly shards: ShardStream;
}

/** Plaintext bytes decoded at one time: so much waits in memory, twice, for whoever reads. */
const DECODED = 1024 * 1024;

/**
 * Decode a piece, one part after the other where that can be, as soon as its shards are here that far, and each while
 * the one before is read. Parts are whole chunks, so that none is decrypted twice.
 */
async function* decodePiece(
  engine: SegmentEngine,
  layout: SegmentLayout,
  { segment, from, to, window, shards }: Fetching,
): AsyncGenerator<Uint8Array> {
  const chunk = chunkPlain(layout);
  const step = engine.sharesMemory ? Math.max(1, Math.floor(DECODED / chunk)) * chunk : Infinity;
  const decode = async (at: number, end: number) => {
    const part = windowOf(layout, segment.length, at, end - at);
    const skipped = part.shardOffset - window.shardOffset;
    const here = await shards.upTo(skipped + part.shardLength);
    const cut = skipped === 0 ? here : new Map([...here].map(([i, b]) => [i, b.subarray(skipped)]));
    return engine.decode(layout, segment, part, cut);
  };
  const bounds = cutRange(from, to, step);
  yield* inOrder(bounds.length, 2, (i) => decode(...bounds[i]!));
  shards.release();
}

/** A stretch of one segment, by offsets in its plaintext. */
interface Piece {
  readonly index: number;
  readonly from: number;
  readonly to: number;
}

/** Plaintext bytes of the first piece of a read whose shards can only be read as a whole. */
const FIRST_PIECE = 1024 * 1024;
/** How much larger each piece is than the one before, and what follows it at least. */
const GROWTH = 4;

/**
 * What a read fetches, one piece after the other: small ones first, where nothing of a piece can be read before all
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
