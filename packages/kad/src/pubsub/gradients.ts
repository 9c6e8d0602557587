import type { Contact } from '../contact.js';
import { KadError } from '../errors.js';
import { field } from '../fields.js';
import type { NodeId } from '../node-id.js';
import type { PluginHost } from '../plugin.js';
import { parseContacts } from '../rpc.js';
import { AttenuatedFilter } from './attenuated-filter.js';
import type { PeerCalls } from './peer-calls.js';
import { shuffle } from './pick.js';
import type { TopicHash } from './topic.js';

/** Neighbours whose filters are kept. */
const MAX_NEIGHBOURS = 32;
/** Contacts that a subscriber sends its filter to. */
const TOLD = 3;
/** Questions in one walk. */
const MAX_STEPS = 16;
/** Contacts in one answer. */
const MAX_NEXT = 8;

/**
 * The gradients of Quasar (Wong and Guha 2008) as a second way to the subscribers of a topic, which
 * asks nobody for trust in the nodes nearest to the topic's hash. Unlike there, only subscribers send
 * filters, and whoever looks for a topic walks itself, from node to node, so that nobody can be made
 * to send for others.
 */
export class Gradients {
  private readonly neighbours = new Map<
    NodeId,
    { contact: Contact; filter: AttenuatedFilter; at: number }
  >();

  /**
   * @param topics - those that we subscribe to
   * @param maxFill - the share of bits beyond which a filter is refused
   * @param keepMs - how long a neighbour's filter is good for
   */
  constructor(
    private readonly host: PluginHost,
    private readonly calls: PeerCalls,
    private readonly topics: () => Iterable<TopicHash>,
    private readonly limits: { maxFill: number; keepMs: number },
  ) {}

  /** Send our filter to some contacts that are near us, and take theirs. */
  async spread(): Promise<void> {
    const { node, identity } = this.host;
    const near = node.routingTable.closest(identity.nodeId, TOLD);
    await Promise.allSettled(
      near.map(async (contact) => {
        const params = { filter: this.filter().encode() };
        const answer = await this.calls.call(contact, 'PUBSUB_FILTER', params);
        this.keep(contact, field(answer, 'filter'));
      }),
    );
  }

  /** A neighbour sends its filter. @throws KadError KAD_BAD_PARAMETERS when it says yes to all. */
  onFilter(sender: Contact, filter: unknown): unknown {
    if (sender.addresses.length > 0) this.keep(sender, filter);
    return { filter: this.filter().encode() };
  }

  /** Neighbours by which a topic may be reached, nearest first. */
  towards(topic: TopicHash): Contact[] {
    this.expire();
    return [...this.neighbours.values()]
      .map(({ contact, filter }) => ({ contact, level: filter.levelOf(topic) }))
      .filter(({ level }) => level >= 0)
      .sort((a, b) => a.level - b.level)
      .map(({ contact }) => contact)
      .slice(0, MAX_NEXT);
  }

  /** Walk along the gradients of a topic: subscribers that were met. */
  async walk(topic: TopicHash, wanted: number, signal: AbortSignal): Promise<Contact[]> {
    const { node, identity, random } = this.host;
    // Who was asked is the negative information of the paper: nobody is asked twice.
    const asked = new Set<NodeId>([identity.nodeId]);
    const found = new Map<NodeId, Contact>();
    const rest = shuffle(node.contacts(), random);
    const ahead = this.towards(topic).reverse();
    for (let step = 0; step < MAX_STEPS && found.size < wanted && !signal.aborted; step += 1) {
      const contact = ahead.pop() ?? rest.pop();
      if (contact === undefined) break;
      if (asked.has(contact.nodeId)) continue;
      asked.add(contact.nodeId);
      try {
        const answer = await this.calls.call(contact, 'PUBSUB_SEEK', { topic });
        if (field(answer, 'subscribed') === true) found.set(contact.nodeId, contact);
        const next = parseContacts(field(answer, 'contacts'), MAX_NEXT);
        ahead.push(...next.filter(({ nodeId }) => !asked.has(nodeId)).reverse());
      } catch {
        // The next one may know.
      }
    }
    return [...found.values()];
  }

  get size(): number {
    return this.neighbours.size;
  }

  private filter(): AttenuatedFilter {
    const filters = [...this.neighbours.values()].map(({ filter }) => filter);
    return AttenuatedFilter.of(this.topics(), filters, { maxFill: this.limits.maxFill });
  }

  private keep(contact: Contact, value: unknown): void {
    const filter = AttenuatedFilter.parse(value);
    if (filter.fill > this.limits.maxFill) {
      this.neighbours.delete(contact.nodeId);
      throw new KadError(
        'KAD_FULL',
        `more than ${this.limits.maxFill * 100} % of the bits of the filter are set: it says nothing`,
      );
    }
    this.expire();
    this.neighbours.delete(contact.nodeId);
    this.neighbours.set(contact.nodeId, { contact, filter, at: this.host.clock.now() });
    if (this.neighbours.size > MAX_NEIGHBOURS) {
      this.neighbours.delete(this.neighbours.keys().next().value!);
    }
  }

  private expire(): void {
    const old = this.host.clock.now() - this.limits.keepMs;
    for (const [nodeId, { at }] of this.neighbours) if (at < old) this.neighbours.delete(nodeId);
  }
}
