/** A rate and a burst. */
export interface Rate {
  /** Events a second, in the long run. */
  readonly perSecond: number;
  /** Events at once, after a rest. */
  readonly burst: number;
}

/** A token bucket: takes `rate.burst` events at once and `rate.perSecond` in the long run. */
export class TokenBucket {
  private tokens: number;
  private last: number;

  /** @param now - milliseconds since the epoch, as in {@link TokenBucket.take} */
  constructor(
    private readonly rate: Rate,
    now: number,
  ) {
    this.tokens = rate.burst;
    this.last = now;
  }

  /** Whether one more event is within the rate. A clock that is set back gives no tokens. */
  take(now: number): boolean {
    const { perSecond, burst } = this.rate;
    const seconds = Math.max(0, now - this.last) / 1000;
    this.last = now;
    this.tokens = Math.min(burst, this.tokens + seconds * perSecond);
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}
