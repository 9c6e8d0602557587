import { KadError } from '../errors.js';
import { LruMap } from '../lru-map.js';
import type { NodeId } from '../node-id.js';
import { type Rate, TokenBucket } from '../token-bucket.js';

/** What a peer did wrong, and what it costs it. A peer below {@link SHUNNED} is not listened to. */
export const penalties = {
  /** A publication that is malformed or wrongly signed. */
  invalid: 10,
  /** It said that it had a publication, and did not give it. */
  brokenPromise: 2,
  /** A Bloom filter that says yes to everything. */
  fullFilter: 5,
  /** More requests than it may send. */
  tooFast: 0.2,
  /** A publication that is older than anybody keeps them. */
  stale: 1,
} as const;

/** The score below which a peer is refused. */
export const SHUNNED = -20;
/** A bad score halves in this time, in milliseconds. */
const HALF_LIFE_MS = 10 * 60_000;

interface Record {
  score: number;
  at: number;
  readonly requests: TokenBucket;
}

/** How each peer has behaved, and how fast it may ask. Bounded: the least recently heard of go. */
export class PeerScores {
  private readonly peers: LruMap<NodeId, Record>;

  constructor(
    private readonly rate: Rate,
    limit = 10_000,
  ) {
    this.peers = new LruMap(limit);
  }

  /** @throws KadError KAD_BUSY when the peer is shunned or asks too fast. */
  admit(peer: NodeId, now: number): void {
    const record = this.record(peer, now);
    if (this.decayed(record, now) < SHUNNED) {
      throw new KadError('KAD_BUSY', 'you sent what you should not have: come back later');
    }
    if (!record.requests.take(now)) {
      this.penalise(peer, 'tooFast', now);
      throw new KadError('KAD_BUSY', 'too many pub/sub requests from you: slow down');
    }
  }

  penalise(peer: NodeId, why: keyof typeof penalties, now: number): void {
    const record = this.record(peer, now);
    record.score = this.decayed(record, now) - penalties[why];
    record.at = now;
  }

  /** 0 for a peer without blemish, negative for others. */
  scoreOf(peer: NodeId, now: number): number {
    const record = this.peers.get(peer);
    return record === undefined ? 0 : this.decayed(record, now);
  }

  isShunned(peer: NodeId, now: number): boolean {
    return this.scoreOf(peer, now) < SHUNNED;
  }

  private decayed({ score, at }: Record, now: number): number {
    return score * 2 ** (-Math.max(0, now - at) / HALF_LIFE_MS);
  }

  private record(peer: NodeId, now: number): Record {
    let record = this.peers.get(peer);
    if (record === undefined) {
      record = { score: 0, at: now, requests: new TokenBucket(this.rate, now) };
      this.peers.set(peer, record);
    }
    return record;
  }
}
