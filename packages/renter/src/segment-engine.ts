import {
  type SegmentThread,
  type ThreadEvents,
  hasThreads,
  sharedMemory,
  startThread,
  threadCount,
} from '#renter/segment-thread';
import { type Clock, systemClock } from '@granary/kad';
import { RenterError } from './errors.js';
import {
  type EncodedSegment,
  type EncodedShard,
  type SegmentFrame,
  type SegmentLayout,
  type SegmentToRead,
  type SegmentWindow,
  decodeJob,
  encodeJob,
  rebuildJob,
  shardSizeOf,
} from './segment-job.js';
import { SharedBuffers } from './shared-buffers.js';

/** Does the heavy work on segments: encryption, erasure coding, hashing and their inverses. */
export interface SegmentEngine {
  /** Whether shards stay the caller's after {@link decode}, which may be called again for other parts of them. */
  readonly sharesMemory: boolean;
  /** Memory to read the plaintext of a segment into, for {@link encode}. */
  plainBuffer(size: number): Uint8Array;
  /** Encrypt, code and hash. `plain` must own its buffer, which is given away. */
  encode(frame: SegmentFrame, index: number, plain: Uint8Array): Promise<EncodedSegment>;
  /** Take back memory from {@link plainBuffer} that will not be encoded. */
  recyclePlain(plain: Uint8Array): void;
  /** Memory to fetch a shard, or a stretch of one, into, for {@link decode}. */
  shardBuffer(size: number): Uint8Array;
  /** Take back the memory of a shard, from `encode` or `shardBuffer`, that nobody uses any more. */
  recycleShard(bytes: Uint8Array): void;
  /** Decode and decrypt. The shards must own their buffers, which are given away where memory is not shared. */
  decode(
    frame: SegmentLayout,
    segment: SegmentToRead,
    window: SegmentWindow,
    shards: ReadonlyMap<number, Uint8Array>,
  ): Promise<Uint8Array>;
  /** Make shards anew for a repair; see {@link rebuildJob}. The shards' buffers are given away. */
  rebuild(...args: Parameters<typeof rebuildJob>): Promise<EncodedShard[]>;
  close(): Promise<void>;
}

const jobs = { encode: encodeJob, decode: decodeJob, rebuild: rebuildJob };

/** Works on the calling thread. For tests that run from the sources, and where threads are missing. */
export const inlineEngine: SegmentEngine = {
  sharesMemory: true,
  plainBuffer: (size) => new Uint8Array(size),
  recyclePlain: () => undefined,
  shardBuffer: (size) => new Uint8Array(size),
  recycleShard: () => undefined,
  ...jobs,
  close: () => Promise.resolve(),
};

/** A job as it goes to a worker. */
export type WorkerJob =
  | { id: number; kind: 'encode'; args: Parameters<typeof encodeJob> }
  | { id: number; kind: 'decode'; args: Parameters<typeof decodeJob> }
  | { id: number; kind: 'rebuild'; args: Parameters<typeof rebuildJob> };

/** A worker's answer. */
export type WorkerAnswer =
  | { id: number; ok: true; result: unknown }
  | { id: number; ok: false; code: string; message: string };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

interface Entry {
  readonly thread: SegmentThread;
  readonly jobs: Map<number, Waiting>;
  /** It has been loaded, and said so. */
  ready: boolean;
}

/** What a thread says once it has been loaded. */
export const THREAD_READY = 'ready';

/** A job on so many bytes of shards is done at once, where it came up: handing it to a thread and back costs as much. */
const MAX_ON_THE_SPOT = 512 * 1024;
/** So are others while there is no thread, one at a time; from so many bytes on threads are worth starting. */
const MAX_BEFORE_THREADS = 4 * 1024 * 1024;

interface Results {
  encode: EncodedSegment;
  decode: Uint8Array;
  rebuild: EncodedShard[];
}

/** Bytes of memory kept for the next segments. */
const MAX_KEPT_PLAIN = 64 * 1024 * 1024;
const MAX_KEPT_SHARDS = 128 * 1024 * 1024;
/** Unused for this long, it is let go, and threads with nothing to do are ended. */
const REST_MS = 10_000;

/**
 * Works in worker threads, so that the event loop stays free for the sockets. They are started when the first job comes
 * that is worth it: a thread costs more than to read or write a small object.
 */
export class WorkerEngine implements SegmentEngine {
  private readonly workers: Entry[] = [];
  /** Bytes of what was worth a thread, before there was one. */
  private worth = 0;
  /** Such a job is done here now. */
  private bridging = false;
  private nextId = 0;
  private closed = false;
  // Apart, so that plaintext never lies in memory that a socket was given.
  private readonly plains = sharedMemory() ? new SharedBuffers(MAX_KEPT_PLAIN) : undefined;
  private readonly shards = sharedMemory() ? new SharedBuffers(MAX_KEPT_SHARDS) : undefined;

  private rest: unknown;

  /**
   * @param clock - by which memory is let go that was not used for a while
   * @param size - number of threads
   * @param startOne - starts one of them
   */
  constructor(
    private readonly clock: Clock = systemClock,
    private readonly size = threadCount(),
    private readonly startOne: (events: ThreadEvents) => SegmentThread = startThread,
  ) {}

  /** How many threads have been started. */
  get threads(): number {
    return this.workers.length;
  }

  get sharesMemory(): boolean {
    return this.shards !== undefined;
  }

  plainBuffer(size: number): Uint8Array {
    // So that they are there when it has been read.
    if (size > MAX_BEFORE_THREADS && !this.closed) this.startAll();
    return this.plains?.take(size) ?? new Uint8Array(size);
  }

  async encode(frame: SegmentFrame, index: number, plain: Uint8Array): Promise<EncodedSegment> {
    const size = shardSizeOf(frame, plain.length);
    const { shards } = this;
    const room =
      shards && SharedBuffers.shares(size)
        ? Array.from({ length: frame.n }, () => shards.take(size))
        : undefined;
    const encoded = await this.run(
      'encode',
      [frame, index, plain, room],
      buffersOf([plain]),
      size * frame.n,
    );
    this.recyclePlain(plain);
    return encoded;
  }

  recyclePlain(plain: Uint8Array): void {
    if (this.closed) return;
    this.plains?.give(plain);
    this.restLater();
  }

  shardBuffer(size: number): Uint8Array {
    return this.shards?.take(size) ?? new Uint8Array(size);
  }

  recycleShard(bytes: Uint8Array): void {
    if (this.closed) return;
    this.shards?.give(bytes);
    this.restLater();
  }

  private restLater(): void {
    this.clock.clearTimeout(this.rest);
    if (!this.closed) this.rest = this.clock.setTimeout(() => this.letGo(), REST_MS);
  }

  private keepNothing(): void {
    this.plains?.clear();
    this.shards?.clear();
  }

  private letGo(): void {
    this.keepNothing();
    // A thread keeps the memory that it was shown until all of its garbage is collected, which may be never.
    for (const entry of this.workers.filter(({ jobs }) => jobs.size === 0)) {
      this.workers.splice(this.workers.indexOf(entry), 1);
      void entry.thread.end();
    }
    this.worth = 0;
  }

  decode(...args: Parameters<SegmentEngine['decode']>): Promise<Uint8Array> {
    const shards = [...args[3].values()];
    return this.run('decode', args, this.sharesMemory ? [] : buffersOf(shards), bytesOf(shards));
  }

  async rebuild(...args: Parameters<SegmentEngine['rebuild']>): Promise<EncodedShard[]> {
    const shards = [...args[2].values()];
    const made = await this.run('rebuild', args, buffersOf(shards), bytesOf(shards));
    for (const bytes of shards) this.recycleShard(bytes);
    return made;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.clock.clearTimeout(this.rest);
    this.keepNothing();
    await Promise.all(this.workers.map(({ thread }) => thread.end()));
  }

  private startAll(): void {
    while (this.workers.length < this.size) this.workers.push(this.start());
  }

  private start(): Entry {
    const jobs = new Map<number, Waiting>();
    const fail = (error: Error) => {
      for (const job of jobs.values()) job.reject(error);
      jobs.clear();
    };
    const thread = this.startOne({
      onMessage: (message) => {
        entry.ready = true;
        if (message === THREAD_READY) return;
        const answer = message as WorkerAnswer;
        const job = jobs.get(answer.id);
        jobs.delete(answer.id);
        if (jobs.size === 0) thread.hold(false);
        if (answer.ok) job?.resolve(answer.result);
        else if (answer.code === 'RENTER_DECRYPT') {
          job?.reject(new RenterError(answer.code, answer.message));
        } else {
          job?.reject(Object.assign(new Error(answer.message), { code: answer.code }));
        }
      },
      onError: (error) => {
        fail(error);
        const at = this.workers.indexOf(entry);
        if (at >= 0 && !this.closed) this.workers[at] = this.start();
      },
      onEnd: () => fail(new RenterError('RENTER_CLOSED', 'the renter was closed')),
    });
    thread.hold(false);
    const entry: Entry = { thread, jobs, ready: false };
    return entry;
  }

  /** @param bytes - of the shards that it is about */
  private async run<K extends WorkerJob['kind']>(
    kind: K,
    args: Parameters<(typeof jobs)[K]>,
    transfer: ArrayBuffer[],
    bytes: number,
  ): Promise<Results[K]> {
    if (this.closed) throw new RenterError('RENTER_CLOSED', 'the renter was closed');
    const here = jobs[kind] as unknown as (...args: unknown[]) => Promise<Results[K]>;
    if (bytes <= MAX_ON_THE_SPOT) return here(...args);
    const ready = this.workers.some((worker) => worker.ready);
    if (!ready) this.worth += bytes;
    if (this.worth > MAX_BEFORE_THREADS || this.bridging) this.startAll();
    if (!ready && !this.bridging && bytes <= MAX_BEFORE_THREADS) {
      this.bridging = true;
      try {
        return await here(...args);
      } finally {
        this.bridging = false;
      }
    }
    const entry = this.workers.reduce((a, b) => (b.jobs.size < a.jobs.size ? b : a));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      entry.jobs.set(id, { resolve: resolve as Waiting['resolve'], reject });
      entry.thread.hold(true);
      entry.thread.post({ id, kind, args }, transfer);
    });
  }
}

/** Bytes of some arrays together. */
export function bytesOf(arrays: Iterable<Uint8Array>): number {
  let sum = 0;
  for (const { length } of arrays) sum += length;
  return sum;
}

/** The distinct buffers behind some arrays, for a transfer list. */
export function buffersOf(arrays: Iterable<Uint8Array>): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { buffer } of arrays) if (buffer instanceof ArrayBuffer) buffers.add(buffer);
  return [...buffers];
}

/** Threads where there are any, else the calling thread. */
export function defaultEngine(clock: Clock = systemClock): SegmentEngine {
  return hasThreads() ? new WorkerEngine(clock) : inlineEngine;
}
