import { type Clock, LruMap, type Rate } from '@granary/kad';
import type { RateLimits } from './rate-limits.js';
import { TokenBucket } from './token-bucket.js';

/** Somebody asks for more than they may. */
export class RateLimitError extends Error {
  override readonly name = 'RateLimitError';
  readonly code = 'BRIDGE_RATE_LIMIT';

  constructor(
    readonly what: 'requests' | 'bytes' | 'logins',
    /** Whole seconds, at least 1, after which to try again. */
    readonly retryAfter: number,
  ) {
    super(`Too many ${what}: try again in ${retryAfter} s.`);
  }

  /** After so many milliseconds. */
  static after(what: RateLimitError['what'], ms: number): RateLimitError {
    return new RateLimitError(what, Math.max(1, Math.ceil(ms / 1000)));
  }
}

/** What a request may send and receive. */
export interface Budget {
  /**
   * Hand a stream on, no faster than its user may send and receive.
   *
   * @throws the signal's reason when it aborts while it waits
   */
  paced(stream: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Users of which it is remembered how fast they went. */
const MOST_USERS = 10_000;
/** A request that would have to wait longer for its first byte is refused; those under way wait. */
const LONGEST_WAIT_MS = 2_000;

/** Bytes that are paid for at one time. A transfer may be ahead by as much. */
const PIECE = 64 * 1024;

interface Account {
  readonly requests: TokenBucket;
  readonly bytes: TokenBucket;
}

/**
 * Keeps users to their rate limits. What it knows is in memory, and of this process only: a user of
 * several bridges has the limit at each of them, and a start begins anew. Of at most 10,000 users who
 * have limits it knows how fast they went; the one seen longest ago is forgotten first.
 */
export class RateLimiter {
  private readonly accounts: LruMap<string, Account>;

  constructor(
    private readonly clock: Clock,
    mostUsers = MOST_USERS,
  ) {
    this.accounts = new LruMap(mostUsers);
  }

  /**
   * Let a request in.
   *
   * @returns what it may send and receive; undefined: as much as it likes
   * @throws RateLimitError when its user has asked too much of late.
   */
  admit(userId: string, { requests, bytes }: RateLimits): Budget | undefined {
    if (requests === null && bytes === null) return undefined;
    const account = this.accounts.getOrMake(userId, () => ({
      requests: new TokenBucket(),
      bytes: new TokenBucket(),
    }));
    const now = this.clock.now();
    if (bytes !== null) {
      const wait = account.bytes.wait(bytes, now, 0);
      if (wait > LONGEST_WAIT_MS) throw RateLimitError.after('bytes', wait - LONGEST_WAIT_MS);
    }
    if (requests !== null) {
      const wait = account.requests.wait(requests, now, 1);
      if (wait > 0) throw RateLimitError.after('requests', wait);
      account.requests.take(requests, now, 1);
    }
    if (bytes === null) return undefined;
    return { paced: (stream, signal) => this.pace(stream, account.bytes, bytes, signal) };
  }

  private async *pace(
    stream: AsyncIterable<Uint8Array>,
    bucket: TokenBucket,
    rate: Rate,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    for await (const part of stream) {
      for (let at = 0; at < part.length; at += PIECE) {
        const piece = part.subarray(at, at + PIECE);
        const wait = bucket.wait(rate, this.clock.now(), 0);
        if (wait > 0) await this.pause(wait, signal);
        bucket.take(rate, this.clock.now(), piece.length);
        yield piece;
      }
    }
  }

  private pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason as Error);
      const onAbort = () => {
        this.clock.clearTimeout(timer);
        reject(signal.reason as Error);
      };
      const timer = this.clock.setTimeout(() => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      }, ms);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }
}

/** A stream that is paced by a budget which may be known only when it is being read. */
export async function* pacedBy(
  stream: AsyncIterable<Uint8Array>,
  budget: () => Budget | undefined,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const part of stream) {
    const now = budget();
    if (now === undefined) yield part;
    else yield* now.paced(only(part), signal);
  }
}

async function* only<T>(value: T): AsyncGenerator<T> {
  yield await Promise.resolve(value);
}
