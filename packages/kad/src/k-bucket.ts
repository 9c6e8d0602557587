import type { Contact } from './contact.js';
import type { NodeId } from './node-id.js';

/** A contact that we have spoken to, and when last. */
export interface BucketEntry {
  contact: Contact;
  /** Milliseconds since the epoch. */
  lastSeen: number;
}

/**
 * Up to k contacts at one range of distances, least recently seen first, and a cache of
 * replacements for them (Kademlia, sections 2.2 and 4.1).
 */
export class KBucket {
  private readonly entries: BucketEntry[] = [];
  private readonly replacements: BucketEntry[] = [];

  /** @param k - the most contacts, and the most replacements */
  constructor(private readonly k: number) {}

  /** Contacts, least recently seen first. */
  get contacts(): readonly BucketEntry[] {
    return this.entries;
  }

  /** Contacts that wait for a place. */
  get waiting(): readonly BucketEntry[] {
    return this.replacements;
  }

  get(nodeId: NodeId): BucketEntry | undefined {
    return this.entries.find(({ contact }) => contact.nodeId === nodeId);
  }

  /**
   * Take note that a contact answered us.
   *
   * @returns the least recently seen contact when the bucket is full: the caller pings it, and
   * calls {@link KBucket.remove} when it does not answer
   */
  seen(contact: Contact, now: number): Contact | undefined {
    const known = this.entries.findIndex((entry) => entry.contact.nodeId === contact.nodeId);
    if (known >= 0) {
      const [entry] = this.entries.splice(known, 1);
      this.entries.push({ contact: newer(entry!.contact, contact), lastSeen: now });
      return undefined;
    }
    this.dropReplacement(contact.nodeId);
    if (this.entries.length < this.k) {
      this.entries.push({ contact, lastSeen: now });
      return undefined;
    }
    this.replacements.push({ contact, lastSeen: now });
    if (this.replacements.length > this.k) this.replacements.shift();
    return this.entries[0]!.contact;
  }

  /** Take out a contact that does not answer; the best replacement takes its place. */
  remove(nodeId: NodeId): boolean {
    this.dropReplacement(nodeId);
    const at = this.entries.findIndex(({ contact }) => contact.nodeId === nodeId);
    if (at < 0) return false;
    this.entries.splice(at, 1);
    const replacement = this.replacements.pop();
    // It joins as least recently seen: it has been quiet while the others were not.
    if (replacement !== undefined) this.entries.unshift(replacement);
    return true;
  }

  private dropReplacement(nodeId: NodeId): void {
    const at = this.replacements.findIndex(({ contact }) => contact.nodeId === nodeId);
    if (at >= 0) this.replacements.splice(at, 1);
  }
}

/** Of two contacts of one node, the one with the higher sequence number. */
function newer(a: Contact, b: Contact): Contact {
  return b.sequence >= a.sequence ? b : a;
}
