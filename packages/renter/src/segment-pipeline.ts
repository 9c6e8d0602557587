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
