import { LruMap } from '../lru-map.js';
import type { NodeId } from '../node-id.js';

/** How much each peer gets on request in a span of time, so that none can make us send without end. */
export class ServeBudget {
  private readonly peers = new LruMap<NodeId, { bytes: number; since: number }>(4096);

  /** @param bytes - in `spanMs` milliseconds, for each peer */
  constructor(
    private readonly bytes: number,
    private readonly spanMs: number,
  ) {}

  /** Whether a peer may have so many more bytes; they are counted when it may. */
  take(peer: NodeId, size: number, now: number): boolean {
    const last = this.peers.get(peer);
    const current =
      last !== undefined && now - last.since < this.spanMs ? last : { bytes: 0, since: now };
    if (current.bytes + size > this.bytes) return false;
    this.peers.set(peer, { bytes: current.bytes + size, since: current.since });
    return true;
  }
}
