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
  const first = Math.floor(offset / step);
  const last = Math.floor((offset + length - 1) / step);
  const counts = { bytes: 0, networkBytes: 0, segments: 0, shards: 0 };
  const progress = () => onProgress?.({ ...counts, total: length });

  const readSegment = async (i: number): Promise<Uint8Array> => {
    const index = first + i;
    try {
      return await readOnce(index);
    } catch (error) {
      if (signal.aborted || (await object.moved?.(index, error)) !== true) throw error;
      return readOnce(index);
    }
  };

  const readOnce = async (index: number): Promise<Uint8Array> => {
    const segment = await object.segment(index);
    const from = Math.max(0, offset - index * step);
    const to = Math.min(segment.length, offset + length - index * step);
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
    for await (const bytes of inOrder(
      last - first + 1,
      core.settings.parallelSegments,
      readSegment,
    )) {
      counts.bytes += bytes.length;
      counts.segments += 1;
      progress();
      yield bytes;
    }
  } catch (error) {
    throw signal.aborted ? abortError(signal) : error;
  } finally {
    stop.abort(new RenterError('RENTER_ABORTED', 'the read was stopped'));
  }
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
