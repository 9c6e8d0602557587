import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { systemClock } from './clock.js';
import { pause } from './pause.js';

/** The system's clock, which notes the timers that have neither run nor been cleared. */
function countingClock() {
  const open = new Set<unknown>();
  return {
    open,
    now: () => systemClock.now(),
    setTimeout: (run: () => void, ms: number) => {
      const timer = systemClock.setTimeout(run, ms);
      open.add(timer);
      return timer;
    },
    clearTimeout: (timer: unknown) => {
      open.delete(timer);
      systemClock.clearTimeout(timer);
    },
  };
}

describe('a pause', () => {
  it('ends by itself, and leaves nothing behind', async () => {
    const clock = countingClock();
    const { signal } = new AbortController();
    await pause(clock, 1, signal);
    expect(clock.open.size).toBe(0);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('is ended by the signal, also by one that was aborted before', async () => {
    const clock = countingClock();
    const stop = new AbortController();
    const paused = pause(clock, 3_600_000, stop.signal);
    stop.abort();
    await paused;
    await pause(clock, 3_600_000, stop.signal);
    expect(clock.open.size).toBe(0);
  });
});
