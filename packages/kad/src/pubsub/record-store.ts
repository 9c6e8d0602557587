import { groupsOf } from '../address-group.js';
import { concatBytes, fromHex, toHex } from '../bytes.js';
import { LruMap } from '../lru-map.js';
import type { NodeId } from '../node-id.js';
import { type Random, randomFraction } from '../random.js';
import { sha256 } from '../sha256.js';
import type { SubscriptionRecord } from './subscription-record.js';
import type { TopicHash } from './topic.js';

/** The bounds of a {@link RecordStore}. */
export interface RecordStoreLimits {
  /** Records of one topic. */
  readonly perTopic: number;
  /** Topics: the least recently used go. */
  readonly topics: number;
  /** Records of one topic from one address group. */
  readonly perGroup: number;
  /** New topics that one node can make us keep in an hour. */
  readonly topicsPerNode: number;
  /** How long one draw of the sample is in force, in milliseconds. */
  readonly epochMs: number;
}

/** Limits that keep a node's records under some 50 MB. */
export const defaultRecordLimits: RecordStoreLimits = {
  perTopic: 40,
  topics: 1000,
  perGroup: 2,
  topicsPerNode: 64,
  epochMs: 60 * 60_000,
};

interface Entry {
  readonly record: SubscriptionRecord;
  readonly rank: string;
}

/**
 * What a rendezvous node keeps: of each topic a uniform sample of its subscribers, whatever their
 * number. Kept are the records whose salted hashes are lowest. The salt is this node's own secret and
 * changes with each epoch, so that nobody can make identities that are always in the sample.
 */
export class RecordStore {
  private readonly topics: LruMap<TopicHash, Map<NodeId, Entry>>;
  private readonly introduced = new LruMap<NodeId, { topics: number; since: number }>(10_000);
  private salt: Uint8Array;
  private salted: number;

  constructor(
    private readonly random: Random,
    now: number,
    private readonly limits: RecordStoreLimits = defaultRecordLimits,
  ) {
    this.topics = new LruMap(limits.topics);
    this.salt = random(16);
    this.salted = now;
  }

  /** Keep a record that has been checked; false when it is not in the sample, or over a limit. */
  add(record: SubscriptionRecord, now: number): boolean {
    this.turn(now);
    const { nodeId } = record.contact;
    const known = this.topics.get(record.topic);
    const entries = known ?? new Map<NodeId, Entry>();
    this.expire(entries, now);
    const rank = this.rank(record);
    const there = entries.get(nodeId);
    if (there !== undefined) {
      if (record.expires >= there.record.expires) entries.set(nodeId, { record, rank: there.rank });
      return true;
    }
    const rivals = [...entries.values()].filter(({ record: other }) => sharesGroup(other, record));
    if (rivals.length >= this.limits.perGroup) return false;
    if (entries.size >= this.limits.perTopic) {
      const last = [...entries.values()].reduce((a, b) => (a.rank > b.rank ? a : b));
      if (rank > last.rank) return false;
      entries.delete(last.record.contact.nodeId);
    }
    if (known === undefined) {
      if (!this.mayIntroduce(nodeId, now)) return false;
      this.topics.set(record.topic, entries);
    }
    entries.set(nodeId, { record, rank });
    return true;
  }

  remove(topic: TopicHash, nodeId: NodeId): void {
    this.topics.get(topic)?.delete(nodeId);
  }

  /** Some of a topic's records, each as likely as any other. */
  sample(topic: TopicHash, count: number, now: number): SubscriptionRecord[] {
    const entries = this.topics.get(topic);
    if (entries === undefined) return [];
    this.expire(entries, now);
    const left = [...entries.values()].map(({ record }) => record);
    const taken: SubscriptionRecord[] = [];
    while (taken.length < count && left.length > 0) {
      taken.push(left.splice(Math.floor(randomFraction(this.random) * left.length), 1)[0]!);
    }
    return taken;
  }

  /** Records of a topic. */
  count(topic: TopicHash): number {
    return this.topics.get(topic)?.size ?? 0;
  }

  private turn(now: number): void {
    if (now - this.salted < this.limits.epochMs) return;
    // Records that are there keep their rank; whoever comes from now on is drawn anew.
    this.salt = this.random(16);
    this.salted = now;
  }

  private rank({ topic, contact }: SubscriptionRecord): string {
    return toHex(sha256(concatBytes(this.salt, fromHex(topic), fromHex(contact.nodeId))));
  }

  private mayIntroduce(nodeId: NodeId, now: number): boolean {
    const last = this.introduced.get(nodeId);
    const current = last !== undefined && now - last.since < 3_600_000 ? last : undefined;
    const topics = (current?.topics ?? 0) + 1;
    if (topics > this.limits.topicsPerNode) return false;
    this.introduced.set(nodeId, { topics, since: current?.since ?? now });
    return true;
  }

  private expire(entries: Map<NodeId, Entry>, now: number): void {
    for (const [nodeId, { record }] of entries) {
      if (record.expires <= now) entries.delete(nodeId);
    }
  }
}

function sharesGroup(a: SubscriptionRecord, b: SubscriptionRecord): boolean {
  const groups = groupsOf(a.contact);
  return groupsOf(b.contact).some((group) => groups.includes(group));
}
