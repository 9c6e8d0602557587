import type { Contact } from '../contact.js';
import type { NodeId } from '../node-id.js';

/** IDs that are waited for; those of one peer are at most a quarter. */
const MAX_MISSING = 2048;
/** Peers that are remembered to have one publication. */
const MAX_SOURCES = 4;

interface Entry {
  readonly sources: Contact[];
  /** Who named it first: it counts against this peer. */
  readonly first: NodeId;
  due: number;
  asked: boolean;
}

/** Publications that we heard of and do not have (section 3.6 of the Plumtree paper). Bounded. */
export class Missing {
  private readonly entries = new Map<string, Entry>();
  private readonly perPeer = new Map<NodeId, number>();

  /** @param due - when to ask for it, unless it comes by itself */
  heard(id: string, from: Contact, due: number): void {
    const entry = this.entries.get(id);
    if (entry !== undefined) {
      const there = entry.sources.some(({ nodeId }) => nodeId === from.nodeId);
      if (!there && entry.sources.length < MAX_SOURCES) entry.sources.push(from);
      return;
    }
    const mine = this.perPeer.get(from.nodeId) ?? 0;
    if (this.entries.size >= MAX_MISSING || mine >= MAX_MISSING / 4) return;
    this.perPeer.set(from.nodeId, mine + 1);
    this.entries.set(id, { sources: [from], first: from.nodeId, due, asked: false });
  }

  /** It is here, or nobody need look for it any more. */
  settle(id: string): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    this.entries.delete(id);
    const left = (this.perPeer.get(entry.first) ?? 1) - 1;
    if (left > 0) this.perPeer.set(entry.first, left);
    else this.perPeer.delete(entry.first);
  }

  has(id: string): boolean {
    return this.entries.has(id);
  }

  get size(): number {
    return this.entries.size;
  }

  /** When the next one is due; undefined when there is none. */
  nextDue(): number | undefined {
    let next: number | undefined;
    for (const { due, asked } of this.entries.values()) {
      if (!asked && (next === undefined || due < next)) next = due;
    }
    return next;
  }

  /** What is due, by the peer that is to be asked; each ID is with its first source. */
  take(now: number, limit: number): { contact: Contact; ids: string[] }[] {
    const asks = new Map<NodeId, { contact: Contact; ids: string[] }>();
    for (const [id, entry] of this.entries) {
      const contact = entry.sources[0];
      if (entry.asked || entry.due > now || contact === undefined) continue;
      let ask = asks.get(contact.nodeId);
      if (ask === undefined) asks.set(contact.nodeId, (ask = { contact, ids: [] }));
      if (ask.ids.length >= limit) continue;
      ask.ids.push(id);
      entry.asked = true;
    }
    return [...asks.values()];
  }

  /** It did not come: ask the next source at once, or the same one again when `again` is set. */
  failed(id: string, now: number, again = false): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    if (!again) entry.sources.shift();
    if (entry.sources.length === 0) return this.settle(id);
    entry.asked = false;
    entry.due = now;
  }
}
