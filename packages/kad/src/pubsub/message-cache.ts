import type { Publication } from './publication.js';
import type { TopicHash } from './topic.js';

/** Recent publications, for those that missed them. Bounded by age, bytes and count. */
export class MessageCache {
  private readonly messages = new Map<string, { publication: Publication; at: number }>();
  private bytes = 0;

  constructor(private readonly limits: { keepMs: number; bytes: number; count: number }) {}

  add(publication: Publication, now: number): void {
    if (this.messages.has(publication.id)) return;
    this.messages.set(publication.id, { publication, at: now });
    this.bytes += cost(publication);
    this.expire(now);
  }

  get(id: string): Publication | undefined {
    return this.messages.get(id)?.publication;
  }

  /** IDs of a topic's publications that came since a moment, newest first, at most `limit`. */
  recent(topic: TopicHash, since: number, limit: number): string[] {
    const ids: string[] = [];
    for (const [id, { publication, at }] of this.messages) {
      if (at >= since && publication.topic === topic) ids.push(id);
    }
    return ids.reverse().slice(0, limit);
  }

  get size(): number {
    return this.messages.size;
  }

  expire(now: number): void {
    const { keepMs, bytes, count } = this.limits;
    for (const [id, { publication, at }] of this.messages) {
      const fits = this.bytes <= bytes && this.messages.size <= count;
      if (fits && now - at < keepMs) return;
      this.messages.delete(id);
      this.bytes -= cost(publication);
    }
  }
}

function cost({ payload }: Publication): number {
  // The payload is there twice: as bytes, and as base64.
  return 1024 + payload.length * 3;
}
