import type { Clock, Logger, Random } from '@granary/kad';
import { LeasedRounds } from '../jobs/leased-rounds.js';
import { MetadataError } from '../metadata/metadata-error.js';
import type { MetadataStore } from '../metadata/metadata-store.js';
import type { Bucket, VersionSummary } from '../metadata/records.js';
import { type LifecycleRule, covers, daysAfter, expiryOf } from './lifecycle.js';

/** The queue of its job. */
export const LIFECYCLE_QUEUE = 'lifecycle';

/** What a {@link LifecycleRunner} is made of. */
export interface LifecycleRunnerParts {
  readonly metadata: MetadataStore;
  /** Between two rounds, in milliseconds. */
  readonly roundMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** What a round did. */
export interface LifecycleReport {
  /** Objects that ended: deleted, or, where versions are kept, hidden by a delete marker. */
  readonly expired: number;
  /** Old versions deleted. */
  readonly noncurrent: number;
  /** Delete markers deleted that had nothing behind them. */
  readonly markers: number;
  /** Unfinished uploads aborted. */
  readonly uploads: number;
  /** Versions that a rule would have deleted and a lock keeps. */
  readonly locked: number;
}

/** Buckets, versions and uploads that are looked at in one transaction. */
const PAGE = 1000;

type Counts = { -readonly [name in keyof LifecycleReport]: number };

/**
 * Carries out the lifecycle rules of all buckets. Of all bridges over one database one does so at a time. A
 * round looks at everything once; nothing is remembered between rounds.
 */
export class LifecycleRunner {
  private readonly rounds: LeasedRounds;

  constructor(private readonly parts: LifecycleRunnerParts) {
    const { metadata, roundMs, clock, random, logger } = parts;
    this.rounds = new LeasedRounds({
      jobs: metadata,
      queue: LIFECYCLE_QUEUE,
      roundMs,
      round: async (signal) => {
        const report = await this.round(signal);
        const done = Object.values(report).some((count) => count > 0);
        if (done) logger.info(report, 'lifecycle rules carried out');
      },
      failure: 'lifecycle rules were not carried out; trying again later',
      clock,
      random,
      logger,
    });
  }

  /** Go round until {@link LifecycleRunner.stop}. */
  start(): void {
    this.rounds.start();
  }

  /** Stop, and wait until the round under way is given up. */
  stop(): Promise<void> {
    return this.rounds.stop();
  }

  /** One round now, whosever turn it is. @throws MetadataError. */
  async round(signal: AbortSignal): Promise<LifecycleReport> {
    const { metadata } = this.parts;
    const counts: Counts = { expired: 0, noncurrent: 0, markers: 0, uploads: 0, locked: 0 };
    for (let after: string | undefined; ;) {
      const page = await metadata.listBuckets({
        limit: PAGE,
        ...(after !== undefined && { after }),
      });
      for (const bucket of page) {
        const rules = (bucket.documents['lifecycle'] ?? []) as readonly LifecycleRule[];
        const enabled = rules.filter((rule) => rule.enabled);
        if (enabled.length === 0) continue;
        try {
          await this.versions(bucket, enabled, counts, signal);
          await this.uploads(bucket, enabled, counts, signal);
        } catch (error) {
          // Deleted meanwhile.
          if (!isCode(error, 'METADATA_NO_SUCH_BUCKET')) throw error;
        }
      }
      after = page.at(-1)?.name;
      if (page.length < PAGE) return counts;
    }
  }

  /** Look at all versions of a bucket, of each key the newest first. */
  private async versions(
    { name: bucket }: Bucket,
    rules: readonly LifecycleRule[],
    counts: Counts,
    signal: AbortSignal,
  ): Promise<void> {
    if (rules.every((rule) => rule.abortDays !== undefined && !isOfVersions(rule))) return;
    let newer: VersionSummary | undefined;
    /** Versions of the key that came before, the current one among them. */
    let above = 0;
    /** A delete marker that is current, until it is known whether something lies behind it. */
    let marker: VersionSummary | undefined;
    const endMarker = async () => {
      if (marker !== undefined) await this.endMarker(marker, rules, counts);
      marker = undefined;
    };
    for await (const version of this.versionsOf(bucket, signal)) {
      if (version.key !== newer?.key) {
        await endMarker();
        above = 0;
        newer = undefined;
      }
      if (newer !== undefined) {
        // Something lies behind the marker.
        marker = undefined;
        await this.endNoncurrent(version, newer, above - 1, rules, counts);
      } else if (version.isDeleteMarker) marker = version;
      else await this.endCurrent(version, rules, counts);
      newer = version;
      above += 1;
    }
    await endMarker();
  }

  private async *versionsOf(bucket: string, signal: AbortSignal): AsyncGenerator<VersionSummary> {
    const { metadata } = this.parts;
    let marker: { keyMarker?: string; versionIdMarker?: string } = {};
    for (;;) {
      signal.throwIfAborted();
      const { versions, next } = await metadata.listVersions({ bucket, limit: PAGE, ...marker });
      for (const version of versions) {
        signal.throwIfAborted();
        yield version;
      }
      if (next === null) return;
      const { keyMarker, versionIdMarker } = next;
      marker = { keyMarker, ...(versionIdMarker !== null && { versionIdMarker }) };
    }
  }

  private async endCurrent(
    version: VersionSummary,
    rules: readonly LifecycleRule[],
    counts: Counts,
  ): Promise<void> {
    const { bucket, key, etag, modified, size } = version;
    const now = this.parts.clock.now();
    // Tags cost another look, so they are asked for only where they would decide.
    const untagged = rules.map((rule) => ({ ...rule, filter: { ...rule.filter, tags: {} } }));
    if (!isOver(expiryOf(untagged, { ...version, tags: {} })?.at, now)) return;
    const tags = await this.tagsOf(version, rules);
    if (!isOver(expiryOf(rules, { ...version, tags })?.at, now)) return;
    // As it is replaced at this moment, it begins anew.
    const precondition = { ifMatch: etag, modified, size };
    await this.end('expired', counts, { bucket, key, precondition });
  }

  /** @param newerOnes - how many noncurrent versions of the key are newer */
  private async endNoncurrent(
    version: VersionSummary,
    newer: VersionSummary,
    newerOnes: number,
    rules: readonly LifecycleRule[],
    counts: Counts,
  ): Promise<void> {
    const { bucket, key, versionId } = version;
    const now = this.parts.clock.now();
    const due = rules.filter(
      ({ noncurrentDays, noncurrentKeep = 0 }) =>
        noncurrentDays !== undefined &&
        newerOnes >= noncurrentKeep &&
        isOver(daysAfter(newer.modified, noncurrentDays), now),
    );
    if (due.length === 0) return;
    const tags = await this.tagsOf(version, due);
    if (!due.some(({ filter }) => covers(filter, { ...version, tags }))) return;
    await this.end('noncurrent', counts, { bucket, key, versionId });
  }

  private async endMarker(
    version: VersionSummary,
    rules: readonly LifecycleRule[],
    counts: Counts,
  ): Promise<void> {
    const { bucket, key, versionId, modified } = version;
    const now = this.parts.clock.now();
    const due = rules.some(
      ({ filter, expireMarkers, expireDays }) =>
        covers(filter, { key, size: 0, tags: {} }) &&
        (expireMarkers === true ||
          (expireDays !== undefined && isOver(daysAfter(modified, expireDays), now))),
    );
    if (due) await this.end('markers', counts, { bucket, key, versionId });
  }

  private async end(
    count: 'expired' | 'noncurrent' | 'markers',
    counts: Counts,
    deletion: Parameters<MetadataStore['deleteObject']>[0],
  ): Promise<void> {
    try {
      await this.parts.metadata.deleteObject(deletion);
      counts[count] += 1;
    } catch (error) {
      if (isCode(error, 'METADATA_LOCKED')) counts.locked += 1;
      // Replaced or deleted meanwhile.
      else if (!isCode(error, 'METADATA_PRECONDITION', 'METADATA_NO_SUCH_KEY')) throw error;
    }
  }

  /** A version's tags, where a rule asks for some. */
  private async tagsOf(
    { bucket, key, versionId, isDeleteMarker }: VersionSummary,
    rules: readonly LifecycleRule[],
  ): Promise<Readonly<Record<string, string>>> {
    if (isDeleteMarker || rules.every(({ filter }) => Object.keys(filter.tags).length === 0)) {
      return {};
    }
    return (await this.parts.metadata.version(bucket, key, versionId))?.details.tags ?? {};
  }

  private async uploads(
    { name: bucket }: Bucket,
    rules: readonly LifecycleRule[],
    counts: Counts,
    signal: AbortSignal,
  ): Promise<void> {
    const { metadata, clock } = this.parts;
    const aborting = rules.filter(({ abortDays }) => abortDays !== undefined);
    if (aborting.length === 0) return;
    let marker: { keyMarker?: string; uploadIdMarker?: string } = {};
    for (;;) {
      const { uploads, next } = await metadata.listUploads({ bucket, limit: PAGE, ...marker });
      for (const { key, uploadId, initiated } of uploads) {
        signal.throwIfAborted();
        const due = aborting.some(
          // Nothing is known yet of its size, and what it will be tagged with is not looked at, as in S3.
          ({ filter, abortDays }) =>
            key.startsWith(filter.prefix) && isOver(daysAfter(initiated, abortDays!), clock.now()),
        );
        if (!due) continue;
        try {
          await metadata.abortUpload(bucket, key, uploadId);
          counts.uploads += 1;
        } catch (error) {
          if (!isCode(error, 'METADATA_NO_SUCH_UPLOAD')) throw error;
        }
      }
      if (next === null) return;
      const { keyMarker, uploadIdMarker } = next;
      marker = { keyMarker, ...(uploadIdMarker !== null && { uploadIdMarker }) };
    }
  }
}

function isOfVersions(rule: LifecycleRule): boolean {
  const { expireDays, expireAt, expireMarkers, noncurrentDays } = rule;
  return [expireDays, expireAt, expireMarkers, noncurrentDays].some((said) => said !== undefined);
}

function isOver(at: number | undefined, now: number): boolean {
  return at !== undefined && at <= now;
}

function isCode(error: unknown, ...codes: MetadataError['code'][]): boolean {
  return error instanceof MetadataError && codes.includes(error.code);
}
