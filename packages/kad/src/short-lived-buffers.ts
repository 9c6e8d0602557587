import { type CollectGarbage, exposedGc } from './exposed-gc.js';

/** Bytes after which young garbage is collected. */
const EVERY = 8 * 1024 * 1024;

/**
 * Has the buffers of a stream collected soon after they were needed.
 *
 * What comes through TLS and WebSockets comes in buffers that live for some milliseconds. Their memory lies
 * outside of V8's heap and is counted there, but a buffer itself is so small that the young generation fills
 * slowly: before it is collected, some ten MiB have been counted, and V8 collects all garbage in all of the
 * heap instead, again and again. That was a quarter of a farmer's CPU while shards came in. A collection of
 * the young alone takes about a millisecond.
 *
 * Works where Node was started with `--expose-gc`, as `granary` is, and does nothing elsewhere.
 */
export class ShortLivedBuffers {
  private bytes = 0;

  /** @param collect - by default what `--expose-gc` gives, if it does */
  constructor(private readonly collect: CollectGarbage | undefined = exposedGc()) {}

  /** Some bytes came, in buffers that are garbage soon. */
  note(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes < EVERY) return;
    this.bytes = 0;
    this.collect?.('young');
  }
}
