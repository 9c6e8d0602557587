/** Time, passed in so that a simulator can drive it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Call `run` after `ms` milliseconds; the handle is for {@link Clock.clearTimeout}. */
  setTimeout(run: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** The real time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout | undefined),
};
