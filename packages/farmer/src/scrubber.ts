import { type Clock, type Logger, messageOf } from '@granary/kad';
import type { ShardStore } from './shard-store.js';

/** What a {@link Scrubber} is made of. */
export interface ScrubberOptions {
  readonly store: ShardStore;
  /** Bytes read a second, on average. */
  readonly bytesPerSecond: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Between two rounds, when there is little to read. */
const PAUSE_MS = 10 * 60_000;
/** Shards between two notes of how far the round is. */
const NOTE_EVERY = 256;

/**
 * Reads every shard, slowly and in the background, and checks it against its contract, so that a
 * disk that forgets is found out before an auditor finds it. How far a round is outlives a restart.
 */
export class Scrubber {
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly options: ScrubberOptions) {}

  start(): void {
    this.running = this.run();
  }

  /** Stop, and wait until no file is open. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { logger } = this.options;
    while (!this.stopping.signal.aborted) {
      await this.round().catch((error: unknown) =>
        logger.warn({ error: messageOf(error) }, 'scrubbing was interrupted'),
      );
      await this.wait(PAUSE_MS);
    }
  }

  /** Go through all shards once, from where the last round stopped. */
  async round(): Promise<void> {
    const { store, bytesPerSecond, logger } = this.options;
    let count = 0;
    for (let hash = store.nextShard(store.scrubbedTo); hash !== undefined;) {
      if (this.stopping.signal.aborted) return;
      const read = await store.scrub(hash);
      if ((count += 1) % NOTE_EVERY === 0) await store.noteScrubbed(hash);
      await this.wait((read / bytesPerSecond) * 1000);
      hash = store.nextShard(hash);
    }
    if (this.stopping.signal.aborted) return;
    await store.noteScrubbed('');
    if (count > 0) logger.info({ shards: count }, 'every shard was read and checked');
  }

  private wait(ms: number): Promise<void> {
    const { clock } = this.options;
    const { signal } = this.stopping;
    if (ms < 1 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = clock.setTimeout(done, ms);
      (timer as { unref?: () => void }).unref?.();
      function done() {
        clock.clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      }
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
