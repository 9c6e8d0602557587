import type { Clock, Logger, Random } from '@granary/kad';
import { randomFraction } from '@granary/kad';
import { errorText } from '../error-text.js';
import type { ContentStore, JobStore } from '../metadata/metadata-store.js';
import type { Job } from '../metadata/records.js';
import type { ObjectBackend } from './object-backend.js';

/** What a {@link ContentKeeper} is made of. */
export interface ContentKeeperParts {
  readonly metadata: ContentStore & JobStore;
  readonly backend: ObjectBackend;
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
}

/** The queue of its job. */
export const CONTENTS_QUEUE = 'contents';
const JOB = 'keep';
/** How long a process that does the round is waited for when it says nothing. */
const LEASE_MS = 60_000;
/** Contents deleted, and bodies packed, at one time. */
const BATCH = 64;
/** A claim for as long as it takes to store a batch. */
const CLAIM_MS = 10 * 60 * 1000;

/**
 * Deletes contents that nothing refers to any more, and moves small bodies from the database into the
 * network, many in one content. Of all bridges over one database one does so at a time.
 */
export class ContentKeeper {
  private readonly stopping = new AbortController();
  private done: Promise<void> = Promise.resolve();

  constructor(private readonly parts: ContentKeeperParts) {}

  /** Go round until {@link ContentKeeper.stop}. */
  start(): void {
    this.done = this.run();
  }

  /** Stop, and wait until the round under way is given up. */
  async stop(): Promise<void> {
    this.stopping.abort(new Error('the bridge is stopping'));
    await this.done;
  }

  /** One round now, whosever turn it is. */
  async round(signal: AbortSignal): Promise<KeeperReport> {
    const deleted = await this.deleteGarbage(signal);
    const packed = await this.packBodies(signal);
    return { deleted, packed };
  }

  private async run(): Promise<void> {
    const { metadata, clock, random, roundMs, logger } = this.parts;
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        await metadata.addJob({ queue: CONTENTS_QUEUE, id: JOB, payload: null, due: clock.now() });
        const [job] = await metadata.takeJobs(CONTENTS_QUEUE, 1, LEASE_MS);
        if (job !== undefined) await this.turn(job);
      } catch (error) {
        if (!signal.aborted)
          logger.warn(
            { error: errorText(error) },
            'contents were not looked after; trying again later',
          );
      }
      await this.pause(roundMs * (0.75 + randomFraction(random) / 2));
    }
  }

  /** A round under a lease, which is held as long as the round takes. */
  private async turn(job: Job): Promise<void> {
    const { metadata, clock, roundMs, logger } = this.parts;
    const lost = new AbortController();
    let lease = job;
    let timer: unknown;
    const renewLater = () => {
      timer = clock.setTimeout(() => {
        metadata.renewJob(lease, LEASE_MS).then(
          (renewed) => {
            lease = renewed;
            renewLater();
          },
          (error: unknown) => lost.abort(error),
        );
      }, LEASE_MS / 3);
    };
    renewLater();
    try {
      const report = await this.round(AbortSignal.any([this.stopping.signal, lost.signal]));
      if (report.deleted + report.packed > 0) logger.info(report, 'contents looked after');
    } catch (error) {
      clock.clearTimeout(timer);
      // Others, or we after a start, need not wait for the lease to end.
      const due = this.stopping.signal.aborted ? clock.now() : clock.now() + roundMs;
      if (!lost.signal.aborted) await metadata.failJob(lease, errorText(error), due);
      throw error;
    } finally {
      clock.clearTimeout(timer);
    }
    await metadata.finishJob(lease, { due: clock.now() + roundMs });
  }

  private async deleteGarbage(signal: AbortSignal): Promise<number> {
    const { metadata, backend, logger } = this.parts;
    let deleted = 0;
    for (;;) {
      const garbage = await metadata.garbageContents(BATCH);
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
      if (garbage.length < BATCH || gone.length === 0) return deleted;
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

  private pause(ms: number): Promise<void> {
    const { clock } = this.parts;
    const { signal } = this.stopping;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = () => {
        clock.clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = clock.setTimeout(end, ms);
      signal.addEventListener('abort', end);
    });
  }
}

async function* oneAfterAnother(
  bodies: readonly { readonly bytes: Uint8Array }[],
): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  for (const { bytes } of bodies) yield bytes;
}
