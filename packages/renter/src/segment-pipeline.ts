import { allowManyListeners } from '@granary/kad';

/** Lets a bounded number of tasks run at one time. */
export class Slots {
  private readonly waiting: (() => void)[] = [];

  /** @param free - tasks at one time, at least 1 */
  constructor(private free: number) {}

  /** Wait for a slot; the result gives it back. */
  async take(): Promise<() => void> {
    if (this.free > 0) this.free -= 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const next = this.waiting.shift();
      if (next === undefined) this.free += 1;
      else next();
    };
  }
}

/** Gives out a bounded amount of something, in the order of asking. */
export class Budget {
  private readonly waiting: { amount: number; give: () => void }[] = [];
  private given = 0;

  /** @param total - at least 1 */
  constructor(private readonly total: number) {}

  /**
   * Wait for an amount; the result gives it back. Who asks for more than all there is gets it when nobody else
   * has any.
   *
   * @throws the signal's reason when it is aborted before the turn came.
   */
  async take(amount: number, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const bounded = Math.min(amount, this.total);
    if (this.waiting.length === 0 && this.given + bounded <= this.total) this.given += bounded;
    else await this.turn(bounded, signal);
    let back = false;
    return () => {
      if (back) return;
      back = true;
      this.given -= bounded;
      this.serve();
    };
  }

  private async turn(amount: number, signal: AbortSignal): Promise<void> {
    let onAbort: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const entry = { amount, give: resolve };
        this.waiting.push(entry);
        onAbort = () => {
          const at = this.waiting.indexOf(entry);
          if (at < 0) return;
          this.waiting.splice(at, 1);
          reject(signal.reason as Error);
          this.serve();
        };
        // Many may wait by one signal; there is no leak to warn of.
        allowManyListeners(signal);
        signal.addEventListener('abort', onAbort, { once: true });
      });
    } finally {
      signal.removeEventListener('abort', onAbort!);
    }
  }

  private serve(): void {
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      if (this.given + next.amount > this.total) return;
      this.waiting.shift();
      this.given += next.amount;
      next.give();
    }
  }
}

/**
 * The results of `work(0)`, `work(1)`, … in order, up to `ahead` of them in work at one time. When
 * the consumer stops early, nothing new begins.
 */
export async function* inOrder<T>(
  count: number,
  ahead: number,
  work: (index: number) => Promise<T>,
): AsyncGenerator<T> {
  const queue: Promise<T>[] = [];
  let next = 0;
  const fill = () => {
    while (next < count && queue.length < ahead) {
      const task = work(next++);
      task.catch(() => undefined); // it is awaited below, in its turn
      queue.push(task);
    }
  };
  fill();
  while (queue.length > 0) {
    const result = await queue.shift()!;
    fill();
    yield result;
  }
}
