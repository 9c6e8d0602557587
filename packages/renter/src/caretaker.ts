import { messageOf, pause, randomFraction } from '@granary/kad';
import type { Manifest } from '@granary/protocol';
import { all } from './all.js';
import { type AuditReport, Auditor } from './auditor.js';
import { breather } from './breather.js';
import { adoptContractsOf } from './contract-review.js';
import type { DeletionReport } from './garbage-collector.js';
import type { Leases } from './leases.js';
import { type RenewalReport, isDueForRenewal, renew } from './renewals.js';
import type { RenterCore } from './renter-core.js';
import type { PaymentReport } from './renter-payments.js';
import { Repairer, healthOf, type FarmersSeen } from './repairer.js';
import { endangerment } from './segment-health.js';
import type { ShareCareReport } from './sharing.js';
import { Throttle } from './throttle.js';

/** What one round of care found and did. */
export interface CareReport {
  readonly audits: AuditReport;
  readonly renewals: RenewalReport;
  readonly segments: number;
  /** Segments that were to be repaired, or moved off leaving farmers. */
  readonly endangered: number;
  readonly repaired: number;
  /** Shards made anew or moved. */
  readonly placed: number;
  readonly failures: readonly { readonly object: string; readonly reason: string }[];
  /** Segments of which fewer than k shards can be had now. */
  readonly lost: number;
  readonly garbage: DeletionReport;
  readonly payments: PaymentReport;
  readonly shares: ShareCareReport;
  /** Why the index in the network could not be brought up to date; null when it is. */
  readonly indexFailure: string | null;
}

/** What a round of care is at. */
export type CarePhase =
  | 'idle'
  | 'farmers'
  | 'audits'
  | 'payments'
  | 'inspection'
  | 'repairs'
  | 'shares'
  | 'garbage'
  | 'index';

/** What the care of a process is doing. Times are milliseconds since the epoch. */
export interface CareStatus {
  readonly phase: CarePhase;
  /** Since when. */
  readonly since: number;
  /** Rounds that came to their end since the process began. */
  readonly rounds: number;
  /** Of the round under way: segments to be repaired, and those that are done. */
  readonly queue: number;
  readonly done: number;
  /** The segment that is being repaired. */
  readonly repairing: {
    readonly objectId: string;
    readonly index: number;
    readonly since: number;
  } | null;
  /** The last round that came to its end. */
  readonly last: { readonly at: number; readonly report: CareReport } | null;
  /** Why the last round broke off; null when it did not. */
  readonly failure: { readonly at: number; readonly reason: string } | null;
}

/** What the caretaker works with besides the core. */
export interface CareParts {
  readonly leases: Leases;
  /** Give up uploads that nobody works on any more. */
  readonly abandon: () => Promise<void>;
  readonly collect: (signal: AbortSignal) => Promise<DeletionReport>;
  readonly publish: (signal: AbortSignal, renew: boolean) => Promise<void>;
  readonly shares: (signal: AbortSignal) => Promise<ShareCareReport>;
}

/** The most endangered segments that are remembered in one round. */
const MAX_QUEUE = 50_000;
/** Rounds between two renewals of an index that did not change. */
const PUBLISH_MS = 24 * 3600 * 1000;

interface Endangered {
  readonly manifest: Manifest;
  readonly index: number;
  readonly danger: number;
}

/**
 * Looks after everything that is stored: gives up uploads whose process was killed, asks farmers whether they are there, audits them, renews
 * contracts, repairs segments with the most endangered first, has garbage deleted, and keeps the
 * index in the network. A round can be cut off at any moment; the next makes it good.
 */
export class Caretaker {
  private readonly auditor: Auditor;
  private readonly repairer: Repairer;
  private publishedAt = 0;
  private state: CareStatus = {
    phase: 'idle',
    since: 0,
    rounds: 0,
    queue: 0,
    done: 0,
    repairing: null,
    last: null,
    failure: null,
  };

  constructor(
    private readonly core: RenterCore,
    private readonly parts: CareParts,
  ) {
    const { settings, clock } = core;
    this.auditor = new Auditor(core, settings.auditIntervalMs);
    this.repairer = new Repairer(
      core,
      parts.leases,
      new Throttle(settings.repairBytesPerSecond, clock),
    );
  }

  /** What it is doing now. */
  get status(): CareStatus {
    return this.state;
  }

  private enter(phase: CarePhase, change: Partial<CareStatus> = {}): void {
    this.state = { ...this.state, phase, since: this.core.clock.now(), ...change };
  }

  /** Look after everything once. @param auditAll - audit every farmer, due or not */
  async round(signal: AbortSignal, auditAll = false): Promise<CareReport> {
    const { clock } = this.core;
    try {
      const report = await this.work(signal, auditAll);
      const last = { at: clock.now(), report };
      this.enter('idle', { rounds: this.state.rounds + 1, last, failure: null });
      return report;
    } catch (error) {
      const failure = { at: clock.now(), reason: messageOf(error) };
      this.enter('idle', signal.aborted ? {} : { failure });
      throw error;
    } finally {
      this.state = { ...this.state, queue: 0, done: 0, repairing: null };
    }
  }

  private async work(signal: AbortSignal, auditAll: boolean): Promise<CareReport> {
    const { store, directory, clock } = this.core;
    this.enter('farmers');
    await this.repairer.clearUp();
    await this.parts.abandon();
    await directory.available({ refresh: true });
    await directory.check(await all(store.holders()), signal);
    await this.adoptContracts(signal);
    this.enter('audits');
    const audits = await this.auditor.run(signal, auditAll);
    this.enter('payments');
    const payments = await this.core.payments.settleAll(signal);
    this.enter('inspection');
    const found = await this.inspect(signal);
    this.enter('repairs', { queue: found.queue.length });
    const { repaired, placed, failures } = await this.repair(found.queue, signal);
    // Links lead to where the shards are now, before those are gone that they led to.
    this.enter('shares');
    const shares = await this.parts.shares(signal);
    this.enter('garbage');
    const garbage = await this.parts.collect(signal);
    this.enter('index');
    const renewIndex = clock.now() - this.publishedAt > PUBLISH_MS;
    let indexFailure: string | null = null;
    try {
      await this.parts.publish(signal, renewIndex);
      if (renewIndex) this.publishedAt = clock.now();
    } catch (error) {
      signal.throwIfAborted();
      indexFailure = messageOf(error);
    }
    return {
      audits,
      renewals: found.renewals,
      segments: found.segments,
      endangered: found.queue.length,
      repaired,
      placed,
      failures,
      lost: found.lost,
      garbage,
      payments,
      shares,
      indexFailure,
    };
  }

  /**
   * A farmer wants to be paid first: audit it, so that storage can be paid, and pay what is due.
   *
   * @param ahead - what to pay ahead, within the limit for that; units
   * @returns whether anything was paid
   */
  async clear(farmer: string, ahead: bigint, signal: AbortSignal): Promise<boolean> {
    await this.auditor.auditNow(farmer, signal);
    const results = await this.core.payments.settle(farmer, signal, ahead);
    return results.some(({ paid }) => paid > 0n);
  }

  /**
   * Look after everything, round after round, until the signal.
   *
   * @param onRound - told of every round, or of the error that ended it
   */
  async run(
    signal: AbortSignal,
    onRound: (result: CareReport | { error: unknown }) => void,
  ): Promise<void> {
    const { clock, settings, random } = this.core;
    while (!signal.aborted) {
      try {
        onRound(await this.round(signal));
      } catch (error) {
        if (signal.aborted) return;
        onRound({ error });
      }
      const wait = settings.roundMs * (0.75 + randomFraction(random) / 2);
      // It ends at once, too, when the round was told to stop and had nothing left to do.
      await pause(clock, wait, signal);
    }
  }

  /** After a recovery some contracts may still be with farmers that did not answer then. */
  private async adoptContracts(signal: AbortSignal): Promise<void> {
    const { store, logger } = this.core;
    for (const farmer of await all(store.holders())) {
      let complete = true;
      for await (const { contract } of store.holdings(farmer)) {
        complete = (await store.contract(contract)) !== undefined;
        if (!complete) break;
      }
      if (complete) continue;
      await adoptContractsOf(this.core, farmer, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        logger.info({ farmer, error: messageOf(error) }, 'contracts could not be fetched');
      });
    }
  }

  /** Walk every segment: renew what is due, and note what needs repair. */
  private async inspect(signal: AbortSignal) {
    const { store, settings, clock } = this.core;
    const renewals: RenewalReport = { renewed: 0, refused: 0 };
    const farmers: FarmersSeen = new Map();
    let queue: Endangered[] = [];
    let [segments, lost] = [0, 0];
    const breathe = breather(clock);
    for await (const manifest of store.allManifests()) {
      for await (const segment of store.segments(manifest.objectId)) {
        signal.throwIfAborted();
        await breathe();
        segments += 1;
        for (const { contract } of segment.shards) {
          const record = await store.contract(contract);
          if (record === undefined || record.failed !== undefined) continue;
          if (isDueForRenewal(record, settings.durationMs, clock.now())) {
            await renew(this.core, record, renewals, signal);
          }
        }
        const health = await healthOf(this.core, manifest, segment, farmers);
        if (health.verdict === 'fine') continue;
        if (health.verdict === 'lost') lost += 1;
        const danger = endangerment(health, manifest.scheme);
        queue.push({ manifest, index: segment.index, danger });
        if (queue.length >= 2 * MAX_QUEUE) queue = worst(queue);
      }
    }
    return { renewals, segments, lost, queue: worst(queue) };
  }

  private async repair(queue: readonly Endangered[], signal: AbortSignal) {
    const failures: { object: string; reason: string }[] = [];
    let [repaired, placed] = [0, 0];
    for (const { manifest, index } of queue) {
      signal.throwIfAborted();
      const { objectId } = manifest;
      this.state = {
        ...this.state,
        repairing: { objectId, index, since: this.core.clock.now() },
      };
      const outcome = await this.repairer.repair(manifest, index, signal);
      this.state = { ...this.state, done: this.state.done + 1, repairing: null };
      if (outcome.kind === 'repaired') {
        repaired += 1;
        placed += outcome.placed;
      } else if (outcome.kind === 'failed') {
        const object = `${manifest.bucket}/${manifest.name}, segment ${index}`;
        failures.push({ object, reason: outcome.reason });
      }
    }
    return { repaired, placed, failures };
  }
}

function worst(queue: Endangered[]): Endangered[] {
  return queue.sort((a, b) => a.danger - b.danger).slice(0, MAX_QUEUE);
}
