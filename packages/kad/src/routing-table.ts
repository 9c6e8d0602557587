import type { Contact } from './contact.js';
import { type BucketEntry, KBucket } from './k-bucket.js';
import { ID_BITS, type NodeId, bucketIndex, distance } from './node-id.js';

/** The k-buckets of a node. */
export class RoutingTable {
  private readonly buckets: (KBucket | undefined)[] = new Array<KBucket | undefined>(ID_BITS);

  constructor(
    private readonly own: NodeId,
    private readonly k: number,
  ) {}

  /** Number of contacts. */
  get size(): number {
    return this.buckets.reduce((sum, bucket) => sum + (bucket?.contacts.length ?? 0), 0);
  }

  /** The k-bucket at an index, if anything was ever in it. */
  bucket(index: number): KBucket | undefined {
    return this.buckets[index];
  }

  get(nodeId: NodeId): BucketEntry | undefined {
    return this.buckets[bucketIndex(this.own, nodeId)]?.get(nodeId);
  }

  /** Take note that a contact answered us. See {@link KBucket.seen}. Ourselves and clients are left out. */
  seen(contact: Contact, now: number): Contact | undefined {
    const index = bucketIndex(this.own, contact.nodeId);
    if (index < 0 || contact.addresses.length === 0) return undefined;
    return (this.buckets[index] ??= new KBucket(this.k)).seen(contact, now);
  }

  /**
   * Whether a newcomer could have a place: its bucket has room, or its least recently seen contact
   * has been silent since `staleBefore` (milliseconds since the epoch) and may be gone.
   */
  wants(nodeId: NodeId, staleBefore: number): boolean {
    const bucket = this.buckets[bucketIndex(this.own, nodeId)];
    const oldest = bucket?.contacts[0];
    if (oldest === undefined || bucket!.contacts.length < this.k) return true;
    return oldest.lastSeen <= staleBefore;
  }

  /** Take out a contact that does not answer. */
  remove(nodeId: NodeId): boolean {
    return this.buckets[bucketIndex(this.own, nodeId)]?.remove(nodeId) ?? false;
  }

  /** All contacts. */
  contacts(): Contact[] {
    return this.buckets.flatMap((bucket) => bucket?.contacts.map(({ contact }) => contact) ?? []);
  }

  /** The `count` contacts closest to a target, closest first. */
  closest(target: NodeId, count: number): Contact[] {
    return this.contacts()
      .map((contact) => ({ contact, distance: distance(contact.nodeId, target) }))
      .sort((a, b) => (a.distance < b.distance ? -1 : 1))
      .slice(0, count)
      .map(({ contact }) => contact);
  }

  /** Index of the bucket nearest to us that holds anyone; -1 when the table is empty. */
  lowestBucket(): number {
    return this.buckets.findIndex((bucket) => (bucket?.contacts.length ?? 0) > 0);
  }
}
