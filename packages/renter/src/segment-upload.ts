import { messageOf } from '@granary/kad';
import {
  type ContractProposal,
  HASH_SIZE,
  type ShardRecord,
  auditRootOf,
  contractHash,
  proposeContract,
  toHex,
} from '@granary/protocol';
import { anySignal } from './any-signal.js';
import { RenterError, isOwnFault } from './errors.js';
import type { ContractRecord, FarmerRecord } from './records.js';
import type { RenterCore } from './renter-core.js';
import type { ShardProgress } from './renter-types.js';
import type { EncodedShard } from './segment-job.js';

/** Shards of one segment, ready to go out. */
export interface ShardsToPlace {
  /** What the proposals are recorded under: the upload's ID, or the repair's name. */
  readonly upload: string;
  /** The segment's index. */
  readonly index: number;
  /** By index. */
  readonly shards: ReadonlyMap<number, EncodedShard>;
  /** How many have to be safe. */
  readonly success: number;
  /** What the challenges were derived with, when not with the segment's own salt. */
  readonly auditSalt?: string;
  readonly durationMs: number;
  /** Farmers to place shards on, best first. */
  readonly candidates: readonly FarmerRecord[];
}

/** Told how an upload goes on. */
export interface UploadObserver {
  /** Bytes of shards handed to sockets. */
  onBytes(count: number): void;
  onShard(): void;
  /** Every step of every shard. */
  onMove?(move: Omit<ShardProgress, 'segment'>): void;
}

interface Placed {
  readonly record: ShardRecord;
  readonly contract: ContractRecord;
}

/**
 * Place shards: all at once, each on a farmer of its own; a farmer that fails is
 * replaced. Done when `success` shards are safe and the slow ones have had their time (long-tail
 * cancellation).
 *
 * @throws RenterError RENTER_NOT_ENOUGH_FARMERS when fewer than `success` shards found a place.
 */
export async function placeShards(
  core: RenterCore,
  segment: ShardsToPlace,
  observer: UploadObserver,
  signal: AbortSignal,
): Promise<{ shards: ShardRecord[]; contracts: Map<string, ContractRecord> }> {
  const { store, clock } = core;
  const { upload, success } = segment;
  const proposals = await proposeAll(core, segment);
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
  const tasks = [...segment.shards].map(async ([i, shard]) => {
    const done = await placeShard(core, segment, shard, i, proposals, failures, observer, stop);
    if (done === undefined) return;
    placed.push(done);
    observer.onShard();
    if (placed.length === success) {
      // Slow farmers get as long again as the others took; then they are let go.
      const patience = Math.max(core.settings.tailMs, clock.now() - begun);
      tailTimer = clock.setTimeout(() => tail.abort(new Error('long tail')), patience);
    }
  });
  const outcomes = await Promise.allSettled(tasks);
  clock.clearTimeout(tailTimer);
  signal.throwIfAborted();
  if (placed.length < success) {
    const broken = outcomes.find((outcome) => outcome.status === 'rejected');
    if (broken !== undefined) throw broken.reason;
    throw new RenterError(
      'RENTER_NOT_ENOUGH_FARMERS',
      `${placed.length} of the ${success} shards that have to be safe found a farmer` +
        (failures.length > 0 ? ` (last: ${failures.slice(-2).join('; ')})` : ''),
    );
  }
  placed.sort((a, b) => a.record.index - b.record.index);
  return {
    shards: placed.map(({ record }) => record),
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
async function proposeAll(core: RenterCore, segment: ShardsToPlace): Promise<Proposals> {
  const { shards, upload, index } = segment;
  const assigned = new Map<number, ContractProposal>();
  const used = new Set<string>();
  for await (const { shard, proposal } of core.store.proposals(upload, index)) {
    const { terms } = proposal;
    const current = shards.get(shard);
    const known = segment.candidates.some(({ contact }) => contact.nodeId === terms.farmer);
    if (current === undefined || toHex(current.hash) !== terms.shardHash || !known) continue;
    if (terms.auditRoot !== auditTermsOf(current).auditRoot) continue;
    if (assigned.has(shard) || used.has(terms.farmer)) continue;
    assigned.set(shard, proposal);
    used.add(terms.farmer);
  }
  const spare = segment.candidates.filter(({ contact }) => !used.has(contact.nodeId));
  for (const [i, shard] of shards) {
    const farmer = assigned.has(i) ? undefined : spare.shift();
    if (farmer !== undefined) assigned.set(i, propose(core, segment, shard, farmer));
  }
  return { assigned, spare };
}

function propose(
  { keys: { identity }, clock }: RenterCore,
  { durationMs }: ShardsToPlace,
  shard: EncodedShard,
  { contact, terms }: FarmerRecord,
): ContractProposal {
  const now = clock.now();
  return proposeContract(identity, {
    version: 2,
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
    ...auditTermsOf(shard),
    channel: null,
  });
}

function auditTermsOf({ audits }: EncodedShard) {
  if (audits.length === 0) return { auditRoot: null, auditCount: 0 };
  return { auditRoot: toHex(auditRootOf(audits)), auditCount: audits.length / HASH_SIZE };
}

function recordOf(upload: string, segment: number, shard: number, proposal: ContractProposal) {
  return { upload, segment, shard, contract: contractHash(proposal.terms), proposal };
}

/** Place one shard, trying farmer after farmer. Undefined when there is nobody left to try. */
async function placeShard(
  core: RenterCore,
  segment: ShardsToPlace,
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
    let moved = 0;
    const tell = (state: ShardProgress['state']) =>
      observer.onMove?.({ shard: index, farmer, bytes: moved, size: shard.bytes.length, state });
    const onBytes = (count: number) => {
      moved += count;
      observer.onBytes(count);
      tell('moving');
    };
    try {
      tell('moving');
      const contract = await pool.use(farmer, signal, (connection) =>
        connection.upload(current, shard, onBytes, signal),
      );
      tell('done');
      // The farmer has all of it.
      core.engine.recycleShard(shard.bytes);
      await directory.report(farmer, true);
      const hash = contractHash(current.terms);
      return {
        record: {
          index,
          hash: current.terms.shardHash,
          farmer,
          contract: hash,
          ...(segment.auditSalt !== undefined && { auditSalt: segment.auditSalt }),
        },
        contract,
      };
    } catch (error) {
      tell(signal.aborted ? 'cancelled' : 'failed');
      if (signal.aborted) return undefined;
      const message = messageOf(error);
      failures.push(message.includes(farmer) ? message : `farmer ${farmer}: ${message}`);
      logger.info(
        { farmer, segment: segment.index, shard: index, error: message },
        'upload failed',
      );
      if (!isOwnFault(error)) await directory.report(farmer, false);
      const next = proposals.spare.shift();
      if (next === undefined) return undefined;
      proposal = propose(core, segment, shard, next);
      await store.putProposals([recordOf(segment.upload, segment.index, index, proposal)]);
    }
  }
  return undefined;
}
