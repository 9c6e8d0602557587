import type { Clock } from '@granary/kad';
import { NatError } from '../errors.js';

/**
 * A signal that follows another one and, besides, is aborted with NAT_NO_ANSWER when time is up.
 * `clear` frees it.
 */
export function deadline(
  clock: Clock,
  signal: AbortSignal,
  timeoutMs: number,
  what: string,
): { readonly signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const follow = () =>
    controller.abort(new NatError('NAT_ABORTED', `${what}: broken off`, { cause: signal.reason }));
  if (signal.aborted) follow();
  else signal.addEventListener('abort', follow, { once: true });
  const timer = clock.setTimeout(
    () => controller.abort(new NatError('NAT_NO_ANSWER', `${what}: no answer in ${timeoutMs} ms`)),
    timeoutMs,
  );
  return {
    signal: controller.signal,
    clear: () => {
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', follow);
    },
  };
}
