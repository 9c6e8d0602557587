import type { Manifest, RedundancyScheme } from '@granary/protocol';
import type { ContractReview } from './contract-review.js';
import type { DeletionReport } from './garbage-collector.js';
import type { FarmerRecord } from './records.js';

/** How far a put or a get is. */
export interface TransferProgress {
  /** Plaintext bytes that are safe (put) or handed out (get). */
  readonly bytes: number;
  /** Plaintext bytes in all, when that is known. */
  readonly total?: number;
  /** Bytes of shards moved over the network, both finished and under way. */
  readonly networkBytes: number;
  /** Segments done. */
  readonly segments: number;
  /** Shards placed (put). */
  readonly shards: number;
}

/** Called on every step; cheap calls only. */
export type OnProgress = (progress: TransferProgress) => void;

/** How one shard is doing that is on its way to a farmer (put) or from one (get). */
export interface ShardProgress {
  /** Segment of the object, and index of the shard in it. */
  readonly segment: number;
  readonly shard: number;
  /** The farmer's node ID. A shard that one farmer failed to take may go to another. */
  readonly farmer: string;
  /** Bytes that have moved, and bytes to move in all. */
  readonly bytes: number;
  readonly size: number;
  /** `cancelled`: enough others were faster. */
  readonly state: 'moving' | 'done' | 'failed' | 'cancelled';
}

/** Called on every step of every shard; cheap calls only. */
export type OnShard = (progress: ShardProgress) => void;

/** Options of a put. */
export interface PutOptions {
  readonly scheme?: RedundancyScheme;
  /** How long the contracts run, in milliseconds. */
  readonly durationMs?: number;
  readonly onProgress?: OnProgress;
  readonly onShard?: OnShard;
  readonly signal?: AbortSignal;
}

/** What a put did. */
export interface PutResult {
  readonly manifest: Manifest;
  /** Shards placed now. */
  readonly shards: number;
  /** Segments that an earlier, interrupted put had stored already. */
  readonly resumedSegments: number;
  /** What became of the version that this one replaces and of failed attempts. */
  readonly garbage: DeletionReport;
  /**
   * Why the index in the network could not be brought up to date; null when it was. The object is
   * safe, but until it is (the next change tries again) a recovery from the words would not find it.
   */
  readonly indexFailure: string | null;
}

/** Options of a get. */
export interface GetOptions {
  /** First byte, from 0. */
  readonly offset?: number;
  /** Bytes to read; to the end when not given. */
  readonly length?: number;
  readonly onProgress?: OnProgress;
  readonly onShard?: OnShard;
  readonly signal?: AbortSignal;
}

/** One object in a listing. */
export interface ObjectSummary {
  readonly name: string;
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Of the plaintext, in hex. */
  readonly sha256: string;
}

/** Everything about one object. */
export interface ObjectStat extends ObjectSummary {
  readonly bucket: string;
  readonly scheme: RedundancyScheme;
  readonly segments: number;
  readonly shards: number;
  /** Bytes that its shards take up at the farmers. */
  readonly storedBytes: number;
  /** The fewest shards that any segment has. */
  readonly fewestShards: number;
  /** When the first of its contracts ends, in milliseconds since the epoch; null without shards. */
  readonly expires: number | null;
  /** Farmers and how many of its shards they hold. */
  readonly farmers: readonly {
    readonly nodeId: string;
    readonly address: string;
    readonly shards: number;
  }[];
}

/** What a delete did. */
export interface DeleteResult extends DeletionReport {
  /** As {@link PutResult.indexFailure}. */
  readonly indexFailure: string | null;
}

/** How one farmer stands with this renter. */
export interface FarmerStanding {
  readonly record: FarmerRecord;
  /** Shards that it holds for us. */
  readonly shards: number;
  /** Why it has the standing it has. */
  readonly explanation: string;
}

/** What {@link Renter.collectGarbage} found. */
export interface GarbageReport extends DeletionReport {
  /** What farmers hold for us, all accounted for. */
  readonly review: ContractReview;
}

/** What a renter has. */
export interface RenterStatus {
  readonly nodeId: string;
  readonly buckets: number;
  readonly objects: number;
  readonly bytes: number;
  /** Shards at farmers, those of the index in the network among them, and their bytes. */
  readonly shards: number;
  readonly storedBytes: number;
  readonly unfinishedUploads: readonly {
    readonly bucket: string;
    readonly name: string;
    readonly started: number;
    /** Whether a put of the same file goes on with it; a stream's can't. */
    readonly resumable: boolean;
  }[];
  readonly pendingDeletes: number;
  readonly knownFarmers: number;
}
