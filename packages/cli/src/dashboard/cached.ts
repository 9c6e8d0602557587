import type { Clock } from '@granary/kad';

/**
 * A value that costs something to find, found anew in the background when it is asked for and old.
 * What was known before is the answer meanwhile; a failure leaves it as it is.
 */
export class Cached<T> {
  private value: T;
  private at = -Infinity;
  private running: Promise<void> | undefined;

  /**
   * @param first - the value before any was found
   * @param freshMs - how long a value is good
   */
  constructor(
    first: T,
    private readonly freshMs: number,
    private readonly clock: Clock,
    private readonly find: () => Promise<T>,
    private readonly onError: (error: unknown) => void,
  ) {
    this.value = first;
  }

  /** The last value that was found. */
  get last(): T {
    return this.value;
  }

  /** The last value; one that is old is found anew, for the next who asks. */
  get(): T {
    if (this.clock.now() - this.at >= this.freshMs) void this.refresh();
    return this.value;
  }

  /** Find it now. Never rejects. */
  refresh(): Promise<void> {
    this.running ??= this.find()
      .then((value) => void (this.value = value), this.onError)
      .finally(() => {
        this.at = this.clock.now();
        this.running = undefined;
      });
    return this.running;
  }

  /** Wait until nothing is being found. */
  async settled(): Promise<void> {
    await this.running;
  }
}
