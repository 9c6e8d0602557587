import type { Clock, Logger, Random } from '@granary/kad';
import { errorText } from '../error-text.js';
import { LeasedRounds } from '../jobs/leased-rounds.js';
import type { JournalWriter } from '../journal/journal-writer.js';
import type { JournalStore } from '../metadata/journal-store.js';
import type { ContentStore, JobStore } from '../metadata/metadata-store.js';
import type { ObjectBackend } from './object-backend.js';

/** What a {@link ContentKeeper} is made of. */
export interface ContentKeeperParts {
  readonly metadata: ContentStore & JobStore & Pick<JournalStore, 'discardChanges'>;
  readonly backend: ObjectBackend;
  /**
   * Is brought up to date before anything is deleted, so that a recovery does not ask for it. Not given
   * where there is no journal in the network.
   */
  readonly journal?: Pick<JournalWriter, 'writeChanges'>;
  /** Between two rounds, in milliseconds. */
  readonly roundMs: number;
  /** How long a small body may wait in the database for others to go into the network with it. */
  readonly packMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** What a round did. */
export interface KeeperReport {
  /** Contents deleted from the network. */
  readonly deleted: number;
  /** Small bodies moved into the network. */
  readonly packed: number;
  /** Runs of bytes moved out of packs that were mostly gaps. */
  readonly moved: number;
}

/** The queue of its job. */
export const CONTENTS_QUEUE = 'contents';
/** Contents deleted in one go. */
const GARBAGE = 500;
/** Bodies packed at one time. */
const BATCH = 64;
/** Packs are written anew when less than this share of them is referred to still. */
const SPARSE = 0.5;
/** Runs of bytes moved out of a pack in one round. */
const MAX_MOVES = 1000;
/** A claim for as long as it takes to store a batch. */
const CLAIM_MS = 10 * 60 * 1000;

/**
 * Deletes contents that nothing refers to any more, and moves small bodies from the database into the
 * network, many in one content. Of contents that are mostly gaps, what is left moves. Of all bridges over one database one does so at a time.
 */
export class ContentKeeper {
  private readonly rounds: LeasedRounds;

  constructor(private readonly parts: ContentKeeperParts) {
    const { metadata, roundMs, clock, random, logger } = parts;
    this.rounds = new LeasedRounds({
      jobs: metadata,
      queue: CONTENTS_QUEUE,
      roundMs,
      round: async (signal) => {
        const report = await this.round(signal);
        if (report.deleted + report.packed + report.moved > 0) {
          logger.info(report, 'contents looked after');
        }
      },
      failure: 'contents were not looked after; trying again later',
      clock,
      random,
      logger,
    });
  }

  /** Go round until {@link ContentKeeper.stop}. */
  start(): void {
    this.rounds.start();
  }

  /** Stop, and wait until the round under way is given up. */
  stop(): Promise<void> {
    return this.rounds.stop();
  }

  /** One round now, whosever turn it is. */
  async round(signal: AbortSignal): Promise<KeeperReport> {
    const packed = await this.packBodies(signal);
    const moved = await this.fillGaps(signal);
    const deleted = await this.deleteGarbage(signal);
    const { journal, metadata } = this.parts;
    if (journal === undefined) await metadata.discardChanges();
    return { deleted, packed, moved };
  }

  private async deleteGarbage(signal: AbortSignal): Promise<number> {
    const { metadata, backend, journal, logger } = this.parts;
    let deleted = 0;
    for (;;) {
      const garbage = await metadata.garbageContents(GARBAGE);
      if (garbage.length > 0) await journal?.writeChanges(signal);
      const gone: string[] = [];
      for (const contentId of garbage) {
        signal.throwIfAborted();
        try {
          await backend.delete(contentId, signal);
          gone.push(contentId);
        } catch (error) {
          signal.throwIfAborted();
          logger.warn(
            { contentId, error: errorText(error) },
            'a content could not be deleted; trying again later',
          );
        }
      }
      await metadata.forgetContents(gone);
      deleted += gone.length;
      if (garbage.length < GARBAGE || gone.length === 0) return deleted;
    }
  }

  private async packBodies(signal: AbortSignal): Promise<number> {
    const { metadata, backend, clock, random, packMs } = this.parts;
    let packed = 0;
    for (;;) {
      signal.throwIfAborted();
      const bodies = await metadata.inlineBodies(BATCH, clock.now() - packMs);
      if (bodies.length === 0) return packed;
      const contentId = Buffer.from(random(16)).toString('hex');
      await metadata.beginContents([contentId], CLAIM_MS);
      try {
        let offset = 0;
        const placed = bodies.map(({ ref, bytes }) => {
          const extent = { contentId, offset, length: bytes.length };
          offset += bytes.length;
          return { ref, extent };
        });
        await backend.put(contentId, oneAfterAnother(bodies), signal);
        packed += await metadata.packBodies(contentId, placed);
      } catch (error) {
        await metadata.abandonContents([contentId]);
        throw error;
      }
      if (bodies.length < BATCH) return packed;
    }
  }

  /** What is left of packs that are mostly gaps is copied into new ones; the old ones become garbage. */
  private async fillGaps(signal: AbortSignal): Promise<number> {
    const { metadata, backend, random } = this.parts;
    let moved = 0;
    for (const old of await metadata.sparseContents(SPARSE, BATCH)) {
      signal.throwIfAborted();
      const runs = await metadata.extentsOf(old, MAX_MOVES);
      if (runs.length === 0) continue;
      const contentId = Buffer.from(random(16)).toString('hex');
      await metadata.beginContents([contentId], CLAIM_MS);
      try {
        let offset = 0;
        const moves = runs.map(({ ref, extent: from }) => {
          const to = { contentId, offset, length: from.length };
          offset += from.length;
          return { ref, from, to };
        });
        const bytes = async function* () {
          for (const { from } of moves) yield* backend.get(old, from, signal);
        };
        await backend.put(contentId, bytes(), signal);
        moved += await metadata.moveExtents(contentId, moves);
      } catch (error) {
        await metadata.abandonContents([contentId]);
        throw error;
      }
    }
    return moved;
  }
}

async function* oneAfterAnother(
  bodies: readonly { readonly bytes: Uint8Array }[],
): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  for (const { bytes } of bodies) yield bytes;
}
