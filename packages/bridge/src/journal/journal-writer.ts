import type { Clock, Logger, Random } from '@granary/kad';
import { LeasedRounds } from '../jobs/leased-rounds.js';
import type { JournalLine } from '../metadata/journal-tables.js';
import type { MetadataStore } from '../metadata/metadata-store.js';
import type { JournalBackend } from './journal-backend.js';
import { type JournalHead, packPart, unpackPart } from './journal-file.js';
import { type JournalState, type StoredPart, nameOf, stateOf } from './journal-name.js';

/** The queue of its job. */
export const JOURNAL_QUEUE = 'journal';

/** What a {@link JournalWriter} is made of. */
export interface JournalWriterParts {
  readonly metadata: MetadataStore;
  readonly backend: JournalBackend;
  /** Between two rounds, in milliseconds: what is younger dies with the database. */
  readonly roundMs: number;
  /** When there are so many parts with changes, some are merged. Default 16. */
  readonly maxParts?: number;
  /** A snapshot is made when changes have outgrown the last one and these bytes. Default 4 MiB. */
  readonly minSnapshotBytes?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** A part is merged with newer ones that together have at least this share of it. */
const MERGE_FACTOR = 4;

/**
 * Keeps what the database knows (names, versions, settings, users, and bytes that are not packed yet)
 * in the network, so that the keys alone bring it back: a snapshot of all rows, and after it the rows that
 * changed, every few seconds. Changes are merged as they grow, and a new snapshot takes the place of
 * all when they have outgrown the last: what is written in the long run is a small multiple of what changes.
 */
export class JournalWriter {
  private readonly rounds: LeasedRounds;
  private begun = false;

  constructor(private readonly parts: JournalWriterParts) {
    const { metadata, roundMs, clock, random, logger } = parts;
    this.rounds = new LeasedRounds({
      jobs: metadata,
      queue: JOURNAL_QUEUE,
      roundMs,
      round: (signal) => this.round(signal),
      failure: 'the journal was not written: what changed since would not survive the database',
      clock,
      random,
      logger,
    });
  }

  /** Go round until {@link JournalWriter.stop}. */
  start(): void {
    this.rounds.start();
  }

  /** Stop, and wait until the round under way is given up. */
  stop(): Promise<void> {
    return this.rounds.stop();
  }

  /** Write all changes, and keep the parts few. Only one may do so at a time. */
  async round(signal: AbortSignal): Promise<void> {
    const { metadata, backend, maxParts = 16, minSnapshotBytes = 4 * 1024 * 1024 } = this.parts;
    if (!(await metadata.hasChanges())) return;
    await this.begin();
    let state = await this.state();
    const first = await metadata.firstSnapshot();
    if (state.snapshot === undefined || state.snapshot.number < first) {
      await this.writeSnapshot(signal);
    }
    await this.writeChanges(signal);
    state = await this.state();
    const bytes = state.changes.reduce((sum, { size }) => sum + size, 0);
    if (bytes > Math.max(minSnapshotBytes, state.snapshot?.size ?? 0)) {
      await this.writeSnapshot(signal);
    } else if (state.changes.length >= maxParts) await this.merge(state, signal);
    for (const { name } of (await this.state()).superseded) await backend.deleteEntry(name, signal);
  }

  /**
   * Write all changes that have been committed by now. Any number of processes may do so at one time:
   * each has a number of its own, and what it reads is at least as new as what lower numbers read.
   */
  async writeChanges(signal: AbortSignal): Promise<void> {
    const { metadata, backend } = this.parts;
    await this.begin();
    for (let more = await metadata.hasChanges(); more;) {
      signal.throwIfAborted();
      const changes = await metadata.readChanges();
      const { number, lines, ids } = changes;
      if (ids.length === 0) return;
      const name = nameOf(await metadata.journalName(), {
        kind: 'changes',
        from: number,
        to: number,
      });
      await backend.putEntry(name, packPart(this.head(), lines), signal);
      await metadata.forgetChanges(ids);
      ({ more } = changes);
    }
  }

  /** Numbers go on behind those in the network, though the database may be an old copy. */
  private async begin(): Promise<void> {
    if (this.begun) return;
    await this.parts.metadata.passNumber((await this.state()).highest);
    this.begun = true;
  }

  private async state(): Promise<JournalState> {
    const { metadata, backend } = this.parts;
    return stateOf(await metadata.journalName(), await backend.listEntries());
  }

  private async writeSnapshot(signal: AbortSignal): Promise<void> {
    const { metadata, backend } = this.parts;
    const number = await metadata.beginSnapshot();
    const name = nameOf(await metadata.journalName(), { kind: 'snapshot', number });
    await backend.putEntry(name, packPart(this.head(), metadata.snapshotLines()), signal);
  }

  /** Make one part of the newest ones that are not much smaller than what came before them. */
  private async merge({ changes }: JournalState, signal: AbortSignal): Promise<void> {
    const { metadata, backend } = this.parts;
    const merged = [...changes].reverse();
    let [count, size] = [0, 0];
    for (const part of merged) {
      if (count > 1 && part.size > MERGE_FACTOR * size) break;
      count += 1;
      size += part.size;
    }
    const some = merged.slice(0, count).reverse();
    const name = nameOf(await metadata.journalName(), {
      kind: 'changes',
      from: some[0]!.from,
      to: some.at(-1)!.to,
    });
    await backend.putEntry(name, packPart(this.head(), this.linesOf(some, signal)), signal);
  }

  private async *linesOf(
    parts: readonly StoredPart[],
    signal: AbortSignal,
  ): AsyncGenerator<JournalLine> {
    for (const { name } of parts) {
      for await (const line of unpackPart(this.parts.backend.getEntry(name, signal))) {
        if ('table' in line) yield line;
      }
    }
  }

  private head(): JournalHead {
    const { metadata, clock } = this.parts;
    return { version: 1, written: clock.now(), proof: metadata.sealProof() };
  }
}
