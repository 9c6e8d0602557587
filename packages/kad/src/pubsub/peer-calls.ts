import type { Contact } from '../contact.js';
import { KadError } from '../errors.js';
import type { NodeId } from '../node-id.js';
import type { PluginHost } from '../plugin.js';

/** Calls to peers: times them out, bounds how many are under way, and knows when who was heard of. */
export class PeerCalls {
  private readonly underWay = new Map<NodeId, number>();
  private readonly heardOf = new Map<NodeId, number>();

  constructor(
    private readonly host: PluginHost,
    private readonly limits: { callMs: number; inFlight: number },
    private readonly signal: AbortSignal,
  ) {}

  /** Whether another call to a peer is within the limit. */
  isFree(peer: NodeId): boolean {
    return (this.underWay.get(peer) ?? 0) < this.limits.inFlight;
  }

  /** When a peer was last heard of; 0 for never. */
  lastHeard(peer: NodeId): number {
    return this.heardOf.get(peer) ?? 0;
  }

  /** A peer sent something. */
  heard(peer: NodeId): void {
    this.heardOf.delete(peer);
    this.heardOf.set(peer, this.host.clock.now());
    if (this.heardOf.size > 4096) this.heardOf.delete(this.heardOf.keys().next().value!);
  }

  /** @throws KadError KAD_BUSY when too many are under way; others as `node.call` does. */
  async call(
    to: Contact,
    method: string,
    params: unknown,
    { timeoutMs = this.limits.callMs, signal = this.signal } = {},
  ): Promise<unknown> {
    const { nodeId } = to;
    const before = this.underWay.get(nodeId) ?? 0;
    if (before >= this.limits.inFlight) {
      throw new KadError('KAD_BUSY', 'too many calls to this node are under way');
    }
    this.underWay.set(nodeId, before + 1);
    try {
      const result = await this.host.node.call(to, method, params, { timeoutMs, signal });
      this.heard(nodeId);
      return result;
    } finally {
      const left = (this.underWay.get(nodeId) ?? 1) - 1;
      if (left > 0) this.underWay.set(nodeId, left);
      else this.underWay.delete(nodeId);
    }
  }
}
