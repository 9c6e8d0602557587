// A thread for work on segments, in Node. `#renter/segment-thread` in package.json chooses between this
// file and segment-thread.browser.ts; both export the same names.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { newestWorker } from './newest-worker.js';

/** What a {@link SegmentThread} tells. */
export interface ThreadEvents {
  onMessage(message: unknown): void;
  /** It broke, and does nothing any more. */
  onError(error: Error): void;
  /** It has ended. */
  onEnd(): void;
}

/** A thread that runs segment-worker. */
export interface SegmentThread {
  post(message: unknown, transfer: ArrayBuffer[]): void;
  /** Whether the process has to live on for it. */
  hold(needed: boolean): void;
  end(): Promise<unknown>;
}

/** How many threads are worth having. */
export function threadCount(): number {
  return Math.max(1, Math.min(4, availableParallelism() - 1));
}

/** Whether threads can be had: not when the sources run as they are, without the compiled worker. */
export function hasThreads(): boolean {
  return import.meta.url.endsWith('.js');
}

/** Whether threads and what reads and writes files and sockets can work on the same memory. */
export function sharedMemory(): boolean {
  return true;
}

/** Start a thread. @param program - the compiled worker */
export function startThread(
  events: ThreadEvents,
  program = newestWorker(
    new URL('./segment-worker.js', import.meta.url),
    new URL('./bundled-segment-worker.js', import.meta.url),
  ),
): SegmentThread {
  const worker = new Worker(program, {
    // Little garbage lives here besides the buffers, which the collector should not let pile up.
    resourceLimits: { maxYoungGenerationSizeMb: 4 },
  });
  worker.on('message', (message) => events.onMessage(message));
  worker.on('error', (error: Error) => events.onError(error));
  worker.on('exit', () => events.onEnd());
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    hold: (needed) => {
      if (needed) worker.ref();
      else worker.unref();
    },
    end: () => worker.terminate(),
  };
}
