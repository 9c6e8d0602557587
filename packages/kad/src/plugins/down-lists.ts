import type { Contact } from '../contact.js';
import { KadError } from '../errors.js';
import { field } from '../fields.js';
import { LruMap } from '../lru-map.js';
import type { LookupObserver } from '../lookup.js';
import { type NodeId, isNodeId } from '../node-id.js';
import type { Plugin, PluginHooks, PluginHost } from '../plugin.js';
import { isSilence } from '../silence.js';

/** The most nodes in one down-list. */
const MAX_LISTED = 20;
/** The most messages that are sent after one lookup. */
const MAX_TOLD = 20;
/** A contact that we heard of within this time is not pinged on somebody's word, in milliseconds. */
const TRUST_MS = 30_000;
/** Pings that one sender can make us send in a minute. */
const PINGS_A_MINUTE = 40;
const MINUTE = 60_000;

/**
 * Down-list modification (Stutzbach and Rejaie 2006, "Improving lookup performance over a widely
 * deployed DHT"; in Kademlia by OverSim): a lookup that meets dead contacts tells the nodes that had
 * named them, and those ping the dead and take them out. Nobody is taken out on somebody's word.
 */
export class DownLists implements Plugin {
  readonly name = 'down-lists';
  private readonly asked = new LruMap<NodeId, { pings: number; since: number }>(1000);

  install(host: PluginHost): PluginHooks {
    return {
      methods: { DOWN: async (params, { sender }) => this.onDown(host, params, sender.nodeId) },
      lookup: () => this.observe(host),
    };
  }

  private observe({ node }: PluginHost): LookupObserver {
    const down = new Set<NodeId>();
    const answers: { from: Contact; named: readonly Contact[] }[] = [];
    let told = 0;
    const tell = (of: ReadonlySet<NodeId>) => {
      if (of.size === 0) return;
      for (const { from, named } of answers) {
        const nodes = named.map(({ nodeId }) => nodeId).filter((id) => of.has(id));
        if (nodes.length === 0) continue;
        if ((told += 1) > MAX_TOLD) return;
        const params = { nodes: nodes.slice(0, MAX_LISTED) };
        void node.call(from, 'DOWN', params).catch(() => undefined);
      }
    };
    let over = false;
    return {
      answered: (from, named) => void answers.push({ from, named }),
      failed: ({ nodeId }, namedBy, error) => {
        if (namedBy === undefined || !isSilence(error)) return;
        if (over) tell(new Set([nodeId]));
        else down.add(nodeId);
      },
      finished: () => {
        over = true;
        tell(down);
      },
    };
  }

  private onDown({ node, clock }: PluginHost, params: unknown, sender: NodeId): unknown {
    const nodes = field(params, 'nodes');
    if (!Array.isArray(nodes) || nodes.length > MAX_LISTED || !nodes.every(isNodeId)) {
      throw new KadError('KAD_BAD_PARAMETERS', `nodes is not a list of at most ${MAX_LISTED} IDs`);
    }
    const now = clock.now();
    const last = this.asked.get(sender);
    const budget =
      last !== undefined && now - last.since < MINUTE ? last : { pings: 0, since: now };
    this.asked.set(sender, budget);
    for (const nodeId of nodes) {
      const entry = node.routingTable.get(nodeId);
      if (entry === undefined || now - entry.lastSeen < TRUST_MS) continue;
      if ((budget.pings += 1) > PINGS_A_MINUTE) break;
      node.check(entry.contact);
    }
    return {};
  }
}
