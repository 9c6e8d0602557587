import type { Contact } from '../contact.js';
import type { NodeId } from '../node-id.js';
import type { TopicHash } from './topic.js';

/** The most IDs in one message. */
export const MAX_IDS = 512;

interface Waiting {
  contact: Contact;
  readonly topics: Map<TopicHash, Set<string>>;
  size: number;
}

/** IDs that are to be told to peers, of all topics together: one message for each peer. Bounded. */
export class HaveQueue {
  private readonly peers = new Map<NodeId, Waiting>();

  add(contact: Contact, topic: TopicHash, id: string): void {
    let waiting = this.peers.get(contact.nodeId);
    if (waiting === undefined) {
      this.peers.set(contact.nodeId, (waiting = { contact, topics: new Map(), size: 0 }));
    }
    if (waiting.size >= MAX_IDS) return;
    let ids = waiting.topics.get(topic);
    if (ids === undefined) waiting.topics.set(topic, (ids = new Set()));
    if (!ids.has(id)) waiting.size += 1;
    ids.add(id);
  }

  /** The peer knows it already: it need not be told. */
  remove(peer: NodeId, topic: TopicHash, id: string): void {
    const waiting = this.peers.get(peer);
    const ids = waiting?.topics.get(topic);
    if (waiting === undefined || ids === undefined || !ids.delete(id)) return;
    waiting.size -= 1;
    if (ids.size === 0) waiting.topics.delete(topic);
    if (waiting.size === 0) this.peers.delete(peer);
  }

  get isEmpty(): boolean {
    return this.peers.size === 0;
  }

  /** Everything that waits; nothing does afterwards. */
  take(): { contact: Contact; have: Record<TopicHash, string[]> }[] {
    const all = [...this.peers.values()].map(({ contact, topics }) => ({
      contact,
      have: Object.fromEntries([...topics].map(([topic, ids]) => [topic, [...ids]])),
    }));
    this.peers.clear();
    return all;
  }
}
