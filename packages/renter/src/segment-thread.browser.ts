// A thread for work on segments, in browsers: a Web Worker. See segment-thread.ts.
import { RenterError } from './errors.js';
import type { SegmentThread, ThreadEvents } from './segment-thread.js';

/** How many threads are worth having: hashing and encryption have threads of the browser's besides. */
export function threadCount(): number {
  const { navigator } = globalThis as { navigator?: Navigator };
  return Math.max(1, Math.min(4, (navigator?.hardwareConcurrency ?? 2) - 1));
}

/** Whether threads can be had. */
export function hasThreads(): boolean {
  return typeof Worker === 'function';
}

/** Not here: Web Crypto takes no shared memory, and only pages that are isolated from others have it. */
export function sharedMemory(): boolean {
  return false;
}

/** Start a thread. */
export function startThread({ onMessage, onError, onEnd }: ThreadEvents): SegmentThread {
  // Bundlers know this form, and make a bundle of the worker.
  const worker = new Worker(new URL('./segment-worker.browser.js', import.meta.url), {
    type: 'module',
  });
  worker.onmessage = ({ data }: MessageEvent<unknown>) => onMessage(data);
  worker.onerror = (event) => {
    event.preventDefault();
    worker.terminate();
    const why = event.message === '' ? 'it could not be loaded' : event.message;
    onError(new RenterError('RENTER_PLATFORM', `the worker for segments broke: ${why}`));
  };
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    hold: () => undefined,
    async end() {
      worker.terminate();
      onEnd();
    },
  };
}
