import type { Clock } from '@granary/kad';

/** Keeps an average rate: what goes over it waits. */
export class Throttle {
  private free: number;

  /** @param perSecond - units a second; what was not used in the last second may still be */
  constructor(
    private readonly perSecond: number,
    private readonly clock: Clock,
  ) {
    this.free = clock.now();
  }

  /** Wait until `amount` more may be spent. @throws the signal's reason. */
  async spend(amount: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const now = this.clock.now();
    const begin = Math.max(this.free, now - 1000);
    this.free = begin + (amount / this.perSecond) * 1000;
    const wait = begin - now;
    if (wait <= 0) return;
    let timer: unknown;
    let onAbort: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = this.clock.setTimeout(resolve, wait);
        onAbort = () => reject(signal.reason as Error);
        signal.addEventListener('abort', onAbort, { once: true });
      });
    } finally {
      this.clock.clearTimeout(timer);
      if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
    }
  }
}
