import type { Contact } from '../contact.js';
import { field } from '../fields.js';
import { type NodeId, compareDistance } from '../node-id.js';
import type { PluginHost } from '../plugin.js';
import type { PeerCalls } from './peer-calls.js';
import type { PubSubOptions } from './pubsub-options.js';
import type { RecordStore } from './record-store.js';
import { type SubscriptionRecord, makeRecord, parseRecord } from './subscription-record.js';
import type { TopicHash } from './topic.js';

/** Records in one answer. */
export const MAX_RECORDS = 8;

/** What came of an announcement. */
export interface Announced {
  /** Whether anybody has our record in its sample. */
  readonly kept: boolean;
  /** Nodes that answered. */
  readonly answered: number;
  readonly subscribers: Contact[];
}

/** Finds the subscribers of a topic by the nodes that are closest to its hash. */
export class Rendezvous {
  /** Questions asked in lookups so far. */
  lookupMessages = 0;

  constructor(
    private readonly host: PluginHost,
    private readonly calls: PeerCalls,
    private readonly store: RecordStore,
    private readonly options: Pick<PubSubOptions, 'rendezvous' | 'recordMs'>,
  ) {}

  /** Say that we subscribe, and hear of others who do. */
  async announce(topic: TopicHash, signal: AbortSignal): Promise<Announced> {
    const { clock, identity, node } = this.host;
    const now = clock.now();
    const record = makeRecord(identity, node.contact, topic, now + this.options.recordMs);
    const places = await this.places(topic, signal);
    const own = places.self && this.store.add(record, now);
    let kept = own;
    const answered = await this.askAll(places.contacts, topic, async (contact) => {
      const answer = await this.calls.call(contact, 'PUBSUB_ANNOUNCE', { topic, record });
      if (field(answer, 'kept') === true) kept = true;
      return answer;
    });
    return { kept, answered: answered.count, subscribers: answered.subscribers };
  }

  /** Some subscribers of a topic. */
  async find(
    topic: TopicHash,
    signal: AbortSignal,
  ): Promise<{ subscribers: Contact[]; closest: Contact[] }> {
    const { contacts } = await this.places(topic, signal);
    const { subscribers } = await this.askAll(contacts, topic, (contact) =>
      this.calls.call(contact, 'PUBSUB_FIND', { topic }),
    );
    return { subscribers, closest: contacts };
  }

  private async places(
    topic: TopicHash,
    signal: AbortSignal,
  ): Promise<{ contacts: Contact[]; self: boolean }> {
    const { node, identity } = this.host;
    const { contacts, messages } = await node.lookup(topic, { signal });
    this.lookupMessages += messages;
    const closest = contacts.slice(0, this.options.rendezvous);
    const last = closest.at(-1);
    const near =
      closest.length < this.options.rendezvous ||
      compareDistance(identity.nodeId, last!.nodeId, topic) < 0;
    return { contacts: closest, self: near && node.contact.addresses.length > 0 };
  }

  private async askAll(
    contacts: readonly Contact[],
    topic: TopicHash,
    ask: (contact: Contact) => Promise<unknown>,
  ): Promise<{ subscribers: Contact[]; count: number }> {
    const { clock, identity } = this.host;
    const found = new Map<NodeId, Contact>();
    const take = (value: unknown) => {
      const limits = { topic, now: clock.now(), lifeMs: this.options.recordMs };
      const { contact } = parseRecord(value, limits);
      if (contact.nodeId !== identity.nodeId) found.set(contact.nodeId, contact);
    };
    for (const record of this.store.sample(topic, MAX_RECORDS, clock.now())) take(record);
    const results = await Promise.allSettled(
      contacts.map(async (contact) => {
        const records = field(await ask(contact), 'records');
        if (!Array.isArray(records)) return;
        for (const record of (records as unknown[]).slice(0, MAX_RECORDS)) {
          try {
            take(record);
          } catch {
            // One bad record does not make the rest worthless.
          }
        }
      }),
    );
    const count = results.filter(({ status }) => status === 'fulfilled').length;
    return { subscribers: [...found.values()], count };
  }

  /** Records for an answer. */
  sample(topic: TopicHash, except: NodeId): SubscriptionRecord[] {
    return this.store
      .sample(topic, MAX_RECORDS + 1, this.host.clock.now())
      .filter(({ contact }) => contact.nodeId !== except)
      .slice(0, MAX_RECORDS);
  }
}
