import type { Contact } from '../contact.js';
import { field } from '../fields.js';
import { type NodeId, isNodeId } from '../node-id.js';
import { isSilence } from '../silence.js';
import { MAX_IDS } from './have-queue.js';
import { Missing } from './missing.js';
import { type Link, Overlay, type OverlayHost } from './overlay.js';
import type { Publication } from './publication.js';

/** Publications asked for in one message. */
export const MAX_GRAFTED = 32;

/** What a {@link TopicMesh} needs, besides what its overlay does. */
export interface MeshHost extends Omit<OverlayHost, 'has'> {
  readonly graftMs: number;
  now(): number;
  after(ms: number, run: () => void): void;
  /** Whether another call to a peer may go out now. */
  isFree(peer: NodeId): boolean;
  /** Whether a publication was seen. */
  seen(id: string): boolean;
  /** Tell a peer by and by that we have a publication. */
  tell(contact: Contact, id: string): void;
  /** It knows already. */
  untell(peer: NodeId, id: string): void;
  /** Take a publication that was asked for. */
  take(wire: unknown, from: Contact): void;
  /** A peer did not give what it said that it had. */
  brokeItsWord(peer: NodeId): void;
  /** A link is gone: somebody should look for another. */
  broken(): void;
}

/**
 * How publications of a topic travel among its subscribers: Plumtree (Leitão, Pereira and Rodrigues
 * 2007, "Epidemic broadcast trees"). Publications are pushed along a tree; over the other links go
 * their IDs, by which a hole in the tree is found and mended. An answer to a push says whether it
 * was a duplicate, which is the paper's PRUNE; the answer to a GRAFT bears what was missing.
 */
export class TopicMesh {
  readonly overlay: Overlay;
  private readonly missing = new Missing();
  private timed: number | undefined;
  private left = false;

  constructor(private readonly host: MeshHost) {
    this.overlay = new Overlay({
      ...host,
      has: (neighbour, ids) => this.onHave(neighbour, ids),
    });
  }

  /** Whether anything is waited for. */
  get waitsFor(): number {
    return this.missing.size;
  }

  /**
   * Send on a publication that is new here.
   *
   * @param from - who gave it to us
   * @returns neighbours that have taken it
   */
  async spread(publication: Publication, from?: NodeId): Promise<number> {
    this.missing.settle(publication.id);
    const pushed: Promise<boolean>[] = [];
    for (const link of this.overlay.links()) {
      const peer = link.contact.nodeId;
      if (peer === from) continue;
      if (link.eager && this.host.isFree(peer)) pushed.push(this.push(link, publication));
      else this.host.tell(link.contact, publication.id);
    }
    return (await Promise.all(pushed)).filter((taken) => taken).length;
  }

  /** A neighbour pushed what we had. */
  onDuplicate(peer: NodeId, id: string): void {
    const link = this.overlay.link(peer);
    if (link !== undefined) link.eager = false;
    this.host.untell(peer, id);
  }

  /** A neighbour names what it has. */
  onHave(neighbour: Contact, ids: unknown): void {
    if (!Array.isArray(ids)) return;
    const { host } = this;
    for (const id of (ids as unknown[]).slice(0, MAX_IDS)) {
      if (!isNodeId(id)) continue;
      host.untell(neighbour.nodeId, id);
      if (!host.seen(id)) this.missing.heard(id, neighbour, host.now() + host.graftMs);
    }
    this.arm();
  }

  /** A neighbour asks for what we named: from now on it gets everything from us. */
  onGraft(peer: NodeId): void {
    const link = this.overlay.link(peer);
    if (link !== undefined) link.eager = true;
  }

  /** A peer did not answer. */
  lost(peer: NodeId): void {
    if (this.overlay.lost(peer)) this.host.broken();
  }

  async leave(): Promise<void> {
    this.left = true;
    await this.overlay.leave();
  }

  private async push(link: Link, publication: Publication): Promise<boolean> {
    const { contact } = link;
    try {
      const params = { publication: publication.wire };
      const answer = await this.host.call(contact, 'PUBSUB_PUSH', params);
      const linked = field(answer, 'linked') === true;
      if (!linked && this.overlay.disconnect(contact.nodeId, true)) this.host.broken();
      if (field(answer, 'seen') === true) link.eager = false;
      return field(answer, 'subscribed') === true;
    } catch (error) {
      if (isSilence(error)) {
        this.lost(contact.nodeId);
      } else {
        // It is there and takes nothing now: it is told, and asks when it can.
        link.eager = false;
        this.host.tell(contact, publication.id);
      }
      return false;
    }
  }

  /** See to it that what is missing is asked for in time. */
  private arm(): void {
    const due = this.missing.nextDue();
    if (due === undefined || this.left) return;
    if (this.timed !== undefined && this.timed <= due) return;
    this.timed = due;
    this.host.after(Math.max(0, due - this.host.now()), () => {
      if (this.timed !== due) return;
      this.timed = undefined;
      for (const { contact, ids } of this.missing.take(this.host.now(), MAX_GRAFTED)) {
        void this.graft(contact, ids);
      }
      this.arm();
    });
  }

  private async graft(contact: Contact, ids: string[]): Promise<void> {
    const { host, missing, overlay } = this;
    const wanted = ids.filter((id) => !host.seen(id));
    for (const id of ids) if (!wanted.includes(id)) missing.settle(id);
    if (wanted.length === 0) return;
    try {
      const params = { topic: host.topic, ids: wanted };
      const answer = await host.call(contact, 'PUBSUB_GRAFT', params);
      const publications = field(answer, 'publications');
      const list: unknown[] = Array.isArray(publications) ? publications : [];
      for (const wire of list.slice(0, wanted.length)) host.take(wire, contact);
      const later = field(answer, 'later');
      const got = wanted.filter((id) => host.seen(id));
      for (const id of got) missing.settle(id);
      const link = overlay.link(contact.nodeId);
      if (link !== undefined && got.length > 0) link.eager = true;
      for (const id of wanted) {
        if (!missing.has(id)) continue;
        // It would not all go into one answer; asked again only while something comes.
        const again = got.length > 0 && Array.isArray(later) && later.includes(id);
        if (!again) host.brokeItsWord(contact.nodeId);
        missing.failed(id, host.now(), again);
      }
    } catch (error) {
      for (const id of wanted) missing.failed(id, host.now());
      if (isSilence(error)) this.lost(contact.nodeId);
    }
    this.arm();
  }
}
