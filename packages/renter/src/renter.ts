import { createHash } from 'node:crypto';
import { type FileHandle, open as openFile, rename } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import {
  type Clock,
  HttpsTransport,
  KademliaNode,
  type Logger,
  MemoryValueStore,
  type Random,
  createTlsCredentials,
  messageOf,
  randomFraction,
  systemClock,
  systemRandom,
} from '@granary/kad';
import {
  type Manifest,
  type RedundancyScheme,
  type SegmentRecord,
  checkScheme,
  fromHex,
  toHex,
} from '@granary/protocol';
import { ConnectionPool } from './connection-pool.js';
import { RenterError } from './errors.js';
import { FarmerDirectory } from './farmer-directory.js';
import { type DeletionReport, collectGarbage } from './garbage-collector.js';
import { NetworkAccess } from './network-access.js';
import { checkBucket, checkPath } from './object-path.js';
import { choosePlacement } from './placement.js';
import { type PutSource, type SourceReader, openSource } from './put-source.js';
import type { FarmerRecord, ObjectPath, UploadRecord } from './records.js';
import type { RenterKeys } from './renter-keys.js';
import { RenterStore } from './renter-store.js';
import { TAG_SIZE } from './segment-cipher.js';
import { fetchShards } from './segment-download.js';
import { type SegmentEngine, defaultEngine } from './segment-engine.js';
import { type SegmentFrame, saltOfSegment, shardSizeOf, windowOf } from './segment-job.js';
import { Slots, inOrder } from './segment-pipeline.js';
import { anySignal } from './any-signal.js';
import { uploadSegment } from './segment-upload.js';
import { type RenterSettings, defaultSettings, segmentSizeFor } from './settings.js';

/** How far a put or a get is. */
export interface TransferProgress {
  /** Plaintext bytes that are safe (put) or handed out (get). */
  readonly bytes: number;
  /** Plaintext bytes in all, when that is known. */
  readonly total?: number;
  /** Bytes of shards moved over the network, both finished and under way. */
  readonly networkBytes: number;
  /** Segments done. */
  readonly segments: number;
  /** Shards placed (put). */
  readonly shards: number;
}

/** Called on every step; cheap calls only. */
export type OnProgress = (progress: TransferProgress) => void;

/** Options of a put. */
export interface PutOptions {
  readonly scheme?: RedundancyScheme;
  /** How long the contracts run, in milliseconds. */
  readonly durationMs?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** What a put did. */
export interface PutResult {
  readonly manifest: Manifest;
  /** Shards placed now. */
  readonly shards: number;
  /** Segments that an earlier, interrupted put had stored already. */
  readonly resumedSegments: number;
  /** What became of the version that this one replaces and of failed attempts. */
  readonly garbage: DeletionReport;
}

/** Options of a get. */
export interface GetOptions {
  /** First byte, from 0. */
  readonly offset?: number;
  /** Bytes to read; to the end when not given. */
  readonly length?: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

/** One object in a listing. */
export interface ObjectSummary {
  readonly name: string;
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Of the plaintext, in hex. */
  readonly sha256: string;
}

/** Everything about one object. */
export interface ObjectStat extends ObjectSummary {
  readonly bucket: string;
  readonly scheme: RedundancyScheme;
  readonly segments: number;
  readonly shards: number;
  /** Bytes that its shards take up at the farmers. */
  readonly storedBytes: number;
  /** The fewest shards that any segment has. */
  readonly fewestShards: number;
  /** When the first of its contracts ends, in milliseconds since the epoch; null without shards. */
  readonly expires: number | null;
  /** Farmers and how many of its shards they hold. */
  readonly farmers: readonly {
    readonly nodeId: string;
    readonly address: string;
    readonly shards: number;
  }[];
}

/** What a renter has. */
export interface RenterStatus {
  readonly nodeId: string;
  readonly buckets: number;
  readonly objects: number;
  readonly bytes: number;
  readonly unfinishedUploads: readonly {
    readonly bucket: string;
    readonly name: string;
    readonly started: number;
  }[];
  readonly pendingDeletes: number;
  readonly knownFarmers: number;
}

/** What a {@link Renter} is made of. */
export interface RenterParts {
  /** Where its store is kept. */
  readonly directory: string;
  readonly keys: RenterKeys;
  /** Addresses of nodes to join by. */
  readonly bootstrap: readonly string[];
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly settings?: Partial<RenterSettings>;
  readonly engine?: SegmentEngine;
}

/** Stores and reads objects. Several renters of one identity may share a directory. */
export class Renter {
  private readonly active = new Set<string>();
  private readonly closing = new AbortController();

  private constructor(
    private readonly keys: RenterKeys,
    /** This renter's node of the DHT: it asks, and is not asked. */
    readonly node: KademliaNode,
    private readonly network: NetworkAccess,
    private readonly store: RenterStore,
    private readonly directory: FarmerDirectory,
    private readonly pool: ConnectionPool,
    private readonly engine: SegmentEngine,
    private readonly settings: RenterSettings,
    private readonly logger: Logger,
    private readonly clock: Clock,
    private readonly random: Random,
  ) {}

  /** Open a renter. The network is joined when it is first needed. @throws RenterError RENTER_STORE. */
  static async open(parts: RenterParts): Promise<Renter> {
    const { keys, logger } = parts;
    const clock = parts.clock ?? systemClock;
    const random = parts.random ?? systemRandom;
    const settings = { ...defaultSettings, ...parts.settings };
    const store = await RenterStore.open(parts.directory, keys.storeKey);
    const credentials = await createTlsCredentials(keys.identity, clock);
    const node = new KademliaNode({
      identity: keys.identity,
      transport: new HttpsTransport({ credentials, logger }),
      storage: new MemoryValueStore(),
      logger,
      clock,
      random,
    });
    await node.start();
    const known = () => [...store.farmers()].map(({ contact }) => contact);
    const network = new NetworkAccess(node, parts.bootstrap, known, logger);
    const directory = new FarmerDirectory(store, network, clock, random, logger);
    const { connectTimeoutMs, stallTimeoutMs } = settings;
    const context = {
      identity: keys.identity,
      credentials,
      clock,
      random,
      connectTimeoutMs,
      stallTimeoutMs,
    };
    const pool = new ConnectionPool(context, directory);
    const engine = parts.engine ?? defaultEngine();
    const rest = [logger, clock, random] as const;
    return new Renter(keys, node, network, store, directory, pool, engine, settings, ...rest);
  }

  /** Stop what is under way and free everything. */
  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort(new RenterError('RENTER_CLOSED', 'the renter was closed'));
    this.pool.close();
    await this.node.stop();
    await this.engine.close();
    await this.store.close();
  }

  /** Join the network now, and not only when it is needed. @throws RenterError RENTER_NETWORK_UNREACHABLE. */
  join(): Promise<void> {
    return this.network.join();
  }

  /**
   * Store an object. When the promise resolves, at least `success` shards of every segment are on
   * the disks of as many farmers, and the manifest is on ours. An object of the same name is
   * replaced at that moment. A file's put that was cut off goes on where it was.
   *
   * @throws RenterError RENTER_SOURCE, RENTER_NOT_ENOUGH_FARMERS, RENTER_NETWORK_UNREACHABLE, …
   */
  async put(path: ObjectPath, source: PutSource, options: PutOptions = {}): Promise<PutResult> {
    checkPath(path);
    const scheme = checkScheme(options.scheme ?? this.settings.scheme);
    const durationMs = options.durationMs ?? this.settings.durationMs;
    const signal = this.signalOf(options.signal);
    const reader = await openSource(source);
    try {
      const upload = await this.beginUpload(path, reader, scheme);
      this.active.add(upload.id);
      try {
        return await this.performUpload(upload, reader, durationMs, options.onProgress, signal);
      } catch (error) {
        // A stream can't be read again, so what it stored is of no use.
        if (reader.mark === null && !this.closing.signal.aborted) {
          await this.store.abandonUpload(upload);
        }
        throw signal.aborted ? abortError(signal) : error;
      } finally {
        this.active.delete(upload.id);
      }
    } finally {
      await reader.close().catch(() => undefined);
    }
  }

  /**
   * Read an object, or a range of it. Every byte was verified before it is handed out. Stopping the
   * iteration stops the transfers.
   *
   * @throws RenterError RENTER_NOT_FOUND, RENTER_RANGE, RENTER_NOT_ENOUGH_SHARDS, …
   */
  async *get(path: ObjectPath, options: GetOptions = {}): AsyncGenerator<Uint8Array> {
    const manifest = this.manifestOf(path);
    const offset = options.offset ?? 0;
    const length = options.length ?? manifest.size - offset;
    checkRange(manifest, offset, length);
    yield* this.read(manifest, offset, length, options.onProgress, options.signal);
  }

  /**
   * Read an object into a new file. The file appears whole, under its name, or not at all. A get
   * that was cut off goes on with what is there.
   *
   * @throws RenterError as {@link Renter.get}, and RENTER_DESTINATION.
   */
  async getToFile(
    path: ObjectPath,
    file: string,
    options: Omit<GetOptions, 'offset' | 'length'> = {},
  ): Promise<{ manifest: Manifest; resumedBytes: number }> {
    const manifest = this.manifestOf(path);
    const target = resolve(file);
    const part = `${target}.${manifest.objectId.slice(0, 8)}.granary-part`;
    const handle = await openDestination(part);
    try {
      const resumedBytes = await this.verifyPart(manifest, handle);
      let position = resumedBytes;
      const rest = manifest.size - resumedBytes;
      const { onProgress, signal } = options;
      const shifted: OnProgress | undefined =
        onProgress &&
        ((p) => onProgress({ ...p, bytes: p.bytes + resumedBytes, total: manifest.size }));
      for await (const bytes of this.read(manifest, resumedBytes, rest, shifted, signal)) {
        await writeAll(handle, bytes, position);
        position += bytes.length;
      }
      await handle.sync();
      await handle.close();
      await rename(part, target);
      await syncDirectory(dirname(target));
      return { manifest, resumedBytes };
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw destinationError(error, part);
    }
  }

  /** Objects of a bucket in order of name. `after` is a name that the listing begins behind. */
  *list(
    bucket: string,
    options: { prefix?: string; after?: string; limit?: number } = {},
  ): Generator<ObjectSummary> {
    checkBucket(bucket);
    const { prefix = '', after = '', limit = Infinity } = options;
    let count = 0;
    for (const manifest of this.store.manifests(bucket, after, prefix)) {
      if (count++ >= limit) return;
      yield summaryOf(manifest);
    }
  }

  /** Names of the buckets, in order. A bucket is there as long as it holds something. */
  buckets(): Iterable<string> {
    return this.store.buckets();
  }

  /** Everything about an object. @throws RenterError RENTER_NOT_FOUND. */
  stat(path: ObjectPath): ObjectStat {
    const manifest = this.manifestOf(path);
    const farmers = new Map<string, number>();
    let [shards, storedBytes, fewestShards, expires] = [0, 0, Infinity, Infinity];
    for (const segment of this.store.segments(manifest.objectId)) {
      shards += segment.shards.length;
      storedBytes += segment.shards.length * segment.shardSize;
      fewestShards = Math.min(fewestShards, segment.shards.length);
      for (const { farmer, contract } of segment.shards) {
        farmers.set(farmer, (farmers.get(farmer) ?? 0) + 1);
        expires = Math.min(expires, this.store.contract(contract)?.contract.terms.end ?? Infinity);
      }
    }
    return {
      ...summaryOf(manifest),
      bucket: manifest.bucket,
      scheme: manifest.scheme,
      segments: manifest.segments,
      shards,
      storedBytes,
      fewestShards: Number.isFinite(fewestShards) ? fewestShards : 0,
      expires: Number.isFinite(expires) ? expires : null,
      farmers: [...farmers].map(([nodeId, count]) => ({
        nodeId,
        address: this.store.farmer(nodeId)?.contact.addresses[0] ?? '',
        shards: count,
      })),
    };
  }

  /**
   * Delete an object: it is gone from here at once, and every farmer that can be reached deletes its
   * shards and signs for it. Those that can't are told later, by {@link Renter.collectGarbage}.
   *
   * @throws RenterError RENTER_NOT_FOUND.
   */
  async delete(path: ObjectPath, options: { signal?: AbortSignal } = {}): Promise<DeletionReport> {
    const manifest = this.manifestOf(path);
    const contracts = new Set<string>();
    for (const segment of this.store.segments(manifest.objectId)) {
      for (const { contract } of segment.shards) contracts.add(contract);
    }
    if ((await this.store.removeObject(path)) === undefined) throw notFound(path);
    return this.collect(this.signalOf(options.signal), contracts);
  }

  /** Have deleted what earlier deletes, replaced versions and failed attempts have left. */
  collectGarbage(options: { signal?: AbortSignal } = {}): Promise<DeletionReport> {
    return this.collect(this.signalOf(options.signal));
  }

  /** The farmers that this renter knows; those of the network now when `refresh` is set. */
  async farmers(options: { refresh?: boolean } = {}): Promise<FarmerRecord[]> {
    return options.refresh === true
      ? this.directory.available({ refresh: true })
      : this.directory.known();
  }

  /** What this renter has, from its own store. */
  status(): RenterStatus {
    let [objects, bytes, buckets] = [0, 0, 0];
    for (const bucket of this.store.buckets()) {
      buckets += 1;
      for (const { size } of this.store.manifests(bucket, '', '')) {
        objects += 1;
        bytes += size;
      }
    }
    return {
      nodeId: this.keys.identity.nodeId,
      buckets,
      objects,
      bytes,
      unfinishedUploads: [...this.store.uploads()].map(
        ({ manifest: { bucket, name }, started }) => ({
          bucket,
          name,
          started,
        }),
      ),
      pendingDeletes: this.store.garbageCount(),
      knownFarmers: this.directory.known().length,
    };
  }

  private signalOf(signal: AbortSignal | undefined): AbortSignal {
    return anySignal(signal === undefined ? [this.closing.signal] : [signal, this.closing.signal]);
  }

  private manifestOf(path: ObjectPath): Manifest {
    checkPath(path);
    const manifest = this.store.manifest(path);
    if (manifest === undefined) throw notFound(path);
    return manifest;
  }

  private frameOf(
    manifest: Pick<Manifest, 'objectId' | 'scheme' | 'chunkSize' | 'cellSize'>,
  ): SegmentFrame {
    const { objectId, scheme, chunkSize, cellSize } = manifest;
    const objectKey = this.keys.objectKey(fromHex(objectId));
    return { objectKey, chunkSize, cellSize, k: scheme.k, n: scheme.n };
  }

  /** Take up an upload of the same file that was cut off, or begin a new one. */
  private async beginUpload(
    { bucket, name }: ObjectPath,
    reader: SourceReader,
    scheme: RedundancyScheme,
  ): Promise<UploadRecord> {
    const { chunkSize, cellSize } = this.settings;
    const segmentSize = segmentSizeFor(this.settings, scheme);
    for (const old of [...this.store.uploads()]) {
      const { manifest, source } = old;
      if (manifest.bucket !== bucket || manifest.name !== name || this.isActive(old)) continue;
      const same =
        JSON.stringify(source) === JSON.stringify(reader.mark) &&
        JSON.stringify(manifest.scheme) === JSON.stringify(scheme) &&
        manifest.segmentSize === segmentSize &&
        manifest.chunkSize === chunkSize &&
        manifest.cellSize === cellSize;
      if (source !== null && same) {
        const taken = { ...old, process: process.pid };
        await this.store.putUpload(taken);
        return taken;
      }
      await this.store.abandonUpload(old);
    }
    const upload: UploadRecord = {
      id: toHex(this.random(8)),
      manifest: {
        version: 1,
        objectId: toHex(this.random(16)),
        bucket,
        name,
        created: this.clock.now(),
        scheme,
        segmentSize,
        chunkSize,
        cellSize,
      },
      source: reader.mark,
      process: process.pid,
      started: this.clock.now(),
    };
    await this.store.putUpload(upload);
    return upload;
  }

  private isActive({ id, process: pid }: UploadRecord): boolean {
    if (pid === process.pid) return this.active.has(id);
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM';
    }
  }

  private async performUpload(
    upload: UploadRecord,
    reader: SourceReader,
    durationMs: number,
    onProgress: OnProgress | undefined,
    outer: AbortSignal,
  ): Promise<PutResult> {
    const { manifest: head } = upload;
    const frame = this.frameOf(head);
    const step = plainSegmentSize(head);
    const total = reader.mark?.size;
    const failed = new AbortController();
    const signal = anySignal([outer, failed.signal]);
    const slots = new Slots(this.settings.parallelSegments);
    const hash = createHash('sha256');
    const counts = { bytes: 0, networkBytes: 0, segments: 0, shards: 0 };
    const progress = () => onProgress?.({ ...counts, ...(total !== undefined && { total }) });
    const running = new Set<Promise<void>>();
    let [resumedSegments, index, size] = [0, 0, 0];

    const store = async (at: number, plain: Uint8Array): Promise<void> => {
      const length = plain.length;
      const known = this.store.segment(head.objectId, at);
      if (known !== undefined && known.length === length) {
        if (toHex(saltOfSegment(frame, at, plain)) === known.salt) {
          resumedSegments += 1;
          counts.bytes += length;
          counts.segments += 1;
          return progress();
        }
      }
      if (known !== undefined) await this.store.dropSegments(head.objectId, at);
      const candidates = await this.place(frame, length, durationMs, head.scheme);
      const encoded = await this.engine.encode(frame, at, plain);
      const result = await uploadSegment(
        {
          identity: this.keys.identity,
          store: this.store,
          pool: this.pool,
          directory: this.directory,
          clock: this.clock,
          logger: this.logger,
          tailMs: this.settings.tailMs,
        },
        { upload, index: at, length, encoded, scheme: head.scheme, durationMs, candidates },
        {
          onBytes: (count) => {
            counts.networkBytes += count;
            progress();
          },
          onShard: () => {
            counts.shards += 1;
            progress();
          },
        },
        signal,
      );
      await this.store.putSegment(upload, result.segment, result.contracts);
      counts.bytes += length;
      counts.segments += 1;
      progress();
    };

    try {
      for (;;) {
        const release = await slots.take();
        signal.throwIfAborted();
        const plain = await reader.read(step);
        if (plain.length === 0) {
          release();
          break;
        }
        hash.update(plain);
        size += plain.length;
        const last = plain.length < step;
        const task: Promise<void> = store(index++, plain)
          .catch((error: unknown) => {
            failed.abort(error);
            throw error;
          })
          .finally(() => {
            running.delete(task);
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
    await this.store.dropSegments(head.objectId, index);
    const manifest: Manifest = { ...head, size, sha256: hash.digest('hex'), segments: index };
    await this.store.commitUpload(upload, manifest);
    const garbage = await this.collect(outer);
    return { manifest, shards: counts.shards, resumedSegments, garbage };
  }

  /** Farmers for a segment's shards. @throws RenterError RENTER_NOT_ENOUGH_FARMERS. */
  private async place(
    frame: SegmentFrame,
    length: number,
    durationMs: number,
    scheme: RedundancyScheme,
  ): Promise<FarmerRecord[]> {
    const shardSize = shardSizeOf(frame, length);
    const farmers = await this.directory.available();
    const able = choosePlacement(farmers, { shardSize, durationMs }, () =>
      randomFraction(this.random),
    );
    if (able.length < scheme.success) {
      throw new RenterError(
        'RENTER_NOT_ENOUGH_FARMERS',
        `${scheme.success} farmers are needed, ${able.length} of the ${farmers.length} in the network ` +
          `can take a shard of ${shardSize} bytes: wait for more, or use a smaller --scheme`,
      );
    }
    return able;
  }

  private async *read(
    manifest: Manifest,
    offset: number,
    length: number,
    onProgress: OnProgress | undefined,
    outer: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array> {
    if (length === 0) return;
    const stop = new AbortController();
    const signal = anySignal([this.signalOf(outer), stop.signal]);
    const frame = this.frameOf(manifest);
    const step = plainSegmentSize(manifest);
    const first = Math.floor(offset / step);
    const last = Math.floor((offset + length - 1) / step);
    const counts = { bytes: 0, networkBytes: 0, segments: 0, shards: 0 };
    const progress = () => onProgress?.({ ...counts, total: length });
    const { settings } = this;

    const readSegment = async (i: number): Promise<Uint8Array> => {
      const index = first + i;
      const segment = this.segmentOf(manifest, index);
      const from = Math.max(0, offset - index * step);
      const to = Math.min(segment.length, offset + length - index * step);
      const window = windowOf(frame, segment.length, from, to - from);
      const shards = await fetchShards(
        {
          pool: this.pool,
          directory: this.directory,
          clock: this.clock,
          logger: this.logger,
          hedgeMs: settings.hedgeMs,
          extraReads: settings.extraReads,
        },
        segment,
        window,
        manifest.scheme.k,
        (count) => {
          counts.networkBytes += count;
          progress();
        },
        signal,
      );
      const place = { index, length: segment.length, salt: fromHex(segment.salt) };
      return this.engine.decode(frame, place, window, shards);
    };

    try {
      for await (const bytes of inOrder(last - first + 1, settings.parallelSegments, readSegment)) {
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

  private segmentOf(manifest: Manifest, index: number): SegmentRecord {
    const segment = this.store.segment(manifest.objectId, index);
    if (segment === undefined) {
      throw new RenterError('RENTER_STORE', `the record of segment ${index} is missing`);
    }
    return segment;
  }

  /** How many bytes at the front of a file are whole segments of the object; the rest is cut off. */
  private async verifyPart(manifest: Manifest, file: FileHandle): Promise<number> {
    const frame = this.frameOf(manifest);
    const { size } = await file.stat();
    let verified = 0;
    for (let index = 0; index < manifest.segments; index += 1) {
      const segment = this.segmentOf(manifest, index);
      if (verified + segment.length > size) break;
      const bytes = new Uint8Array(segment.length);
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await file.read(
          bytes,
          filled,
          bytes.length - filled,
          verified + filled,
        );
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      if (toHex(saltOfSegment(frame, index, bytes)) !== segment.salt) break;
      verified += segment.length;
    }
    if (size > verified) await file.truncate(verified);
    return verified;
  }

  private async collect(
    signal: AbortSignal,
    wanted?: ReadonlySet<string>,
  ): Promise<DeletionReport> {
    await this.store.collectRetired();
    return collectGarbage(
      { store: this.store, pool: this.pool, clock: this.clock, logger: this.logger },
      signal,
      wanted,
    );
  }
}

/** Plaintext bytes of a full segment. */
function plainSegmentSize({ segmentSize, chunkSize }: Pick<Manifest, 'segmentSize' | 'chunkSize'>) {
  return (segmentSize / chunkSize) * (chunkSize - TAG_SIZE);
}

function summaryOf({ name, size, created, sha256 }: Manifest): ObjectSummary {
  return { name, size, created, sha256 };
}

function notFound({ bucket, name }: ObjectPath): RenterError {
  return new RenterError('RENTER_NOT_FOUND', `there is no object ${bucket}/${name}`);
}

function checkRange({ size }: Manifest, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (!whole || offset < 0 || length < 0 || offset + length > size) {
    throw new RenterError(
      'RENTER_RANGE',
      `bytes ${offset} to ${offset + length} are not in an object of ${size} bytes`,
    );
  }
}

function abortError(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  if (reason instanceof RenterError) return reason;
  return new RenterError('RENTER_ABORTED', `stopped: ${messageOf(reason)}`, { cause: reason });
}

async function openDestination(path: string): Promise<FileHandle> {
  try {
    await openFile(path, 'a', 0o666).then((file) => file.close());
    return await openFile(path, 'r+');
  } catch (error) {
    throw destinationError(error, path);
  }
}

function destinationError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const syscall = (error as NodeJS.ErrnoException).syscall;
  if (error instanceof RenterError || syscall === undefined) return error;
  if (code === 'ENOSPC') return error;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return error;
  return new RenterError('RENTER_DESTINATION', `${path} can't be written: ${messageOf(error)}`, {
    cause: error,
  });
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await openFile(path, 'r');
  await directory.sync().finally(() => directory.close());
}
