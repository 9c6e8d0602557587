import { isIPv6 } from 'node:net';
import { type Clock, LruMap, type Rate } from '@granary/kad';
import { RateLimitError } from './rate-limiter.js';
import { TokenBucket } from './token-bucket.js';

/** How often somebody may try to log in. */
export interface LoginLimits {
  /** Wrong passwords for one user name, whoever sends them. */
  readonly name: Rate;
  /** Tries from one address (of IPv6: one /64). */
  readonly address: Rate;
}

/** Ten at once, then one each half minute for a name, and one each three seconds for an address. */
export const DEFAULT_LOGIN_LIMITS: LoginLimits = {
  name: { perSecond: 1 / 30, burst: 10 },
  address: { perSecond: 1 / 3, burst: 10 },
};

/** Names and addresses that are remembered, each. */
const MOST = 10_000;

/**
 * Slows down who guesses passwords. What it knows is in memory, and of this process only; of names and
 * addresses it remembers the 10,000 that tried last.
 */
export class LoginThrottle {
  private readonly names = new LruMap<string, TokenBucket>(MOST);
  private readonly addresses = new LruMap<string, TokenBucket>(MOST);

  constructor(
    private readonly clock: Clock,
    private readonly limits: LoginLimits = DEFAULT_LOGIN_LIMITS,
  ) {}

  /**
   * Somebody tries to log in. The try counts from its beginning, so that many at one time are many.
   *
   * @returns what to call when the password was right: the name then has its try back
   * @throws RateLimitError when there were too many.
   */
  attempt(name: string, remoteAddress: string): () => void {
    const now = this.clock.now();
    const byName = this.names.getOrMake(name, () => new TokenBucket());
    const byAddress = this.addresses.getOrMake(network(remoteAddress), () => new TokenBucket());
    const { limits } = this;
    const wait = Math.max(byName.wait(limits.name, now, 1), byAddress.wait(limits.address, now, 1));
    if (wait > 0) throw RateLimitError.after('logins', wait);
    byName.take(limits.name, now, 1);
    byAddress.take(limits.address, now, 1);
    return () => byName.take(limits.name, this.clock.now(), -1);
  }
}

/** An address as it is counted: those of one IPv6 customer are one. */
function network(address: string): string {
  const mapped = /^::ffff:([\d.]+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const groups = head === '' ? [] : head.split(':');
  const behind = tail === undefined || tail === '' ? [] : tail.split(':');
  while (tail !== undefined && groups.length + behind.length < 8) groups.push('0');
  return [...groups, ...behind]
    .slice(0, 4)
    .map((group) => parseInt(group, 16).toString(16))
    .join(':');
}
