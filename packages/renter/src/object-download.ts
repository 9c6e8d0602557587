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
import { fetchShards } from './segment-download.js';
import { windowOf } from './segment-job.js';
import { inOrder } from './segment-pipeline.js';

/** Read `length` bytes from `offset` of an object, segments ahead in parallel, bytes in order. */
export async function* readObject(
  core: RenterCore,
  manifest: Manifest,
  offset: number,
  length: number,
  onProgress: OnProgress | undefined,
  outer: AbortSignal,
  onShard?: OnShard,
): AsyncGenerator<Uint8Array> {
  if (length === 0) return;
  const stop = new AbortController();
  const signal = anySignal([outer, stop.signal]);
  const frame = frameOf(core, manifest);
  const step = plainSegmentSize(manifest);
  const first = Math.floor(offset / step);
  const last = Math.floor((offset + length - 1) / step);
  const counts = { bytes: 0, networkBytes: 0, segments: 0, shards: 0 };
  const progress = () => onProgress?.({ ...counts, total: length });

  const readSegment = async (i: number): Promise<Uint8Array> => {
    const index = first + i;
    const segment = await segmentOf(core, manifest, index);
    const from = Math.max(0, offset - index * step);
    const to = Math.min(segment.length, offset + length - index * step);
    const window = windowOf(frame, segment.length, from, to - from);
    const shards = await fetchShards(
      core,
      segment,
      window,
      manifest.scheme.k,
      (count) => {
        counts.networkBytes += count;
        progress();
      },
      signal,
      onShard && ((move) => onShard({ ...move, segment: index })),
    );
    const place = { index, length: segment.length, salt: fromHex(segment.salt) };
    return core.engine.decode(frame, place, window, shards);
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
export function checkRange({ size }: Manifest, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (!whole || offset < 0 || length < 0 || offset + length > size) {
    throw new RenterError(
      'RENTER_RANGE',
      `bytes ${offset} to ${offset + length} are not in an object of ${size} bytes`,
    );
  }
}
