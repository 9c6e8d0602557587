import { indexLines } from './index-format.js';
import type { RenterStore } from './renter-store.js';

/**
 * The index's lines for what changed after a log entry, each in JSON. They are kept from one
 * publication to the next, so that each reads only what is new; of what changed more than once
 * they tell more than once, the last time as it is.
 */
export class RecentLines {
  private kept: Kept | undefined;

  /**
   * @param limit - the most characters of all lines together
   */
  constructor(
    private readonly store: RenterStore,
    private readonly limit: number,
  ) {}

  /**
   * Lines for all that changed after log entry `from` up to `to`; for everything when `from` is 0.
   *
   * @param published - the last entry that a root record in the network covers: the log may have
   * forgotten those up to it
   * @returns undefined when there are more than the limit, or when those kept are of other entries:
   * then ask a new one
   */
  async upTo(from: number, published: number, to: number): Promise<readonly string[] | undefined> {
    const { kept } = this;
    if (kept !== undefined && (kept.from !== from || kept.to < published || kept.to > to)) {
      return undefined;
    }
    const texts = [...(kept?.texts ?? [])];
    let size = kept?.size ?? 0;
    if (kept?.to !== to) {
      for await (const line of indexLines(this.store, kept?.to ?? from, to)) {
        const text = JSON.stringify(line);
        texts.push(text);
        size += text.length;
        if (size > this.limit) return undefined;
      }
    }
    this.kept = { from, to, texts, size };
    return texts;
  }
}

interface Kept {
  /** The log entry before the first of the lines, and the last one of them. */
  readonly from: number;
  readonly to: number;
  readonly texts: readonly string[];
  /** Characters. */
  readonly size: number;
}
