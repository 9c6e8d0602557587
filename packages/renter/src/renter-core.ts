import type { Clock, Logger, Random, ShortLivedBuffers } from '@granary/kad';
import { type Manifest, type SegmentRecord, fromHex } from '@granary/protocol';
import type { ConnectionPool } from './connection-pool.js';
import { RenterError } from './errors.js';
import type { FarmerDirectory } from './farmer-directory.js';
import type { NetworkAccess } from './network-access.js';
import type { RenterKeys } from './renter-keys.js';
import type { RenterPayments } from './renter-payments.js';
import type { RenterStore } from './renter-store.js';
import { TAG_SIZE } from './segment-cipher.js';
import type { SegmentEngine } from './segment-engine.js';
import type { SegmentFrame } from './segment-job.js';
import type { Budget } from './segment-pipeline.js';
import type { RenterSettings } from './settings.js';

/** What the parts of a renter share. */
export interface RenterCore {
  readonly keys: RenterKeys;
  readonly store: RenterStore;
  readonly network: NetworkAccess;
  readonly directory: FarmerDirectory;
  readonly pool: ConnectionPool;
  readonly payments: RenterPayments;
  readonly engine: SegmentEngine;
  readonly buffers: ShortLivedBuffers;
  /** Bytes that uploads may take in memory; see `RenterSettings.uploadMemory`. */
  readonly uploadMemory: Budget;
  readonly settings: RenterSettings;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

/** The layout and the key of an object's segments. */
export function frameOf(
  { keys, settings }: Pick<RenterCore, 'keys' | 'settings'>,
  manifest: Pick<Manifest, 'objectId' | 'scheme' | 'chunkSize' | 'cellSize'>,
): SegmentFrame {
  const { objectId, scheme, chunkSize, cellSize } = manifest;
  const objectKey = keys.objectKey(fromHex(objectId));
  return { objectKey, chunkSize, cellSize, k: scheme.k, n: scheme.n, audits: settings.audits };
}

/** The record of one segment. @throws RenterError RENTER_STORE when it is missing. */
export async function segmentOf(
  { store }: Pick<RenterCore, 'store'>,
  manifest: Manifest,
  index: number,
): Promise<SegmentRecord> {
  const segment = await store.segment(manifest.objectId, index);
  if (segment === undefined) {
    throw new RenterError('RENTER_STORE', `the record of segment ${index} is missing`);
  }
  return segment;
}

/** Plaintext bytes of a full segment. */
export function plainSegmentSize({
  segmentSize,
  chunkSize,
}: Pick<Manifest, 'segmentSize' | 'chunkSize'>) {
  return (segmentSize / chunkSize) * (chunkSize - TAG_SIZE);
}

/** What to throw when a signal has stopped something. */
export function abortError(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  if (reason instanceof RenterError) return reason;
  return new RenterError('RENTER_ABORTED', 'stopped', { cause: reason });
}
