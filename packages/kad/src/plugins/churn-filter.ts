import { LruMap } from '../lru-map.js';
import { type NodeId, bucketIndex } from '../node-id.js';
import type { Plugin, PluginHooks, PluginHost } from '../plugin.js';

/** The times of a {@link ChurnFilter}, in milliseconds, and its threshold. */
export interface ChurnFilterOptions {
  /**
   * For how long a contact that did not answer is not asked again on hearsay. It is asked at once
   * when its node has signed a newer contact.
   */
  readonly silentMs?: number;
  /** Departures from the table before a contact is held back where its k-bucket is full. */
  readonly strikes?: number;
  /** How long it is held back at first; this doubles with every further departure. */
  readonly holdMs?: number;
  /** The longest that it is held back. */
  readonly maxHoldMs?: number;
  /** A contact that has not failed for this long begins anew. */
  readonly forgiveMs?: number;
}

interface Record {
  sequence: number;
  silentAt: number;
  strikes: number;
  heldUntil: number;
}

/**
 * Holds back contacts that come and go: a lookup does not wait again for whom it has just waited for
 * in vain, and a contact that left the table several times stands back for a while where its k-bucket
 * is full.
 */
export class ChurnFilter implements Plugin {
  readonly name = 'churn-filter';
  private readonly records = new LruMap<NodeId, Record>(5000);
  private readonly options: Required<ChurnFilterOptions>;
  private answeredAt = -Infinity;

  constructor(options: ChurnFilterOptions = {}) {
    this.options = {
      silentMs: 60_000,
      strikes: 3,
      holdMs: 60_000,
      maxHoldMs: 3600_000,
      forgiveMs: 6 * 3600_000,
      ...options,
    };
  }

  install({ clock, node, identity, options: { k } }: PluginHost): PluginHooks {
    /** Where there is room, nobody has to stand back. */
    const crowded = (nodeId: NodeId) => {
      const bucket = node.routingTable.bucket(bucketIndex(identity.nodeId, nodeId));
      return (bucket?.contacts.length ?? 0) >= k;
    };
    const { silentMs, strikes, holdMs, maxHoldMs, forgiveMs } = this.options;
    return {
      onCall: async (call, next) => {
        const reply = await next(call);
        this.answeredAt = clock.now();
        return reply;
      },
      contactSilent: ({ nodeId, sequence }) => {
        const now = clock.now();
        // When nobody answers it is we who are cut off, and nobody is to blame.
        if (now - this.answeredAt > silentMs) return;
        const known = this.records.get(nodeId);
        const fresh = known === undefined || now - known.silentAt > forgiveMs;
        const record = fresh ? { strikes: 0, heldUntil: 0 } : known;
        this.records.set(nodeId, { ...record, sequence, silentAt: now });
      },
      contactRemoved: ({ nodeId, sequence }) => {
        const now = clock.now();
        const known = this.records.get(nodeId);
        const count = (known?.strikes ?? 0) + 1;
        const over = count - strikes;
        const hold = over < 0 ? 0 : Math.min(maxHoldMs, holdMs * 2 ** Math.min(over, 30));
        const silentAt = known?.silentAt ?? -Infinity;
        this.records.set(nodeId, { sequence, silentAt, strikes: count, heldUntil: now + hold });
      },
      admit: ({ nodeId, sequence }, source) => {
        const record = this.records.get(nodeId);
        if (record === undefined) return true;
        const now = clock.now();
        if (source === 'named to us') {
          return sequence > record.sequence || now - record.silentAt >= silentMs;
        }
        return now >= record.heldUntil || !crowded(nodeId);
      },
    };
  }
}
