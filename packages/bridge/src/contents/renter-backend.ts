import { type Renter, RenterError } from '@granary/renter';
import type { JournalBackend, JournalEntry } from '../journal/journal-backend.js';
import { Slots } from './slots.js';
import { ContentGoneError, type ContentRange, type ObjectBackend } from './object-backend.js';

/** The renter's bucket that contents of the bridge are in. */
export const CONTENT_BUCKET = 'granary-bridge';

/** The renter's bucket that the journal of the bridge's metadata is in. */
export const JOURNAL_BUCKET = 'granary-bridge-journal';

/** Transfers at one time, in each direction: each holds some segments in memory. */
export const DEFAULT_TRANSFERS = 12;

/** Keeps contents as objects of a renter, each under its ID; and the journal, each part under its name. */
export class RenterBackend implements ObjectBackend, JournalBackend {
  private readonly puts: Slots;
  private readonly gets: Slots;

  /** @param transfers - how many at one time, in each direction; the others wait */
  constructor(
    private readonly renter: Renter,
    transfers = DEFAULT_TRANSFERS,
  ) {
    this.puts = new Slots(transfers);
    this.gets = new Slots(transfers);
  }

  async put(
    contentId: string,
    stream: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<{ size: number }> {
    const give = await this.puts.take(signal);
    try {
      const source = { kind: 'stream', stream } as const;
      const { manifest } = await this.renter.put(pathOf(contentId), source, { signal });
      return { size: manifest.size };
    } finally {
      give();
    }
  }

  async *get(
    contentId: string,
    { offset, length }: ContentRange,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const give = await this.gets.take(signal);
    try {
      yield* this.renter.get(pathOf(contentId), { offset, length, signal });
    } catch (error) {
      if (isNotFound(error)) throw new ContentGoneError(contentId);
      throw error;
    } finally {
      give();
    }
  }

  async delete(contentId: string, signal: AbortSignal): Promise<void> {
    try {
      await this.renter.delete(pathOf(contentId), { signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async putEntry(
    name: string,
    stream: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<void> {
    const path = { bucket: JOURNAL_BUCKET, name };
    const { indexFailure } = await this.renter.put(path, { kind: 'stream', stream }, { signal });
    // A journal that a recovery would not find is none.
    if (indexFailure !== null) throw new RenterError('RENTER_INDEX', indexFailure);
  }

  getEntry(name: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    return this.renter.get({ bucket: JOURNAL_BUCKET, name }, { signal });
  }

  async listEntries(): Promise<readonly JournalEntry[]> {
    const entries: JournalEntry[] = [];
    for await (const { name, size } of this.renter.list(JOURNAL_BUCKET)) {
      entries.push({ name, size });
    }
    return entries;
  }

  async deleteEntry(name: string, signal: AbortSignal): Promise<void> {
    try {
      await this.renter.delete({ bucket: JOURNAL_BUCKET, name }, { signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  async listContents(): Promise<readonly string[]> {
    const ids: string[] = [];
    for await (const { name } of this.renter.list(CONTENT_BUCKET)) {
      if (/^[0-9a-f]{32}$/.test(name)) ids.push(name);
    }
    return ids;
  }

  async ready(signal: AbortSignal): Promise<void> {
    await this.renter.join();
    signal.throwIfAborted();
  }
}

function pathOf(contentId: string): { bucket: string; name: string } {
  return { bucket: CONTENT_BUCKET, name: contentId };
}

function isNotFound(error: unknown): boolean {
  return error instanceof RenterError && error.code === 'RENTER_NOT_FOUND';
}
