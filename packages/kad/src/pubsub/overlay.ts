import { hasRoomFor } from '../address-group.js';
import type { Contact } from '../contact.js';
import { field } from '../fields.js';
import type { NodeId } from '../node-id.js';
import type { Random } from '../random.js';
import { parseContacts } from '../rpc.js';
import { isSilence } from '../silence.js';
import { shuffle } from './pick.js';
import type { TopicHash } from './topic.js';

/** Contacts in one answer. */
export const MAX_NAMED = 8;
/** Candidates that are asked in one attempt to mend. */
const MAX_TRIES = 24;
/** Candidates that are asked at one time. */
const PARALLEL = 3;

/** A link to another subscriber: publications go over it as they come, or their IDs do. */
export interface Link {
  readonly contact: Contact;
  eager: boolean;
}

/** What an {@link Overlay} needs. */
export interface OverlayHost {
  readonly topic: TopicHash;
  readonly own: NodeId;
  readonly random: Random;
  readonly links: number;
  readonly maxLinks: number;
  readonly passive: number;
  /** Links to one address group. */
  readonly perGroup: number;
  call(to: Contact, method: string, params: unknown): Promise<unknown>;
  /** Whether a peer may be linked with. */
  admits(peer: NodeId): boolean;
  /** IDs of what came of late, so that a new neighbour sees what it missed. */
  recent(): string[];
  /** A neighbour has these. */
  has(neighbour: Contact, ids: unknown): void;
}

/**
 * Who among the subscribers of a topic talks to whom, in the manner of HyParView (Leitão, Pereira and
 * Rodrigues 2007): a few links that both ends know of, and more contacts for when one breaks.
 */
export class Overlay {
  private readonly active = new Map<NodeId, Link>();
  private readonly passive = new Map<NodeId, Contact>();
  private mending: Promise<void> | undefined;
  private closed = false;

  constructor(private readonly host: OverlayHost) {}

  /** The links, as they are now. */
  links(): Link[] {
    return [...this.active.values()];
  }

  link(peer: NodeId): Link | undefined {
    return this.active.get(peer);
  }

  get size(): number {
    return this.active.size;
  }

  /** Whether there are fewer links than there should be. */
  get isShort(): boolean {
    return this.active.size < this.host.links;
  }

  /** Remember another subscriber. */
  know(contact: Contact): void {
    const { own, passive, random } = this.host;
    const { nodeId } = contact;
    if (nodeId === own || contact.addresses.length === 0 || this.active.has(nodeId)) return;
    this.passive.set(nodeId, contact);
    if (this.passive.size <= passive) return;
    const [victim] = shuffle([...this.passive.keys()], random);
    this.passive.delete(victim!);
  }

  /** Other subscribers that we know of, for somebody who looks for some. */
  sample(except: NodeId): Contact[] {
    const known = [...this.links().map(({ contact }) => contact), ...this.passive.values()];
    return shuffle(
      known.filter(({ nodeId }) => nodeId !== except),
      this.host.random,
    ).slice(0, MAX_NAMED);
  }

  get knownOthers(): number {
    return this.passive.size;
  }

  /** Make links until there are enough, with those named and those remembered. */
  mend(candidates: readonly Contact[] = []): Promise<void> {
    for (const contact of candidates) this.know(contact);
    this.mending ??= this.tryCandidates().finally(() => (this.mending = undefined));
    return this.mending;
  }

  /** Somebody asks for a link. `needy`: it has none. The answer goes back as it is. */
  onNeighbour(contact: Contact, needy: boolean): { accepted: boolean } {
    const accepted = this.accepts(contact, needy);
    if (accepted) this.connect(contact);
    else this.know(contact);
    return { accepted };
  }

  /** A link is over, since one end left the topic or made room for others. */
  disconnect(peer: NodeId, remember: boolean): boolean {
    const link = this.active.get(peer);
    if (link === undefined) return false;
    this.active.delete(peer);
    if (remember) this.know(link.contact);
    return true;
  }

  /** A peer is gone: it is no candidate any more. */
  lost(peer: NodeId): boolean {
    this.passive.delete(peer);
    return this.disconnect(peer, false);
  }

  /** Leave the topic: the neighbours are told of each other, so that no hole is left. */
  async leave(): Promise<void> {
    this.closed = true;
    const links = this.links();
    this.active.clear();
    await Promise.allSettled(
      links.map(({ contact }) =>
        this.host.call(contact, 'PUBSUB_LEAVE', {
          topic: this.host.topic,
          contacts: links.map((link) => link.contact).filter((other) => other !== contact),
        }),
      ),
    );
  }

  private accepts(contact: Contact, needy: boolean): boolean {
    const { host } = this;
    if (this.closed || contact.nodeId === host.own || contact.addresses.length === 0) return false;
    if (this.active.has(contact.nodeId)) return true;
    if (!host.admits(contact.nodeId)) return false;
    if (!hasRoomFor(contact, this.links(), host.perGroup)) return false;
    if (this.active.size < host.maxLinks) return true;
    if (!needy) return false;
    // Whoever has nobody gets a place, and somebody else looks for another.
    const [victim] = shuffle(this.links(), host.random);
    this.disconnect(victim!.contact.nodeId, true);
    const params = { topic: host.topic, contacts: this.sample(victim!.contact.nodeId) };
    host.call(victim!.contact, 'PUBSUB_LEAVE', params).catch(() => undefined);
    return true;
  }

  private connect(contact: Contact): void {
    this.passive.delete(contact.nodeId);
    const { eager = true } = this.active.get(contact.nodeId) ?? {};
    this.active.set(contact.nodeId, { contact, eager });
  }

  private async tryCandidates(): Promise<void> {
    const { host } = this;
    const tried = new Set<NodeId>([host.own]);
    const waiting = shuffle([...this.passive.values()], host.random);
    const work = async () => {
      while (this.isShort && !this.closed && tried.size <= MAX_TRIES) {
        const contact = waiting.pop();
        if (contact === undefined) return;
        const { nodeId } = contact;
        if (tried.has(nodeId) || this.active.has(nodeId) || !host.admits(nodeId)) continue;
        if (!hasRoomFor(contact, this.links(), host.perGroup)) continue;
        tried.add(nodeId);
        for (const named of await this.ask(contact)) {
          this.know(named);
          if (!tried.has(named.nodeId)) waiting.unshift(named);
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
  }

  /** Ask for a link; whom the other knows. */
  private async ask(contact: Contact): Promise<Contact[]> {
    const { host } = this;
    const needy = this.active.size === 0;
    try {
      const params = { topic: host.topic, needy, have: host.recent() };
      const answer = await host.call(contact, 'PUBSUB_NEIGHBOUR', params);
      const named = parseContacts(field(answer, 'contacts'), MAX_NAMED);
      if (field(answer, 'accepted') === true && !this.closed) {
        this.connect(contact);
        host.has(contact, field(answer, 'have'));
      } else if (field(answer, 'subscribed') === false) {
        this.passive.delete(contact.nodeId);
      }
      return named.filter(({ addresses }) => addresses.length > 0);
    } catch (error) {
      if (isSilence(error)) this.passive.delete(contact.nodeId);
      return [];
    }
  }
}
