import type { Manifest, RedundancyScheme } from '@granary/protocol';
import { breather } from './breather.js';
import { contractEnd } from './contract-end.js';
import { INDEX_BUCKET } from './record-keys.js';
import type { RenterCore } from './renter-core.js';
import { type FarmersSeen, lookAt } from './repairer.js';
import type { SegmentHealth } from './segment-health.js';

/** How the shards of a segment are, in counts. Together they are at most n. */
export interface ShardCounts {
  /** Nothing is against them, and their farmers answer. */
  readonly healthy: number;
  /** Their farmers do not answer now; they count as there until that has lasted. */
  readonly away: number;
  /** Readable, and to be moved, since their farmers leave. */
  readonly leaving: number;
  /** Gone: their farmers are, an audit showed it, or their contracts have ended. */
  readonly gone: number;
}

/** How an object is: as its most endangered segment. */
export interface ObjectHealth {
  /** The object's ID, hex. */
  readonly objectId: string;
  readonly bucket: string;
  readonly name: string;
  /** Whether it is a part of the index for recovery, and none of the user's. */
  readonly index: boolean;
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly scheme: RedundancyScheme;
  readonly segments: number;
  /** What is to be done about its worst segment; `fine` for an object without segments. */
  readonly verdict: SegmentHealth['verdict'];
  /** Spare shards of the worst segment as a share of k, below 0 when it can't be read now. */
  readonly margin: number;
  /** The shards of the worst segment. */
  readonly shards: ShardCounts;
  /** Segments that are to be repaired or moved, or can't be read. */
  readonly endangered: number;
  /** Contracts, those of them that end before the time asked for, and when the first ends; null without any. */
  readonly contracts: number;
  readonly endingSoon: number;
  readonly expires: number | null;
  /** Bytes at the farmers. */
  readonly storedBytes: number;
}

/** What a look at all objects asks for. */
export interface HealthQuestion {
  /** Whether a farmer does not answer now. By default: when it did not the last time it was asked. */
  readonly isAway?: (nodeId: string) => boolean;
  /** Contracts that end before this time are counted as ending soon; milliseconds since the epoch. */
  readonly soon: number;
  readonly signal?: AbortSignal;
}

/** The health of every object, those of the index among them. Holds one segment in memory at a time. */
export async function* healthOfObjects(
  core: RenterCore,
  question: HealthQuestion,
): AsyncGenerator<ObjectHealth> {
  const farmers: FarmersSeen = new Map();
  const isAway = question.isAway ?? isAwayIn(farmers);
  const breathe = breather(core.clock);
  for await (const manifest of core.store.allManifests()) {
    question.signal?.throwIfAborted();
    yield await healthOfObject(core, manifest, farmers, isAway, question.soon, breathe);
  }
}

/** The health of one object; see {@link healthOfObjects}. */
export async function healthOfOne(
  core: RenterCore,
  manifest: Manifest,
  question: HealthQuestion,
): Promise<ObjectHealth> {
  const farmers: FarmersSeen = new Map();
  return healthOfObject(
    core,
    manifest,
    farmers,
    question.isAway ?? isAwayIn(farmers),
    question.soon,
    breather(core.clock),
  );
}

/** Whether a farmer did not answer the last time it was asked. */
function isAwayIn(farmers: FarmersSeen) {
  return (nodeId: string) => (farmers.get(nodeId)?.reputation.offlineSince ?? null) !== null;
}

async function healthOfObject(
  core: RenterCore,
  manifest: Manifest,
  farmers: FarmersSeen,
  isAway: (nodeId: string) => boolean,
  soon: number,
  breathe: () => Promise<void>,
): Promise<ObjectHealth> {
  const { objectId, bucket, name, size, created, scheme, segments } = manifest;
  let worst: { health: SegmentHealth; shards: ShardCounts; margin: number } | undefined;
  let [endangered, contracts, endingSoon, storedBytes, expires] = [0, 0, 0, 0, Infinity];
  for await (const segment of core.store.segments(objectId)) {
    await breathe();
    const { health, contracts: known } = await lookAt(core, manifest, segment, farmers);
    const shards = { healthy: 0, away: 0, leaving: 0, gone: 0 };
    for (const { contract, farmer } of segment.shards) {
      const state = health.states.get(contract);
      if (state === 'leaving') shards.leaving += 1;
      else if (state !== 'healthy') shards.gone += 1;
      else if (isAway(farmer)) shards.away += 1;
      else shards.healthy += 1;
    }
    // Two shards of one index, as a repair may leave for a moment, are one to a reader.
    const margin = (health.readable - shards.away - scheme.k) / scheme.k;
    if (worst === undefined || margin < worst.margin) worst = { health, shards, margin };
    else if (margin === worst.margin && rank(health) > rank(worst.health)) {
      worst = { health, shards, margin };
    }
    if (health.verdict !== 'fine') endangered += 1;
    storedBytes += segment.shards.length * segment.shardSize;
    for (const record of known.values()) {
      const end = contractEnd(record);
      contracts += 1;
      if (end < soon) endingSoon += 1;
      expires = Math.min(expires, end);
    }
  }
  return {
    objectId,
    bucket,
    name,
    index: bucket === INDEX_BUCKET,
    size,
    created,
    scheme,
    segments,
    verdict: worst?.health.verdict ?? 'fine',
    margin: worst?.margin ?? (scheme.n - scheme.k) / scheme.k,
    shards: worst?.shards ?? { healthy: scheme.n, away: 0, leaving: 0, gone: 0 },
    endangered,
    contracts,
    endingSoon,
    expires: Number.isFinite(expires) ? expires : null,
    storedBytes,
  };
}

const VERDICTS = ['fine', 'move', 'repair', 'lost'];
const rank = ({ verdict }: SegmentHealth) => VERDICTS.indexOf(verdict);
