import type { Rate } from '@granary/kad';

/**
 * A token bucket: it holds at most `burst`, and `perSecond` flow into it. It may be overdrawn: who takes
 * more than there is has to wait until that is paid back. The rate is given each time, so that it may
 * change.
 */
export class TokenBucket {
  private level: number | undefined;
  private at = 0;

  /** What is in it now; below 0 when it is overdrawn. */
  private fill({ perSecond, burst }: Rate, now: number): number {
    // A clock that was set back gives nothing and takes nothing.
    const seconds = Math.max(0, now - this.at) / 1000;
    const level = this.level === undefined ? burst : this.level + seconds * perSecond;
    this.level = Math.min(burst, level);
    this.at = now;
    return this.level;
  }

  /** Milliseconds until so much is in it; 0 when it is now. */
  wait(rate: Rate, now: number, amount: number): number {
    const lacks = Math.min(amount, rate.burst) - this.fill(rate, now);
    return lacks <= 0 ? 0 : (lacks / rate.perSecond) * 1000;
  }

  /** Take so much, whether it is there or not. */
  take(rate: Rate, now: number, amount: number): void {
    this.level = this.fill(rate, now) - amount;
  }
}
