import type { Duplex } from 'node:stream';
import type { Clock } from '@granary/kad';

/** How {@link relay} copies. Times are milliseconds. */
export interface RelayOptions {
  readonly clock: Clock;
  /** A side that takes nothing of what waits for it for this long ends the relay. */
  readonly stallMs: number;
  /** A relay over which nothing went for this long is ended. */
  readonly idleMs: number;
  /**
   * Told of every chunk before it is passed on.
   *
   * @param up - whether it goes from the first to the second stream
   * @returns milliseconds to wait before more is read; or a promise of that, for which the chunk waits.
   * It may never settle, and does not reject.
   */
  onBytes(count: number, up: boolean): number | Promise<number>;
}

/**
 * Copy bytes between two streams, both ways, each at the pace of the slower side, until both have
 * ended or one broke. An end is passed on, so that half-closed connections work. At the end both
 * are destroyed.
 *
 * @returns a promise that never rejects: how a connection of strangers ends is not our failure
 */
export function relay(first: Duplex, second: Duplex, options: RelayOptions): Promise<void> {
  const { clock, stallMs, idleMs, onBytes } = options;
  return new Promise((resolve) => {
    let open = 2;
    let finished = false;
    let lastBytes = clock.now();
    // When a side was last known to take what it is sent.
    const waiting = new Map<Duplex, number>();
    const pauses = new Set<unknown>();
    const finish = () => {
      if (finished) return;
      finished = true;
      clock.clearTimeout(watchdog);
      for (const pause of pauses) clock.clearTimeout(pause);
      first.destroy();
      second.destroy();
      resolve();
    };
    const copy = (from: Duplex, to: Duplex, up: boolean) => {
      let held = 0;
      const release = () => {
        held -= 1;
        if (held === 0 && !finished) from.resume();
      };
      const hold = () => {
        held += 1;
        from.pause();
      };
      const pass = (chunk: Buffer, wait: number) => {
        if (!to.writable) return finish();
        if (!to.write(chunk) && !waiting.has(to)) {
          waiting.set(to, clock.now());
          hold();
          to.once('drain', () => {
            waiting.delete(to);
            release();
          });
        }
        if (wait > 0) {
          hold();
          const pause = clock.setTimeout(() => {
            pauses.delete(pause);
            release();
          }, wait);
          pauses.add(pause);
        }
      };
      from.on('data', (chunk: Buffer) => {
        lastBytes = clock.now();
        const wait = onBytes(chunk.length, up);
        if (typeof wait === 'number') return pass(chunk, wait);
        // While it is paused nothing comes after it, not even its end.
        hold();
        void wait.then((ms) => {
          if (finished) return;
          pass(chunk, ms);
          release();
        });
      });
      from.once('end', () => {
        to.end();
        open -= 1;
        if (open > 0) return;
        // What is still on its way goes out, but not for ever: the watchdog runs on.
        if (first.writableFinished && second.writableFinished) finish();
        for (const side of [first, second]) {
          side.once('finish', () => {
            if (first.writableFinished && second.writableFinished) finish();
          });
        }
      });
      from.on('error', finish);
      from.once('close', () => {
        if (!from.readableEnded || to.writableFinished) finish();
      });
    };
    const check = () => {
      const now = clock.now();
      for (const since of waiting.values()) if (now - since > stallMs) return finish();
      if (now - lastBytes > idleMs) return finish();
      watchdog = clock.setTimeout(check, Math.min(stallMs, idleMs) / 2);
    };
    let watchdog = clock.setTimeout(check, Math.min(stallMs, idleMs) / 2);
    copy(first, second, true);
    copy(second, first, false);
  });
}
