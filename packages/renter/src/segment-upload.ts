import { messageOf } from '@granary/kad';
import {
  type ContractProposal,
  type RedundancyScheme,
  type SegmentRecord,
  type ShardRecord,
  contractHash,
  proposeContract,
  toHex,
} from '@granary/protocol';
import { anySignal } from './any-signal.js';
import { RenterError } from './errors.js';
import type { ContractRecord, FarmerRecord, UploadRecord } from './records.js';
import type { RenterCore } from './renter-core.js';
import type { EncodedSegment, EncodedShard } from './segment-job.js';

/** One segment, ready to go out. */
export interface SegmentToUpload {
  readonly upload: UploadRecord;
  readonly index: number;
  /** Plaintext bytes. */
  readonly length: number;
  readonly encoded: EncodedSegment;
  readonly scheme: RedundancyScheme;
  readonly durationMs: number;
  /** Farmers to place shards on, best first. */
  readonly candidates: readonly FarmerRecord[];
}

/** Told how an upload goes on. */
export interface UploadObserver {
  /** Bytes of shards handed to sockets. */
  onBytes(count: number): void;
  onShard(): void;
}

interface Placed {
  readonly record: ShardRecord;
  readonly contract: ContractRecord;
}

/**
 * Place a segment's shards: all n at once, each on a farmer of its own; a farmer that fails is
 * replaced. Done when `success` shards are safe and the slow ones have had their time (long-tail
 * cancellation).
 *
 * @throws RenterError RENTER_NOT_ENOUGH_FARMERS when fewer than `success` shards found a place.
 */
export async function uploadSegment(
  core: RenterCore,
  segment: SegmentToUpload,
  observer: UploadObserver,
  signal: AbortSignal,
): Promise<{ segment: SegmentRecord; contracts: Map<string, ContractRecord> }> {
  const { store, clock } = core;
  const { encoded, scheme, upload } = segment;
  const proposals = proposeAll(core, segment);
  await store.putProposals(
    [...proposals.assigned].map(([shard, proposal]) =>
      recordOf(upload, segment.index, shard, proposal),
    ),
  );

  const tail = new AbortController();
  const stop = anySignal([signal, tail.signal]);
  const placed: Placed[] = [];
  const failures: string[] = [];
  const begun = clock.now();
  let tailTimer: unknown;
  const tasks = encoded.shards.map(async (shard, i) => {
    const done = await placeShard(core, segment, shard, i, proposals, failures, observer, stop);
    if (done === undefined) return;
    placed.push(done);
    observer.onShard();
    if (placed.length === scheme.success) {
      // Slow farmers get as long again as the others took; then they are let go.
      const patience = Math.max(core.settings.tailMs, clock.now() - begun);
      tailTimer = clock.setTimeout(() => tail.abort(new Error('long tail')), patience);
    }
  });
  const outcomes = await Promise.allSettled(tasks);
  clock.clearTimeout(tailTimer);
  signal.throwIfAborted();
  if (placed.length < scheme.success) {
    const broken = outcomes.find((outcome) => outcome.status === 'rejected');
    if (broken !== undefined) throw broken.reason;
    throw new RenterError(
      'RENTER_NOT_ENOUGH_FARMERS',
      `${placed.length} of the ${scheme.success} shards that have to be safe found a farmer` +
        (failures.length > 0 ? ` (last: ${failures.slice(-2).join('; ')})` : ''),
    );
  }
  placed.sort((a, b) => a.record.index - b.record.index);
  return {
    segment: {
      index: segment.index,
      salt: toHex(encoded.salt),
      length: segment.length,
      shardSize: encoded.shards[0]!.bytes.length,
      shards: placed.map(({ record }) => record),
    },
    contracts: new Map(placed.map(({ record, contract }) => [record.contract, contract])),
  };
}

interface Proposals {
  /** The first proposal for each shard. */
  readonly assigned: Map<number, ContractProposal>;
  /** Farmers not used yet, best first. */
  readonly spare: FarmerRecord[];
}

/** Give every shard a farmer. Proposals of an earlier life of this upload are taken up again. */
function proposeAll(core: RenterCore, segment: SegmentToUpload): Proposals {
  const { encoded, upload, index } = segment;
  const assigned = new Map<number, ContractProposal>();
  const used = new Set<string>();
  for (const { shard, proposal } of core.store.proposals(upload.id, index)) {
    const { terms } = proposal;
    const current = encoded.shards[shard];
    const known = segment.candidates.some(({ contact }) => contact.nodeId === terms.farmer);
    if (current === undefined || toHex(current.hash) !== terms.shardHash || !known) continue;
    if (assigned.has(shard) || used.has(terms.farmer)) continue;
    assigned.set(shard, proposal);
    used.add(terms.farmer);
  }
  const spare = segment.candidates.filter(({ contact }) => !used.has(contact.nodeId));
  encoded.shards.forEach((shard, i) => {
    if (assigned.has(i)) return;
    const farmer = spare.shift();
    if (farmer !== undefined) assigned.set(i, propose(core, segment, shard, farmer));
  });
  return { assigned, spare };
}

function propose(
  { keys: { identity }, clock }: RenterCore,
  { durationMs }: SegmentToUpload,
  shard: EncodedShard,
  { contact, terms }: FarmerRecord,
): ContractProposal {
  const now = clock.now();
  return proposeContract(identity, {
    version: 1,
    renter: identity.nodeId,
    renterKey: toHex(identity.publicKey),
    farmer: contact.nodeId,
    farmerKey: contact.publicKey,
    shardHash: toHex(shard.hash),
    shardSize: shard.bytes.length,
    begin: now,
    end: now + durationMs,
    currency: terms.currency,
    storagePrice: terms.storagePrice,
    egressPrice: terms.egressPrice,
    auditRoot: null,
    auditCount: 0,
    channel: null,
  });
}

function recordOf(
  upload: UploadRecord,
  segment: number,
  shard: number,
  proposal: ContractProposal,
) {
  return { upload: upload.id, segment, shard, contract: contractHash(proposal.terms), proposal };
}

/** Place one shard, trying farmer after farmer. Undefined when there is nobody left to try. */
async function placeShard(
  core: RenterCore,
  segment: SegmentToUpload,
  shard: EncodedShard,
  index: number,
  proposals: Proposals,
  failures: string[],
  observer: UploadObserver,
  signal: AbortSignal,
): Promise<Placed | undefined> {
  const { pool, directory, store, logger } = core;
  for (let proposal = proposals.assigned.get(index); proposal !== undefined;) {
    const { farmer } = proposal.terms;
    const current = proposal;
    try {
      const contract = await pool.use(farmer, signal, (connection) =>
        connection.upload(current, shard.bytes, (count) => observer.onBytes(count), signal),
      );
      await directory.report(farmer, true);
      const hash = contractHash(current.terms);
      return {
        record: { index, hash: current.terms.shardHash, farmer, contract: hash },
        contract,
      };
    } catch (error) {
      if (signal.aborted) return undefined;
      const message = messageOf(error);
      failures.push(message.includes(farmer) ? message : `farmer ${farmer}: ${message}`);
      logger.info(
        { farmer, segment: segment.index, shard: index, error: message },
        'upload failed',
      );
      await directory.report(farmer, false);
      const next = proposals.spare.shift();
      if (next === undefined) return undefined;
      proposal = propose(core, segment, shard, next);
      await store.putProposals([recordOf(segment.upload, segment.index, index, proposal)]);
    }
  }
  return undefined;
}
