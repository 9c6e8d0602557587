import type { Contact } from '../contact.js';
import { messageOf } from '../errors.js';
import { field } from '../fields.js';
import type { NodeId } from '../node-id.js';
import type { PluginHost } from '../plugin.js';
import type { PeerCalls } from './peer-calls.js';
import { jittered, shuffle } from './pick.js';
import type { PubSubOptions } from './pubsub-options.js';
import type { TopicHash } from './topic.js';

/** Publications in one answer that are looked at. */
const MAX_PULLED = 128;
/** The least time between two searches for nodes to attach to, in milliseconds. */
const SEARCH_MS = 10_000;

interface Attachment {
  readonly contact: Contact;
  readonly topics: Set<TopicHash>;
  after: number;
  /** Ends the request under way, since what is asked for has changed. */
  change: AbortController;
  running: boolean;
}

/** What a {@link ClientFeed} needs. */
export interface ClientFeedHost {
  /** Subscribers of a topic, and the nodes closest to its hash. */
  find(topic: TopicHash): Promise<{ subscribers: Contact[]; closest: Contact[] }>;
  take(wire: unknown, from: Contact): void;
  /** A topic that is followed has fewer attachments than it should. */
  short(topic: TopicHash): void;
}

/**
 * Gets the publications of topics for a node that cannot be reached: it attaches to a few nodes for
 * each topic, subscribers where there are some, and keeps a request open at each.
 */
export class ClientFeed {
  private readonly attachments = new Map<NodeId, Attachment>();
  private readonly topics = new Map<TopicHash, number>();

  constructor(
    private readonly host: PluginHost,
    private readonly calls: PeerCalls,
    private readonly options: Pick<PubSubOptions, 'attachments' | 'pullMs' | 'callMs'>,
    private readonly feed: ClientFeedHost,
    private readonly signal: AbortSignal,
  ) {}

  follows(topic: TopicHash): boolean {
    return this.topics.has(topic);
  }

  /** Nodes that a topic comes from. */
  attachedTo(topic: TopicHash): number {
    let count = 0;
    for (const { topics } of this.attachments.values()) if (topics.has(topic)) count += 1;
    return count;
  }

  /** Follow a topic. Resolves when as many nodes as can be had have agreed to serve it. */
  async follow(topic: TopicHash): Promise<void> {
    if (!this.topics.has(topic)) this.topics.set(topic, -Infinity);
    await this.search(topic);
  }

  /** Look for more nodes for a topic that has too few. */
  async search(topic: TopicHash): Promise<void> {
    const { clock, random, logger } = this.host;
    const last = this.topics.get(topic);
    const wanted = this.options.attachments - this.attachedTo(topic);
    if (last === undefined || wanted <= 0 || clock.now() - last < SEARCH_MS) return;
    this.topics.set(topic, clock.now());
    try {
      const { subscribers, closest } = await this.feed.find(topic);
      const candidates = [...shuffle(subscribers, random), ...closest];
      const tried = new Set<NodeId>();
      for (const contact of candidates) {
        if (this.attachedTo(topic) >= this.options.attachments || this.signal.aborted) return;
        if (!this.topics.has(topic) || tried.has(contact.nodeId)) continue;
        tried.add(contact.nodeId);
        await this.attach(contact, topic);
      }
    } catch (error) {
      logger.debug({ error: messageOf(error) }, 'no node was found that serves a topic');
    }
  }

  /** Follow a topic no longer. */
  unfollow(topic: TopicHash): void {
    this.topics.delete(topic);
    for (const attachment of this.attachments.values()) {
      if (attachment.topics.delete(topic)) attachment.change.abort();
    }
  }

  private async attach(contact: Contact, topic: TopicHash): Promise<void> {
    const there = this.attachments.get(contact.nodeId);
    if (there?.topics.has(topic) === true) return;
    const attachment = there ?? {
      contact,
      topics: new Set<TopicHash>(),
      after: 0,
      change: new AbortController(),
      running: false,
    };
    attachment.topics.add(topic);
    this.attachments.set(contact.nodeId, attachment);
    // The first request is not held: its answer says whether the node serves us.
    attachment.change.abort();
    try {
      await this.pull(attachment, 0);
      if (!attachment.running) void this.loop(attachment);
    } catch {
      attachment.topics.delete(topic);
      if (attachment.topics.size === 0) this.attachments.delete(contact.nodeId);
    }
  }

  private async loop(attachment: Attachment): Promise<void> {
    attachment.running = true;
    let failures = 0;
    while (attachment.topics.size > 0 && !this.signal.aborted) {
      attachment.change = new AbortController();
      const { change } = attachment;
      try {
        await this.pull(attachment, this.options.pullMs);
        failures = 0;
      } catch (error) {
        if (this.signal.aborted) break;
        if (change.signal.aborted) {
          await this.pause(50);
          continue;
        }
        failures += 1;
        if (failures >= 3) {
          this.host.logger.debug({ error: messageOf(error) }, 'a node serves us no longer');
          break;
        }
        await this.pause(jittered(500 * 2 ** failures, this.host.random));
      }
    }
    attachment.running = false;
    this.attachments.delete(attachment.contact.nodeId);
    if (this.signal.aborted) return;
    for (const topic of attachment.topics) if (this.follows(topic)) this.feed.short(topic);
  }

  private async pull(attachment: Attachment, waitMs: number): Promise<void> {
    const { contact, topics } = attachment;
    const params = { topics: [...topics], after: attachment.after, waitMs };
    const signal =
      waitMs === 0 ? this.signal : AbortSignal.any([this.signal, attachment.change.signal]);
    const timeoutMs = waitMs + this.options.callMs;
    const answer = await this.calls.call(contact, 'PUBSUB_PULL', params, { timeoutMs, signal });
    const publications = field(answer, 'publications');
    const list: unknown[] = Array.isArray(publications) ? publications : [];
    for (const wire of list.slice(0, MAX_PULLED)) this.feed.take(wire, contact);
    const seq = field(answer, 'seq');
    if (Number.isSafeInteger(seq) && (seq as number) >= 0) attachment.after = seq as number;
    const refused = field(answer, 'refused');
    if (!Array.isArray(refused)) return;
    for (const topic of refused as TopicHash[]) {
      if (topics.delete(topic) && waitMs > 0 && this.follows(topic)) this.feed.short(topic);
    }
    // A node that answers at once with nothing is not asked again and again at full speed.
    if (waitMs > 0 && list.length === 0) await this.pause(100);
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.host.clock.setTimeout(resolve as () => void, ms));
  }
}
