/** What is kept for later; jobs that are under way at one time need one each. */
const MAX_KEPT = 2;
/** Larger arrays are not kept. */
const MAX_SIZE = 2 * 1024 * 1024;

/**
 * Memory for what lives no longer than a job, used again: a new array would have to be zeroed, and to be collected.
 */
export class Scratch {
  private readonly kept: ArrayBuffer[] = [];

  /** An array of this size, with anything in it. */
  take(size: number): Uint8Array {
    if (size > MAX_SIZE) return new Uint8Array(size);
    const at = this.kept.findIndex(({ byteLength }) => byteLength >= size);
    const buffer = at < 0 ? new ArrayBuffer(size) : this.kept.splice(at, 1)[0]!;
    return new Uint8Array(buffer, 0, size);
  }

  /** Give back an array from {@link take}, once, that nobody uses any more. */
  give({ buffer }: Uint8Array): void {
    if (!(buffer instanceof ArrayBuffer) || buffer.byteLength > MAX_SIZE) return;
    this.kept.push(buffer);
    // The smallest goes: those that stay serve for more.
    this.kept.sort((a, b) => b.byteLength - a.byteLength).splice(MAX_KEPT);
  }
}
