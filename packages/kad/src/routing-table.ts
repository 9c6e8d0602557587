import { hasRoomFor } from './address-group.js';
import type { Contact } from './contact.js';
import { type BucketEntry, KBucket } from './k-bucket.js';
import { ID_BITS, type NodeId, bucketIndex, compareDistance, differsInBit } from './node-id.js';

/** What a {@link RoutingTable} holds besides its k-buckets. */
export interface RoutingTableOptions {
  /**
   * Length of the sibling list (S/Kademlia, section 4.2): the closest nodes that we know are kept
   * even where their k-bucket is full. 0: none.
   */
  readonly siblings?: number;
  /** The most contacts of one address group in a k-bucket, and in the sibling list. */
  readonly perGroup?: number;
}

/** The k-buckets of a node and its sibling list. */
export class RoutingTable {
  private readonly buckets: (KBucket | undefined)[] = [];
  /** The closest nodes, closest first. Most of them are in a k-bucket, too. */
  private readonly siblingList: BucketEntry[] = [];
  /** Siblings that are in no k-bucket, until a k-bucket or the list changes. */
  private extra: readonly Contact[] | undefined;
  private readonly siblingCount: number;
  private readonly perGroup: number;

  constructor(
    private readonly own: NodeId,
    private readonly k: number,
    { siblings = 0, perGroup = Infinity }: RoutingTableOptions = {},
  ) {
    this.siblingCount = siblings;
    this.perGroup = perGroup;
  }

  /** Number of contacts. */
  get size(): number {
    let sum = this.extraSiblings.length;
    for (const bucket of this.buckets) sum += bucket?.contacts.length ?? 0;
    return sum;
  }

  /** The closest nodes that we know, closest first. */
  get siblings(): readonly BucketEntry[] {
    return this.siblingList;
  }

  /** The k-bucket at an index, if anything was ever in it. */
  bucket(index: number): KBucket | undefined {
    return this.buckets[index];
  }

  get(nodeId: NodeId): BucketEntry | undefined {
    return this.buckets[bucketIndex(this.own, nodeId)]?.get(nodeId) ?? this.sibling(nodeId);
  }

  /**
   * Take note that a contact answered us. See {@link KBucket.seen}. Ourselves and clients are left
   * out, and newcomers of an address group that has its share of the k-bucket already.
   */
  seen(contact: Contact, now: number): Contact | undefined {
    const index = bucketIndex(this.own, contact.nodeId);
    if (index < 0 || contact.addresses.length === 0) return undefined;
    const bucket = (this.buckets[index] ??= new KBucket(this.k));
    const known = bucket.get(contact.nodeId);
    if (known === undefined) this.extra = undefined;
    this.seeSibling(contact, now);
    if (known !== undefined && known.contact.addresses[0] === contact.addresses[0]) {
      return bucket.seen(contact, now);
    }
    if (!hasRoomFor(contact, bucket.contacts, this.perGroup)) {
      // One that moved into a crowded group gives up its place.
      if (known !== undefined && bucket.remove(contact.nodeId)) this.extra = undefined;
      return undefined;
    }
    const crowded = !hasRoomFor(contact, bucket.waiting, this.perGroup);
    if (crowded && bucket.contacts.length >= this.k) return undefined;
    return bucket.seen(contact, now);
  }

  /**
   * Whether a newcomer could have a place: its bucket has room, or its least recently seen contact
   * has been silent since `staleBefore` (milliseconds since the epoch) and may be gone; or it would
   * be a sibling.
   */
  wants(nodeId: NodeId, staleBefore: number): boolean {
    const bucket = this.buckets[bucketIndex(this.own, nodeId)];
    const oldest = bucket?.contacts[0];
    if (oldest === undefined || bucket!.contacts.length < this.k) return true;
    return oldest.lastSeen <= staleBefore || this.wouldBeSibling(nodeId);
  }

  /** Take out a contact that does not answer. */
  remove(nodeId: NodeId): boolean {
    const sibling = this.sibling(nodeId);
    if (sibling !== undefined) this.siblingList.splice(this.siblingList.indexOf(sibling), 1);
    const removed = this.buckets[bucketIndex(this.own, nodeId)]?.remove(nodeId) ?? false;
    this.extra = undefined;
    return removed || sibling !== undefined;
  }

  /** All contacts, those of the farthest k-bucket last. */
  contacts(): Contact[] {
    const all = [...this.extraSiblings];
    for (const bucket of this.buckets) {
      if (bucket !== undefined) for (const { contact } of bucket.contacts) all.push(contact);
    }
    return all;
  }

  /** The `count` contacts closest to a target, closest first. */
  closest(target: NodeId, count: number): Contact[] {
    const found: Contact[] = [];
    // The k-buckets are visited in the order of their distance from the target, so that only those
    // of one k-bucket have to be put in order at a time, and most k-buckets need no look at all.
    const index = bucketIndex(this.own, target);
    const { buckets } = this;
    const top = Math.min(index, buckets.length);
    // Whoever shares our k-bucket with the target is nearer to it than all others.
    if (index >= 0) this.take(index, target, found);
    // Below it, whoever differs from us in a bit in which the target does, too, is nearer to the
    // target than we are, and the higher the bit the more so; the others are farther, likewise.
    for (let i = top - 1; i >= 0 && found.length < count; i -= 1) {
      if (this.occupied(i) && differsInBit(this.own, target, i)) this.take(i, target, found);
    }
    for (let i = 0; i < top && found.length < count; i += 1) {
      if (this.occupied(i) && !differsInBit(this.own, target, i)) this.take(i, target, found);
    }
    for (let i = index + 1; i < buckets.length && found.length < count; i += 1) {
      this.take(i, target, found);
    }
    if (found.length > count) found.length = count;
    return found;
  }

  /** Add the contacts at one range of distances from us, in the order of their distance to a target. */
  private take(index: number, target: NodeId, found: Contact[]): void {
    const bucket = this.buckets[index];
    if (bucket === undefined) return;
    const part: Contact[] = [];
    for (const { contact } of bucket.contacts) part.push(contact);
    for (const contact of this.extraSiblings) {
      if (bucketIndex(this.own, contact.nodeId) === index) part.push(contact);
    }
    part.sort((a, b) => compareDistance(a.nodeId, b.nodeId, target));
    for (const contact of part) found.push(contact);
  }

  private occupied(index: number): boolean {
    return this.buckets[index] !== undefined;
  }

  /** Index of the bucket nearest to us that holds anyone; -1 when the table is empty. */
  lowestBucket(): number {
    for (let i = 0; i < ID_BITS; i += 1) {
      if ((this.buckets[i]?.contacts.length ?? 0) > 0) return i;
    }
    return -1;
  }

  private wouldBeSibling(nodeId: NodeId): boolean {
    if (this.siblingCount === 0) return false;
    const last = this.siblingList.at(-1);
    return (
      this.siblingList.length < this.siblingCount ||
      last === undefined ||
      compareDistance(nodeId, last.contact.nodeId, this.own) < 0
    );
  }

  private seeSibling(contact: Contact, now: number): void {
    if (!this.wouldBeSibling(contact.nodeId)) {
      if (this.siblingList.at(-1)?.contact.nodeId !== contact.nodeId) return;
    }
    const list = this.siblingList;
    const entry = this.sibling(contact.nodeId);
    if (entry !== undefined) {
      if (contact.sequence >= entry.contact.sequence) entry.contact = contact;
      entry.lastSeen = now;
      return;
    }
    if (!hasRoomFor(contact, list, this.perGroup)) return;
    let place = list.length;
    while (
      place > 0 &&
      compareDistance(contact.nodeId, list[place - 1]!.contact.nodeId, this.own) < 0
    ) {
      place -= 1;
    }
    list.splice(place, 0, { contact, lastSeen: now });
    if (list.length > this.siblingCount) list.pop();
  }

  private sibling(nodeId: NodeId): BucketEntry | undefined {
    const last = this.siblingList.at(-1);
    if (last === undefined || compareDistance(nodeId, last.contact.nodeId, this.own) > 0) {
      return undefined;
    }
    return this.siblingList.find(({ contact }) => contact.nodeId === nodeId);
  }

  /** Siblings that are in no k-bucket. */
  private get extraSiblings(): readonly Contact[] {
    if (this.extra !== undefined) return this.extra;
    const extra: Contact[] = [];
    for (const { contact } of this.siblingList) {
      const bucket = this.buckets[bucketIndex(this.own, contact.nodeId)];
      if (bucket?.get(contact.nodeId) === undefined) extra.push(contact);
    }
    return (this.extra = extra);
  }
}
