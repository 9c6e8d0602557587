import type { Clock } from '@granary/kad';
import type { BookStep, PaymentBook } from './payment-book.js';

/** How long a step waits for others at most, in milliseconds. */
const DELAY_MS = 5_000;
/** Steps that are written at the latest. */
const MAX_STEPS = 256;

/**
 * Collects steps of a busy time and writes them to the book in one transaction: an fsync for each
 * receipt would cost more than what the receipt is for. What is not written yet counts for nothing in
 * the book, so whoever reads it calls {@link StepQueue.flush} first. Steps that fail to be written are
 * forgotten, and whoever added them is told.
 */
export class StepQueue {
  private steps: BookStep[] = [];
  private readonly opening = new Map<string, NonNullable<BookStep['open']>>();
  private done: Promise<void> | undefined;
  private begin: (() => void) | undefined;
  /** The last write that was begun; writes are one after the other. */
  private writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly book: PaymentBook,
    private readonly clock: Clock,
  ) {}

  /** Steps that wait. */
  get length(): number {
    return this.steps.length;
  }

  /** @returns when it is on the disk @throws what the book throws */
  add(step: BookStep): Promise<void> {
    this.steps.push(step);
    if (step.open !== undefined) this.opening.set(step.open.contract, step.open);
    this.done ??= this.schedule();
    const { done } = this;
    if (this.steps.length >= MAX_STEPS) this.begin?.();
    return done;
  }

  /** Write what waits, now. @throws what the book throws */
  async flush(): Promise<void> {
    const { done } = this;
    this.begin?.();
    await (done ?? this.writing);
  }

  /** The position of a contract that is not in the book yet. */
  openingOf(contract: string): BookStep['open'] {
    return this.opening.get(contract);
  }

  /** All positions that are not in the book yet. */
  openings(): Iterable<NonNullable<BookStep['open']>> {
    return this.opening.values();
  }

  private schedule(): Promise<void> {
    const due = new Promise<void>((resolve) => {
      const timer = this.clock.setTimeout(resolve, DELAY_MS);
      this.begin = () => {
        this.clock.clearTimeout(timer);
        resolve();
      };
    });
    const written = due.then(() => {
      const { steps, writing } = this;
      [this.steps, this.done, this.begin] = [[], undefined, undefined];
      return writing.then(async () => {
        try {
          await this.book.record(steps);
        } finally {
          for (const { open } of steps) if (open !== undefined) this.opening.delete(open.contract);
        }
      });
    });
    // Failures are told to those that added the steps; the next write goes ahead all the same.
    due.then(() => (this.writing = written.catch(() => undefined))).catch(() => undefined);
    return written;
  }
}
