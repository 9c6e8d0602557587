import type { Clock } from '../clock.js';
import type { Contact } from '../contact.js';
import { KadError } from '../errors.js';
import { field } from '../fields.js';
import { type NodeId, isNodeId } from '../node-id.js';
import type { Publication, PublicationWire } from './publication.js';
import type { TopicHash } from './topic.js';

/** Topics that one client may follow at one node. */
const MAX_CLIENT_TOPICS = 32;
/** Publications that wait for one client. */
const MAX_QUEUE = 128;
/** Bytes of payload that wait for one client. */
const MAX_QUEUE_BYTES = 512 * 1024;
/** Bytes of payload in one answer: with base64 and envelope well under the largest message. */
const MAX_ANSWER_BYTES = 128 * 1024;
/** A client that did not ask for so long is forgotten, in milliseconds. */
const FORGET_MS = 60_000;

interface Client {
  topics: Set<TopicHash>;
  readonly queue: { seq: number; publication: Publication }[];
  bytes: number;
  nextSeq: number;
  dropped: number;
  lastAsked: number;
  /** Ends the request that is held, if one is. */
  wake: (() => void) | undefined;
}

/** An answer to PUBSUB_PULL. */
export interface PullAnswer {
  readonly publications: PublicationWire[];
  /** To be sent back with the next request: what came up to here has arrived. */
  readonly seq: number;
  /** Publications that the client was too slow for, so far. */
  readonly dropped: number;
  /** Topics that this node does not follow for the client. */
  readonly refused: TopicHash[];
}

/** What a {@link PullDesk} needs. */
export interface PullDeskHost {
  readonly clock: Clock;
  readonly clients: number;
  readonly pullMs: number;
  /** Follow a topic for clients; false when there is no room for it. */
  follow(topic: TopicHash): boolean;
}

/**
 * Serves nodes that cannot be reached: they ask, and the request is held until there is something.
 * What was sent is kept until the client says that it came. Bounded for each client and for all.
 */
export class PullDesk {
  private readonly clients = new Map<NodeId, Client>();

  constructor(private readonly host: PullDeskHost) {}

  get size(): number {
    return this.clients.size;
  }

  /** Whether any client follows a topic. */
  serves(topic: TopicHash): boolean {
    for (const { topics } of this.clients.values()) if (topics.has(topic)) return true;
    return false;
  }

  /** A publication is new: it waits for the clients of its topic. */
  offer(publication: Publication): void {
    for (const client of this.clients.values()) {
      if (!client.topics.has(publication.topic)) continue;
      client.queue.push({ seq: client.nextSeq, publication });
      client.nextSeq += 1;
      client.bytes += publication.payload.length;
      while (client.queue.length > MAX_QUEUE || client.bytes > MAX_QUEUE_BYTES) {
        client.bytes -= client.queue.shift()!.publication.payload.length;
        client.dropped += 1;
      }
      client.wake?.();
    }
  }

  /**
   * Answer PUBSUB_PULL.
   *
   * @throws KadError KAD_BAD_PARAMETERS; KAD_BUSY when there are too many clients.
   */
  async pull(params: unknown, sender: Contact, signal: AbortSignal): Promise<PullAnswer> {
    const { topics, after, waitMs } = parsePull(params);
    const { clock } = this.host;
    this.expire();
    const client = this.client(sender.nodeId, after);
    client.lastAsked = clock.now();
    const refused: TopicHash[] = [];
    const followed = new Set<TopicHash>();
    for (const topic of topics) {
      if (client.topics.has(topic) || this.host.follow(topic)) followed.add(topic);
      else refused.push(topic);
    }
    client.topics = followed;
    while (client.queue.length > 0 && client.queue[0]!.seq <= after) {
      client.bytes -= client.queue.shift()!.publication.payload.length;
    }
    // A newer request of the same client takes the place of the one that is held.
    client.wake?.();
    const hold = Math.min(waitMs, this.host.pullMs);
    if (client.queue.length === 0 && hold > 0 && followed.size > 0) {
      await this.held(client, hold, signal);
    }
    client.lastAsked = clock.now();
    const publications: PublicationWire[] = [];
    let seq = after;
    let bytes = 0;
    for (const entry of client.queue) {
      bytes += entry.publication.payload.length;
      if (publications.length > 0 && bytes > MAX_ANSWER_BYTES) break;
      publications.push(entry.publication.wire);
      seq = entry.seq;
    }
    return { publications, seq, dropped: client.dropped, refused };
  }

  /** Forget clients that do not ask any more. */
  expire(): void {
    const old = this.host.clock.now() - FORGET_MS;
    for (const [nodeId, { lastAsked, wake }] of this.clients) {
      if (lastAsked < old && wake === undefined) this.clients.delete(nodeId);
    }
  }

  /** Let everybody go. */
  close(): void {
    for (const { wake } of this.clients.values()) wake?.();
    this.clients.clear();
  }

  private held(client: Client, ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        this.host.clock.clearTimeout(timer);
        signal.removeEventListener('abort', end);
        if (client.wake === end) client.wake = undefined;
        resolve();
      };
      const timer = this.host.clock.setTimeout(end, ms);
      client.wake = end;
      signal.addEventListener('abort', end, { once: true });
    });
  }

  private client(nodeId: NodeId, after: number): Client {
    const there = this.clients.get(nodeId);
    if (there !== undefined) return there;
    if (this.clients.size >= this.host.clients) {
      throw new KadError('KAD_BUSY', 'this node serves as many clients as it can: ask another');
    }
    const client: Client = {
      topics: new Set(),
      queue: [],
      bytes: 0,
      // A client that we forgot, or knew before a restart, counts on from where it was.
      nextSeq: after + 1,
      dropped: 0,
      lastAsked: this.host.clock.now(),
      wake: undefined,
    };
    this.clients.set(nodeId, client);
    return client;
  }
}

function parsePull(params: unknown): { topics: TopicHash[]; after: number; waitMs: number } {
  const topics = field(params, 'topics');
  const after = field(params, 'after');
  const waitMs = field(params, 'waitMs');
  if (!Array.isArray(topics) || topics.length > MAX_CLIENT_TOPICS || !topics.every(isNodeId)) {
    throw new KadError('KAD_BAD_PARAMETERS', `topics is not a list of ${MAX_CLIENT_TOPICS} hashes`);
  }
  if (!Number.isSafeInteger(after) || (after as number) < 0) {
    throw new KadError('KAD_BAD_PARAMETERS', 'after is not a sequence number');
  }
  if (typeof waitMs !== 'number' || !(waitMs >= 0)) {
    throw new KadError('KAD_BAD_PARAMETERS', 'waitMs is not a number of milliseconds');
  }
  return { topics: [...new Set(topics)], after: after as number, waitMs };
}
