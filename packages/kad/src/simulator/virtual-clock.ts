import type { Clock } from '../clock.js';

interface Timer {
  run: (() => void) | undefined;
}

/**
 * Time that passes when it is told to, and as fast as the work of its events can be done. Events of
 * one millisecond run in the order in which they were set, so that a run can be repeated.
 */
export class VirtualClock implements Clock {
  private time: number;
  /** Events by the millisecond at which they are due. */
  private readonly due = new Map<number, Timer[]>();
  /** The milliseconds in `due`, as a binary heap. */
  private readonly heap: number[] = [];
  /** Events run so far. */
  events = 0;

  /** @param start - milliseconds since the epoch, a whole number */
  constructor(start = 1_700_000_000_000) {
    this.time = start;
  }

  now(): number {
    return this.time;
  }

  setTimeout(run: () => void, ms: number): unknown {
    const at = this.time + Math.max(0, Math.ceil(ms));
    const timer: Timer = { run };
    if (!Number.isFinite(at)) return timer;
    const there = this.due.get(at);
    if (there !== undefined) {
      there.push(timer);
    } else {
      this.due.set(at, [timer]);
      this.push(at);
    }
    return timer;
  }

  clearTimeout(handle: unknown): void {
    if (handle !== undefined) (handle as Timer).run = undefined;
  }

  /** Let time pass up to a moment, with everything that happens on the way. */
  async runUntil(time: number): Promise<void> {
    await drained();
    while (this.heap.length > 0 && this.heap[0]! <= time) {
      const at = this.pop();
      this.time = at;
      const timers = this.due.get(at)!;
      // Events that are set for this same millisecond while it lasts are appended to it.
      for (let i = 0; i < timers.length; i += 1) {
        const { run } = timers[i]!;
        if (run === undefined) continue;
        this.events += 1;
        run();
        if (i === timers.length - 1) await drained();
      }
      this.due.delete(at);
    }
    this.time = Math.max(this.time, time);
  }

  /** Let this many milliseconds pass. */
  run(ms: number): Promise<void> {
    return this.runUntil(this.time + ms);
  }

  /** Let time pass until a promise is settled; its result. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let over = false;
    const end = () => (over = true);
    promise.then(end, end);
    await drained();
    while (!over && this.heap.length > 0) await this.runUntil(this.heap[0]!);
    if (!over) throw new Error('nothing will happen any more, and the promise is not settled');
    return promise;
  }

  private push(at: number): void {
    const { heap } = this;
    let i = heap.push(at) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]! <= at) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = at;
  }

  private pop(): number {
    const { heap } = this;
    const first = heap[0]!;
    const last = heap.pop()!;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child += 1;
      if (heap[child]! >= last) break;
      heap[i] = heap[child]!;
      i = child;
    }
    if (heap.length > 0) heap[i] = last;
    return first;
  }
}

/** Resolves when all promises that are ready have done what hangs on them. */
function drained(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
