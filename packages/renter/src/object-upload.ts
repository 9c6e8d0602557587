import { growingHash } from '#renter/crypto';
import { randomFraction } from '@granary/kad';
import { type Manifest, type RedundancyScheme, checkScheme, toHex } from '@granary/protocol';
import { all as allOf } from './all.js';
import { anySignal } from './any-signal.js';
import { RenterError, messageOf } from './errors.js';
import type { Leases } from './leases.js';
import { canTake, choosePlacement } from './placement.js';
import { type PutSource, type SourceReader, openSource } from './put-source.js';
import type { FarmerRecord, ObjectPath, UploadRecord } from './records.js';
import { type RenterCore, abortError, frameOf, plainSegmentSize } from './renter-core.js';
import type { RenterStore } from './renter-store.js';
import type { PutOptions, PutResult } from './renter-types.js';
import { type SegmentFrame, saltOfSegment, shardSizeOf } from './segment-job.js';
import { Slots } from './segment-pipeline.js';
import { placeShards } from './segment-upload.js';
import { segmentSizeFor } from './settings.js';

/** What an upload did. */
export type StoredObject = Pick<PutResult, 'manifest' | 'shards' | 'resumedSegments'>;

/** Store an object under a path that was checked; see {@link Renter.put}. */
export async function putObject(
  core: RenterCore,
  path: ObjectPath,
  source: PutSource,
  options: PutOptions,
  context: {
    readonly signal: AbortSignal;
    /** Uploads that this renter works on. */
    readonly active: Set<string>;
    readonly leases: Leases;
  },
): Promise<StoredObject> {
  const scheme = checkScheme(options.scheme ?? core.settings.scheme);
  const durationMs = options.durationMs ?? core.settings.durationMs;
  const { signal, active } = context;
  const reader = await openSource(source);
  try {
    const { upload, work } = await beginUpload(core, context, path, reader, scheme);
    active.add(upload.id);
    try {
      return await performUpload(core, upload, reader, durationMs, options, signal);
    } catch (error) {
      // A stream can't be read again, so what it stored is of no use.
      if (reader.mark === null && !isClosed(signal)) await abandon(core, upload);
      throw signal.aborted ? abortError(signal) : error;
    } finally {
      active.delete(upload.id);
      if (!isClosed(signal)) await work.done();
    }
  } finally {
    await reader.close().catch(() => undefined);
  }
}

/** Give up uploads that nobody works on any more: those of streams, or all of them. */
export async function abandonUploads(
  { store }: RenterCore,
  worked: Worked,
  all: boolean,
): Promise<void> {
  for (const upload of await allOf(store.uploads())) {
    const unwanted = all || upload.source === null || upload.abandoned === true;
    if (unwanted && !(await isActive(store, upload, worked))) await store.abandonUpload(upload);
  }
}

/** Give up uploads of one path that nobody works on. @returns how many there were */
export async function abandonUploadsOf(
  { store }: RenterCore,
  worked: Worked,
  { bucket, name }: ObjectPath,
): Promise<number> {
  let count = 0;
  for (const upload of await allOf(store.uploads())) {
    const { manifest } = upload;
    if (manifest.bucket !== bucket || manifest.name !== name) continue;
    if (await isActive(store, upload, worked)) continue;
    await store.abandonUpload(upload);
    count += 1;
  }
  return count;
}

/** Give an upload up; when the store does not take that now, the next round of care does it. */
async function abandon({ store, logger }: RenterCore, upload: UploadRecord): Promise<void> {
  try {
    await store.abandonUpload(upload);
  } catch (error) {
    logger.info({ upload: upload.id, error: messageOf(error) }, 'an upload was not given up yet');
  }
}

/** Who knows which uploads are worked on. */
interface Worked {
  /** Uploads that this renter works on. */
  readonly active: ReadonlySet<string>;
  readonly leases: Leases;
}

const leaseOf = (id: string) => `upload/${id}`;

/** Whether the renter itself was closed, so that its store may not be touched. */
function isClosed(signal: AbortSignal): boolean {
  const reason: unknown = signal.reason;
  return reason instanceof RenterError && reason.code === 'RENTER_CLOSED';
}

/** Take up an upload of the same file that was cut off, or begin a new one. */
async function beginUpload(
  core: RenterCore,
  worked: Worked,
  { bucket, name }: ObjectPath,
  reader: SourceReader,
  scheme: RedundancyScheme,
): Promise<{ upload: UploadRecord; work: { done(): Promise<void> } }> {
  const { leases } = worked;
  const { chunkSize, cellSize } = core.settings;
  const segmentSize = segmentSizeFor(core.settings, scheme);
  for (const old of await allOf(core.store.uploads())) {
    const { manifest, source } = old;
    if (manifest.bucket !== bucket || manifest.name !== name) continue;
    if (await isActive(core.store, old, worked)) continue;
    const same =
      JSON.stringify(source) === JSON.stringify(reader.mark) &&
      JSON.stringify(manifest.scheme) === JSON.stringify(scheme) &&
      manifest.segmentSize === segmentSize &&
      manifest.chunkSize === chunkSize &&
      manifest.cellSize === cellSize &&
      old.abandoned !== true;
    if (source !== null && same) {
      const taken = { ...old, process: leases.process };
      const work = await leases.working(leaseOf(old.id));
      if (work === undefined) continue;
      await core.store.putUpload(taken);
      return { upload: taken, work };
    }
    await core.store.abandonUpload(old);
  }
  const upload: UploadRecord = {
    id: toHex(core.random(8)),
    manifest: {
      version: 1,
      objectId: toHex(core.random(16)),
      bucket,
      name,
      created: core.clock.now(),
      scheme,
      segmentSize,
      chunkSize,
      cellSize,
    },
    source: reader.mark,
    process: leases.process,
    started: core.clock.now(),
  };
  // Nobody else knows of it yet.
  const work = (await leases.working(leaseOf(upload.id)))!;
  try {
    await core.store.putUpload(upload);
  } catch (error) {
    // It may be there all the same: once it has no lease, it is given up.
    await work.done();
    throw error;
  }
  return { upload, work };
}

async function isActive(
  { reach }: Pick<RenterStore, 'reach'>,
  { id, process: pid }: UploadRecord,
  { active, leases }: Worked,
): Promise<boolean> {
  if (active.has(id)) return true;
  if (reach === 'network') return leases.isWorkedOn(leaseOf(id));
  return leases.isAnotherAlive(pid);
}

async function performUpload(
  core: RenterCore,
  upload: UploadRecord,
  reader: SourceReader,
  durationMs: number,
  { onProgress, onShard }: Pick<PutOptions, 'onProgress' | 'onShard'>,
  outer: AbortSignal,
): Promise<StoredObject> {
  const { manifest: head } = upload;
  const frame = frameOf(core, head);
  const step = plainSegmentSize(head);
  const total = reader.mark?.size;
  const failed = new AbortController();
  const signal = anySignal([outer, failed.signal]);
  const slots = new Slots(core.settings.parallelSegments);
  const hash = await growingHash();
  const counts = { bytes: 0, networkBytes: 0, segments: 0, shards: 0 };
  const progress = () => onProgress?.({ ...counts, ...(total !== undefined && { total }) });
  const running = new Set<Promise<void>>();
  let [resumedSegments, index, size] = [0, 0, 0];

  const store = async (at: number, plain: Uint8Array): Promise<void> => {
    const length = plain.length;
    const known = await core.store.segment(head.objectId, at);
    if (known !== undefined && known.length === length) {
      if (toHex(await saltOfSegment(frame, at, plain)) === known.salt) {
        core.engine.recyclePlain(plain);
        resumedSegments += 1;
        counts.bytes += length;
        counts.segments += 1;
        return progress();
      }
    }
    if (known !== undefined) await core.store.dropSegments(head.objectId, at);
    const candidates = await place(core, frame, length, durationMs, head.scheme);
    const encoded = await core.engine.encode(frame, at, plain);
    const shardSize = encoded.shards[0]!.bytes.length;
    const { shards, contracts } = await placeShards(
      core,
      {
        upload: upload.id,
        index: at,
        shards: new Map(encoded.shards.entries()),
        success: head.scheme.success,
        durationMs,
        candidates,
      },
      {
        onBytes: (count) => {
          counts.networkBytes += count;
          progress();
        },
        onShard: () => {
          counts.shards += 1;
          progress();
        },
        ...(onShard !== undefined && { onMove: (move) => onShard({ ...move, segment: at }) }),
      },
      signal,
    );
    const segment = { index: at, salt: toHex(encoded.salt), length, shardSize, shards };
    await core.store.putSegment(upload, segment, contracts);
    counts.bytes += length;
    counts.segments += 1;
    progress();
  };

  try {
    for (;;) {
      const release = await slots.take();
      signal.throwIfAborted();
      const plain = await reader.read(step, signal, (room) => core.engine.plainBuffer(room));
      if (plain.length === 0) {
        release();
        break;
      }
      await hash.update(plain);
      size += plain.length;
      const last = plain.length < step;
      const coded = shardSizeOf(frame, plain.length) * frame.n;
      const free = await core.uploadMemory.take(plain.length + coded, signal);
      const task: Promise<void> = store(index++, plain)
        .catch((error: unknown) => {
          failed.abort(error);
          throw error;
        })
        .finally(() => {
          running.delete(task);
          free();
          release();
        });
      task.catch(() => undefined);
      running.add(task);
      if (last) break;
    }
    await Promise.all(running);
    signal.throwIfAborted();
    await reader.finish();
  } catch (error) {
    failed.abort(error);
    await Promise.allSettled(running);
    throw failed.signal.reason;
  }
  await core.store.dropSegments(head.objectId, index);
  const manifest: Manifest = { ...head, size, sha256: hash.hex(), segments: index };
  await core.store.commitUpload(upload, manifest);
  return { manifest, shards: counts.shards, resumedSegments };
}

/** Farmers for a segment's shards. @throws RenterError RENTER_NOT_ENOUGH_FARMERS. */
async function place(
  core: RenterCore,
  frame: SegmentFrame,
  length: number,
  durationMs: number,
  scheme: RedundancyScheme,
): Promise<FarmerRecord[]> {
  const shardSize = shardSizeOf(frame, length);
  const farmers = await core.directory.available();
  const { diversity, reputation, maxStoragePrice, maxEgressPrice } = core.settings;
  const canUse = (farmer: FarmerRecord) => core.payments.canUse(farmer);
  const prices = { maxStoragePrice, maxEgressPrice, canUse };
  const needs = { shardSize, durationMs, now: core.clock.now(), diversity, reputation, ...prices };
  const able = choosePlacement(farmers, needs, () => randomFraction(core.random));
  if (able.length < scheme.success) {
    const takers = farmers.filter((farmer) => canTake(farmer, needs)).length;
    const free = { shardSize, durationMs, now: needs.now, diversity, reputation };
    const dear = farmers.filter((farmer) => canTake(farmer, free)).length - takers;
    const groups =
      takers >= scheme.success
        ? ` in ${able.length} different networks and operator groups: wait for more, ` +
          'or use a smaller --scheme, or "diversity": "prefer" in config.json'
        : ': wait for more, or use a smaller --scheme';
    throw new RenterError(
      'RENTER_NOT_ENOUGH_FARMERS',
      `${scheme.success} farmers are needed, ${takers} of the ${farmers.length} in the network ` +
        `can take a shard of ${shardSize} bytes${groups}` +
        (dear > 0
          ? `; ${dear} more cost more than is to be paid, or are paid in another way: see ` +
            '"granary farmers", "maxPrice", "maxEgressPrice" and "budget"'
          : ''),
    );
  }
  return able;
}
