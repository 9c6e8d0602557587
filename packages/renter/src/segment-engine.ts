import {
  type SegmentThread,
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

/** Works on the calling thread. For tests that run from the sources, and where threads are missing. */
export const inlineEngine: SegmentEngine = {
  sharesMemory: true,
  plainBuffer: (size) => new Uint8Array(size),
  encode: encodeJob,
  recyclePlain: () => undefined,
  shardBuffer: (size) => new Uint8Array(size),
  recycleShard: () => undefined,
  decode: decodeJob,
  rebuild: rebuildJob,
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
}

/** Bytes of memory kept for the next segments. */
const MAX_KEPT_PLAIN = 64 * 1024 * 1024;
const MAX_KEPT_SHARDS = 128 * 1024 * 1024;
/** Unused for this long, it is let go. */
const REST_MS = 10_000;

/** Works in worker threads, so that the event loop stays free for the sockets. */
export class WorkerEngine implements SegmentEngine {
  private readonly workers: Entry[];
  private nextId = 0;
  private closed = false;
  // Apart, so that plaintext never lies in memory that a socket was given.
  private readonly plains = sharedMemory() ? new SharedBuffers(MAX_KEPT_PLAIN) : undefined;
  private readonly shards = sharedMemory() ? new SharedBuffers(MAX_KEPT_SHARDS) : undefined;

  private rest: unknown;

  /**
   * @param clock - by which memory is let go that was not used for a while
   * @param size - number of threads
   */
  constructor(
    private readonly clock: Clock = systemClock,
    size = threadCount(),
  ) {
    this.workers = Array.from({ length: size }, () => this.start());
  }

  get sharesMemory(): boolean {
    return this.shards !== undefined;
  }

  plainBuffer(size: number): Uint8Array {
    return this.plains?.take(size) ?? new Uint8Array(size);
  }

  async encode(frame: SegmentFrame, index: number, plain: Uint8Array): Promise<EncodedSegment> {
    const size = shardSizeOf(frame, plain.length);
    const { shards } = this;
    const room =
      shards && SharedBuffers.shares(size)
        ? Array.from({ length: frame.n }, () => shards.take(size))
        : undefined;
    const args = [frame, index, plain, room];
    const encoded = (await this.run('encode', args, buffersOf([plain]))) as EncodedSegment;
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

  private letGo(): void {
    this.plains?.clear();
    this.shards?.clear();
  }

  decode(...args: Parameters<SegmentEngine['decode']>): Promise<Uint8Array> {
    const buffers = this.sharesMemory ? [] : buffersOf(args[3].values());
    return this.run('decode', args, buffers) as Promise<Uint8Array>;
  }

  async rebuild(...args: Parameters<SegmentEngine['rebuild']>): Promise<EncodedShard[]> {
    const shards = [...args[2].values()];
    const made = (await this.run('rebuild', args, buffersOf(shards))) as EncodedShard[];
    for (const bytes of shards) this.recycleShard(bytes);
    return made;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.clock.clearTimeout(this.rest);
    this.letGo();
    await Promise.all(this.workers.map(({ thread }) => thread.end()));
  }

  private start(): Entry {
    const jobs = new Map<number, Waiting>();
    const fail = (error: Error) => {
      for (const job of jobs.values()) job.reject(error);
      jobs.clear();
    };
    const thread = startThread({
      onMessage: (message) => {
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
    const entry = { thread, jobs };
    return entry;
  }

  private run(kind: WorkerJob['kind'], args: unknown[], transfer: ArrayBuffer[]): Promise<unknown> {
    const entry = this.workers.reduce((a, b) => (b.jobs.size < a.jobs.size ? b : a));
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      entry.jobs.set(id, { resolve, reject });
      entry.thread.hold(true);
      entry.thread.post({ id, kind, args } as WorkerJob, transfer);
    });
  }
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
