import type { Clock } from '@granary/kad';

/** Bytes kept for the next downloads, and how long when there are none. */
const MAX_KEPT = 4 * 1024 * 1024;
const REST_MS = 10_000;

/**
 * Memory for the frames of downloads, used again from one to the next: new memory has to be found and cleared by the
 * system each time it is written to.
 */
export class FrameBuffers {
  private kept: Buffer[] = [];
  private rest: unknown;

  /** @param clock - by which memory is let go that was not used for a while */
  constructor(private readonly clock: Clock) {}

  /** Bytes kept for later. */
  get size(): number {
    return this.kept.reduce((sum, { length }) => sum + length, 0);
  }

  /** At least so many bytes, with anything in them. */
  take(size: number): Buffer {
    const at = this.kept.findLastIndex(({ length }) => length >= size);
    return at < 0 ? Buffer.allocUnsafeSlow(size) : this.kept.splice(at, 1)[0]!;
  }

  /** Take back what {@link take} gave, once, when nobody uses it any more. */
  give(buffer: Buffer): void {
    this.kept.push(buffer);
    // The smallest go: those that stay serve for more.
    this.kept.sort((a, b) => b.length - a.length);
    while (this.size > MAX_KEPT) this.kept.pop();
    this.clock.clearTimeout(this.rest);
    this.rest = this.clock.setTimeout(() => this.clear(), REST_MS);
  }

  /** Keep nothing. */
  clear(): void {
    this.clock.clearTimeout(this.rest);
    this.kept = [];
  }
}
