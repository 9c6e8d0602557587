import type { Clock } from './clock.js';
import { KadError } from './errors.js';

/**
 * Wait for something that goes on by itself, but not for ever: it is not stopped when the wait ends.
 *
 * @throws KadError KAD_TIMEOUT or KAD_ABORTED; what the promise rejects with.
 */
export function waitFor<T>(
  promise: Promise<T>,
  {
    signal,
    timeoutMs,
    clock,
    what,
  }: {
    readonly signal: AbortSignal | undefined;
    readonly timeoutMs: number;
    readonly clock: Clock;
    /** What is waited for, for the message: "X did not answer". */
    readonly what: string;
  },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const finish = () => {
      clock.clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    const fail = (error: unknown) => {
      finish();
      reject(error as Error);
    };
    const onAbort = () =>
      fail(new KadError('KAD_ABORTED', 'the call was aborted', { cause: signal?.reason }));
    const timer = clock.setTimeout(
      () => fail(new KadError('KAD_TIMEOUT', `${what} in ${Math.round(timeoutMs)} ms`)),
      timeoutMs,
    );
    if (signal?.aborted === true) {
      promise.catch(() => undefined);
      return onAbort();
    }
    signal?.addEventListener('abort', onAbort, { once: true });
    promise.then((value) => {
      finish();
      resolve(value);
    }, fail);
  });
}
