import { type SegmentThread, hasThreads, startThread, threadCount } from '#renter/segment-thread';
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
} from './segment-job.js';

/** Does the heavy work on segments: encryption, erasure coding, hashing and their inverses. */
export interface SegmentEngine {
  /** Encrypt, code and hash. `plain` must own its buffer, which is given away. */
  encode(frame: SegmentFrame, index: number, plain: Uint8Array): Promise<EncodedSegment>;
  /** Decode and decrypt. The shards must own their buffers, which are given away. */
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
  encode: encodeJob,
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

/** Works in worker threads, so that the event loop stays free for the sockets. */
export class WorkerEngine implements SegmentEngine {
  private readonly workers: Entry[];
  private nextId = 0;
  private closed = false;

  /** @param size - number of threads */
  constructor(size = threadCount()) {
    this.workers = Array.from({ length: size }, () => this.start());
  }

  encode(frame: SegmentFrame, index: number, plain: Uint8Array): Promise<EncodedSegment> {
    return this.run('encode', [frame, index, plain], buffersOf([plain])) as Promise<EncodedSegment>;
  }

  decode(...args: Parameters<SegmentEngine['decode']>): Promise<Uint8Array> {
    return this.run('decode', args, buffersOf(args[3].values())) as Promise<Uint8Array>;
  }

  rebuild(...args: Parameters<SegmentEngine['rebuild']>): Promise<EncodedShard[]> {
    return this.run('rebuild', args, buffersOf(args[2].values())) as Promise<EncodedShard[]>;
  }

  async close(): Promise<void> {
    this.closed = true;
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
export function defaultEngine(): SegmentEngine {
  return hasThreads() ? new WorkerEngine() : inlineEngine;
}
