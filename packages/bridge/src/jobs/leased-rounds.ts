import { type Clock, type Logger, type Random, pause, randomFraction } from '@granary/kad';
import { errorText } from '../error-text.js';
import type { JobStore } from '../metadata/metadata-store.js';
import type { Job } from '../metadata/records.js';

/** What {@link LeasedRounds} are made of. */
export interface LeasedRoundsParts {
  readonly jobs: JobStore;
  /** The queue's name; its one job is called the same. */
  readonly queue: string;
  /** Between two rounds, in milliseconds. */
  readonly roundMs: number;
  /** One round. What a round that was cut off has not done, the next one does. */
  readonly round: (signal: AbortSignal) => Promise<void>;
  /** What is logged when a round fails. */
  readonly failure: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** How long a process that does the round is waited for when it says nothing. */
const LEASE_MS = 60_000;
/** How often a process looks whether it is its turn, at least. */
const LOOK_MS = 60_000;

/** Does something round after round; of all processes over one database one does so at a time. */
export class LeasedRounds {
  private readonly stopping = new AbortController();
  private done: Promise<void> = Promise.resolve();

  constructor(private readonly parts: LeasedRoundsParts) {}

  /** Go round until {@link LeasedRounds.stop}. */
  start(): void {
    this.done = this.run();
  }

  /** Stop, and wait until the round under way is given up. */
  async stop(): Promise<void> {
    this.stopping.abort(new Error('the bridge is stopping'));
    await this.done;
  }

  private get lookMs(): number {
    return Math.min(LOOK_MS, this.parts.roundMs);
  }

  private async run(): Promise<void> {
    const { jobs, queue, clock, random, failure, logger } = this.parts;
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        await jobs.addJob({ queue, id: queue, payload: null, due: clock.now() });
        const [job] = await jobs.takeJobs(queue, 1, LEASE_MS);
        if (job !== undefined) await this.turn(job);
      } catch (error) {
        if (!signal.aborted) logger.warn({ error: errorText(error) }, failure);
      }
      await pause(clock, this.lookMs * (0.75 + randomFraction(random) / 2), signal);
    }
  }

  /** A round under a lease, which is held as long as the round takes. */
  private async turn(job: Job): Promise<void> {
    const { jobs, clock, roundMs, round } = this.parts;
    const lost = new AbortController();
    let lease = job;
    let timer: unknown;
    const renewLater = () => {
      timer = clock.setTimeout(() => {
        jobs.renewJob(lease, LEASE_MS).then(
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
      await round(AbortSignal.any([this.stopping.signal, lost.signal]));
    } catch (error) {
      clock.clearTimeout(timer);
      // Others, or we after a start, need not wait for the lease to end.
      const due = clock.now() + (this.stopping.signal.aborted ? 0 : this.lookMs / 2);
      if (!lost.signal.aborted) await jobs.failJob(lease, errorText(error), due);
      throw error;
    } finally {
      clock.clearTimeout(timer);
    }
    // Due by the time that whoever looks next may come by.
    const due = clock.now() + roundMs - this.lookMs / 4;
    await jobs.finishJob(lease, { due });
  }
}
