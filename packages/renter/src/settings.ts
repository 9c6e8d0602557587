import { type PayerLimits, defaultPayerLimits } from '@granary/payments';
import type { RedundancyScheme } from '@granary/protocol';
import { type ReputationSettings, defaultReputationSettings } from './reputation.js';

/** What can be tuned in a renter. Times are milliseconds, sizes bytes. */
export interface RenterSettings {
  /** Redundancy of new objects. */
  readonly scheme: RedundancyScheme;
  /** How long new contracts run. */
  readonly durationMs: number;
  /** Ciphertext of a full segment; made smaller where n/k is large, to bound memory. */
  readonly segmentSize: number;
  /** Ciphertext of an encryption chunk, tag included. */
  readonly chunkSize: number;
  /** Erasure-coding cell; a multiple of the shard tree's leaf. */
  readonly cellSize: number;
  /** Segments of one object in work at one time. */
  readonly parallelSegments: number;
  /**
   * The most bytes that the segments of all uploads under way may take, plain and coded together, from
   * when one is encrypted until its shards are placed. More wait for their turn.
   */
  readonly uploadMemory: number;
  /** Time to connect to a farmer. */
  readonly connectTimeoutMs: number;
  /** A transfer that moves nothing for this long has failed. */
  readonly stallTimeoutMs: number;
  /** A read that got nothing from a farmer for this long asks another one besides. */
  readonly hedgeMs: number;
  /** Requests that a read starts beyond the k it needs: at once when it is short, else when some of those are slow. */
  readonly extraReads: number;
  /** How long an upload waits for its slowest farmers once `success` shards are safe, at least. */
  readonly tailMs: number;
  /** Whether no two shards of a segment may lie in one network or with one operator, or only should not. */
  readonly diversity: 'require' | 'prefer';
  /**
   * Whether to publish to all farmers what is to be stored, and take those that answer: `auto` does
   * where the network is larger than what we see of it.
   */
  readonly offers: 'auto' | 'always' | 'never';
  /** Precomputed audits of each new contract; each costs a hash over the shard. */
  readonly audits: number;
  /** Between two audits of one farmer. */
  readonly auditIntervalMs: number;
  /** Bytes a second that repairs may move, in and out together. */
  readonly repairBytesPerSecond: number;
  /** The most that is paid for a GB-month and for a GB of egress, in the farmer's smallest unit. */
  readonly maxStoragePrice: bigint;
  readonly maxEgressPrice: bigint;
  /** What is paid, to whom, and on what conditions. */
  readonly paying: PayerLimits;
  /** Between two rounds of the repair daemon. */
  readonly roundMs: number;
  /** Bytes of one record of a share, roughly. */
  readonly sharePageBytes: number;
  readonly reputation: ReputationSettings;
}

/** The settings of a renter that was told nothing else. */
export const defaultSettings: RenterSettings = {
  scheme: { k: 4, repair: 6, success: 10, n: 12 },
  durationMs: 90 * 24 * 3600 * 1000,
  segmentSize: 16 * 1024 * 1024,
  chunkSize: 64 * 1024,
  cellSize: 4096,
  parallelSegments: 2,
  uploadMemory: 128 * 1024 * 1024,
  connectTimeoutMs: 10_000,
  stallTimeoutMs: 20_000,
  hedgeMs: 1_000,
  extraReads: 1,
  tailMs: 1_000,
  diversity: 'require',
  offers: 'auto',
  audits: 4,
  auditIntervalMs: 6 * 3600 * 1000,
  repairBytesPerSecond: 16 * 1024 * 1024,
  maxStoragePrice: 0n,
  maxEgressPrice: 0n,
  paying: defaultPayerLimits,
  roundMs: 10 * 60 * 1000,
  sharePageBytes: 96 * 1024,
  reputation: defaultReputationSettings,
};

/**
 * What differs behind a proxy: over Tor an answer takes a second, and a circuit may stand still for
 * many, which is no reason to ask others, or to give up.
 */
export const proxiedSettings: Partial<RenterSettings> = {
  stallTimeoutMs: 60_000,
  hedgeMs: 5_000,
  tailMs: 5_000,
};

/** The most bytes that all shards of one segment may take together (decision 35). */
const MAX_CODED_SEGMENT = 48 * 1024 * 1024;

/** Ciphertext bytes of a full segment under a scheme: bounded, and in whole chunks. */
export function segmentSizeFor(
  settings: Pick<RenterSettings, 'segmentSize' | 'chunkSize'>,
  { k, n }: RedundancyScheme,
): number {
  const bounded = Math.min(settings.segmentSize, Math.floor((MAX_CODED_SEGMENT * k) / n));
  return Math.max(1, Math.floor(bounded / settings.chunkSize)) * settings.chunkSize;
}
