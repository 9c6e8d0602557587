/**
 * A token bucket for bytes that have already come: they are let through, and what is over the rate
 * has to be waited for before more is read. So a chunk may be larger than the burst.
 */
export class RateGate {
  private tokens: number;
  private last: number;

  /**
   * @param bytesPerSecond - above zero; Infinity lets everything through
   * @param burst - bytes at once, after a rest
   * @param now - milliseconds, as in {@link RateGate.take}
   */
  constructor(
    private readonly bytesPerSecond: number,
    private readonly burst: number,
    now: number,
  ) {
    this.tokens = burst;
    this.last = now;
  }

  /** Count bytes: the milliseconds to wait before more is read. A clock set back gives no tokens. */
  take(bytes: number, now: number): number {
    if (this.bytesPerSecond === Infinity) return 0;
    const seconds = Math.max(0, now - this.last) / 1000;
    this.last = now;
    this.tokens = Math.min(this.burst, this.tokens + seconds * this.bytesPerSecond) - bytes;
    return this.tokens >= 0 ? 0 : Math.ceil((-this.tokens / this.bytesPerSecond) * 1000);
  }
}
