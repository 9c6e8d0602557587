import { addressGroup } from '../address-group.js';
import { KadError } from '../errors.js';
import { LruMap } from '../lru-map.js';
import type { Plugin, PluginHooks, PluginHost } from '../plugin.js';
import { type Rate, TokenBucket } from '../token-bucket.js';

/** The limits of {@link RateLimits}. */
export interface RateLimitOptions {
  /**
   * Messages from one address group (such as a /24), counted before anything of them is looked at.
   * Loopback and private addresses are not limited by this.
   */
  readonly perGroup?: Rate;
  /** Requests of one peer, counted when its signature has been checked. */
  readonly perPeer?: Rate;
}

/** How many peers and groups are remembered: the least recently seen begin anew. */
const REMEMBERED = 10_000;

/** Refuses with KAD_BUSY what comes faster than a node wants to answer. */
export class RateLimits implements Plugin {
  readonly name = 'rate-limits';
  private readonly perGroup: Rate;
  private readonly perPeer: Rate;
  private readonly groups = new LruMap<string, TokenBucket>(REMEMBERED);
  private readonly peers = new LruMap<string, TokenBucket>(REMEMBERED);

  constructor({
    perGroup = { perSecond: 1000, burst: 5000 },
    perPeer = { perSecond: 500, burst: 2500 },
  }: RateLimitOptions = {}) {
    this.perGroup = perGroup;
    this.perPeer = perPeer;
  }

  install({ clock }: PluginHost): PluginHooks {
    const take = (from: LruMap<string, TokenBucket>, key: string, rate: Rate): boolean => {
      let bucket = from.get(key);
      if (bucket === undefined) from.set(key, (bucket = new TokenBucket(rate, clock.now())));
      return bucket.take(clock.now());
    };
    return {
      onMessage: ({ address }) => {
        const group = addressGroup(address);
        if (group !== undefined && !take(this.groups, group, this.perGroup)) {
          throw new KadError('KAD_BUSY', 'too many messages from your network: slow down');
        }
      },
      onRequest: async (request, next) => {
        if (!take(this.peers, request.sender.nodeId, this.perPeer)) {
          throw new KadError('KAD_BUSY', 'too many requests from you: slow down');
        }
        return next(request);
      },
    };
  }
}
