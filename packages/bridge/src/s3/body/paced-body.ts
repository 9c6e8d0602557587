import type { Clock } from '@granary/kad';
import { S3Error } from '../s3-error.js';

/** How slowly a client may send. */
export interface Pace {
  /** The longest silence, in milliseconds. */
  readonly silenceMs: number;
  /** Time that a client has before its speed counts, in milliseconds. */
  readonly graceMs: number;
  /** The fewest bytes a second after that, on average. */
  readonly bytesPerSecond: number;
}

/** The pace that a bridge asks for unless it is told otherwise. */
export const DEFAULT_PACE: Pace = { silenceMs: 30_000, graceMs: 60_000, bytesPerSecond: 1024 };

/**
 * Hand a body on, and give up on a client that is silent or sends drop by drop to hold a connection
 * (slow loris). Only the time that we wait for the client counts, not the time that it waits for us.
 *
 * @throws S3Error RequestTimeout; IncompleteBody when the client went away.
 */
export async function* pacedBody(
  source: AsyncIterable<Uint8Array>,
  pace: Pace,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  let [waited, bytes, ended] = [0, 0, false];
  try {
    for (;;) {
      const begun = clock.now();
      const next = await within(iterator.next(), pace.silenceMs, clock, signal);
      if (next.done === true) {
        ended = true;
        return;
      }
      waited += clock.now() - begun;
      bytes += next.value.length;
      if (waited > pace.graceMs && bytes < (waited / 1000) * pace.bytesPerSecond) throw tooSlow();
      yield next.value;
    }
  } finally {
    // What is left is for the server to throw away; a step that hangs must not hold us.
    if (!ended) void iterator.return?.().catch(() => undefined);
  }
}

async function within<T>(
  step: Promise<T>,
  ms: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  let timer: unknown;
  let onAbort: (() => void) | undefined;
  const given = new Promise<never>((_, reject) => {
    timer = clock.setTimeout(() => reject(tooSlow()), ms);
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([step, given]);
  } catch (error) {
    step.catch(() => undefined);
    if (error instanceof S3Error || signal.aborted) throw error;
    throw new S3Error('IncompleteBody', 'The connection ended within the body.', { cause: error });
  } finally {
    clock.clearTimeout(timer);
    signal.removeEventListener('abort', onAbort!);
  }
}

function tooSlow(): S3Error {
  return new S3Error('RequestTimeout', undefined, { headers: { connection: 'close' } });
}
