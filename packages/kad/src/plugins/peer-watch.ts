import type { Clock } from '../clock.js';
import type { Contact } from '../contact.js';
import { LruMap } from '../lru-map.js';
import type { KademliaNode } from '../kademlia-node.js';
import type { NodeId } from '../node-id.js';
import type { Plugin, PluginHooks, PluginHost } from '../plugin.js';
import type { RpcReply } from '../rpc-channel.js';

/** How a contact was when we last had to do with it. */
export interface PeerVitals {
  readonly contact: Contact;
  /** `silent`: it did not answer and left the routing table; `left`: it said goodbye. */
  readonly state: 'alive' | 'silent' | 'left';
  /** Round trip in milliseconds, smoothed; undefined while none was measured. */
  readonly rttMs: number | undefined;
  /** When the state began, in milliseconds since the epoch. */
  readonly since: number;
}

/** What a {@link PeerWatch} remembers. */
export interface PeerWatchOptions {
  /** The most contacts. */
  readonly limit?: number;
  /** How long those are remembered that are gone, in milliseconds. */
  readonly goneMs?: number;
}

/** Share of the newest round trip in the smoothed one. */
const NEWEST = 0.3;
/** A ping that somebody waits to see. */
const PROBE_TIMEOUT_MS = 3_000;

/**
 * Remembers how fast contacts answer, and who is gone since when, for those who look at a node. It
 * sends nothing by itself; {@link PeerWatch.probe} does.
 */
export class PeerWatch implements Plugin {
  readonly name = 'peer-watch';
  private readonly rtts: LruMap<NodeId, number>;
  private readonly since: LruMap<NodeId, number>;
  private readonly departed = new Map<NodeId, PeerVitals>();
  private readonly probed: LruMap<NodeId, number>;
  private readonly limit: number;
  private readonly goneMs: number;
  private host: { node: KademliaNode; clock: Clock } | undefined;

  constructor({ limit = 1024, goneMs = 30 * 60_000 }: PeerWatchOptions = {}) {
    this.limit = limit;
    this.goneMs = goneMs;
    this.rtts = new LruMap(limit);
    this.since = new LruMap(limit);
    this.probed = new LruMap(limit);
  }

  install({ node, clock }: PluginHost): PluginHooks {
    this.host = { node, clock };
    return {
      onCall: async (call, next) => {
        const begun = clock.now();
        const reply: RpcReply = await next(call);
        const took = clock.now() - begun;
        const { nodeId } = reply.contact;
        const before = this.rtts.get(nodeId);
        this.rtts.set(nodeId, before === undefined ? took : before + (took - before) * NEWEST);
        return reply;
      },
      contactAdded: ({ nodeId }) => {
        this.departed.delete(nodeId);
        this.since.set(nodeId, clock.now());
      },
      contactRemoved: (contact, reason) => {
        const { nodeId } = contact;
        this.departed.delete(nodeId);
        const rttMs = this.rtts.get(nodeId);
        this.departed.set(nodeId, { contact, state: reason, rttMs, since: clock.now() });
        if (this.departed.size > this.limit) {
          this.departed.delete(this.departed.keys().next().value!);
        }
      },
    };
  }

  /** Those who are gone lately, the latest last. */
  get gone(): readonly PeerVitals[] {
    const oldest = (this.host?.clock.now() ?? 0) - this.goneMs;
    for (const [nodeId, { since }] of this.departed) {
      if (since < oldest) this.departed.delete(nodeId);
    }
    return [...this.departed.values()];
  }

  /** How a contact of the routing table is. */
  vitals(contact: Contact): PeerVitals {
    const { nodeId } = contact;
    return {
      contact,
      state: 'alive',
      rttMs: this.rtts.get(nodeId),
      since: this.since.get(nodeId) ?? 0,
    };
  }

  /**
   * Ping the contacts of the routing table that were not pinged for the longest time, so that who is
   * gone is seen soon. Never rejects.
   *
   * @param count - the most pings
   * @param everyMs - nobody is pinged more often than this
   */
  async probe(count: number, everyMs: number): Promise<void> {
    if (this.host === undefined) return;
    const { node, clock } = this.host;
    const now = clock.now();
    const due = node
      .contacts()
      .map((contact) => ({ contact, last: this.probed.get(contact.nodeId) ?? 0 }))
      .filter(({ last }) => last <= now - everyMs)
      .sort((a, b) => a.last - b.last)
      .slice(0, count);
    await Promise.allSettled(
      due.map(({ contact }) => {
        this.probed.set(contact.nodeId, now);
        return node.ping(contact, { timeoutMs: PROBE_TIMEOUT_MS });
      }),
    );
  }
}
