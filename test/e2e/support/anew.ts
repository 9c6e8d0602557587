import { type RunnerTask, afterAll, beforeAll, beforeEach } from 'vitest';

/** Whether a test is run again since its first try failed: that may have left anything. */
export function isRetry({ result }: Pick<RunnerTask, 'result'>): boolean {
  return (result?.retryCount ?? 0) > 0;
}

/**
 * Set up what the tests of a file share, and set it up anew before a test is tried again: nobody knows what its first
 * try has left. For tests that do not build on what those before them did.
 *
 * @param tearDown - has to cope with what a set-up that failed has not made
 */
export function setUpAnewForRetries(
  setUp: () => Promise<void>,
  tearDown: () => Promise<void>,
  timeoutMs?: number,
): void {
  beforeAll(setUp, timeoutMs);
  afterAll(tearDown, timeoutMs);
  beforeEach(async ({ task }) => {
    if (!isRetry(task)) return;
    await tearDown();
    await setUp();
  }, timeoutMs);
}
