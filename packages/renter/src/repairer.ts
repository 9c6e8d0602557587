import { messageOf, randomFraction } from '@granary/kad';
import { type Manifest, type SegmentRecord, type ShardRecord, toHex } from '@granary/protocol';
import { anySignal } from './any-signal.js';
import { AUDIT_SALT_SIZE } from './audit-challenges.js';
import { RenterError } from './errors.js';
import type { Leases } from './leases.js';
import { choosePlacement } from './placement.js';
import type { ContractRecord, FarmerRecord } from './records.js';
import { effectiveEnd } from './renewals.js';
import { type RenterCore, frameOf } from './renter-core.js';
import { fetchShards } from './segment-download.js';
import {
  type HealthView,
  type RepairPlan,
  type SegmentHealth,
  planRepair,
  segmentHealth,
} from './segment-health.js';
import type { EncodedShard } from './segment-job.js';
import { placeShards } from './segment-upload.js';
import type { Throttle } from './throttle.js';

/** How the repair of a segment ended. */
export type RepairOutcome =
  | { readonly kind: 'repaired'; readonly placed: number; readonly healthy: number }
  /** Another is at it, or it was repaired, replaced or deleted meanwhile. */
  | { readonly kind: 'skipped' }
  | { readonly kind: 'failed'; readonly reason: string };

/** What was learned of farmers during a walk over many segments. */
export type FarmersSeen = Map<string, FarmerRecord | undefined>;

/** The health of one segment at this time. @param seen - farmers that were looked up before */
export async function healthOf(
  core: RenterCore,
  manifest: Manifest,
  segment: SegmentRecord,
  seen: FarmersSeen = new Map(),
): Promise<SegmentHealth> {
  return (await lookAt(core, manifest, segment, seen)).health;
}

/** The health of one segment at this time, and those of its contracts that are known, by hash. */
export async function lookAt(
  { store, directory, settings, clock }: RenterCore,
  manifest: Manifest,
  segment: SegmentRecord,
  seen: FarmersSeen,
): Promise<{ health: SegmentHealth; contracts: ReadonlyMap<string, ContractRecord> }> {
  const contracts = await store.contracts(segment.shards.map(({ contract }) => contract));
  const unseen = segment.shards.map(({ farmer }) => farmer).filter((id) => !seen.has(id));
  const found = unseen.length === 0 ? undefined : await directory.records(unseen);
  for (const id of unseen) seen.set(id, found?.get(id));
  const view: HealthView = {
    now: clock.now(),
    reputation: (nodeId) => seen.get(nodeId)?.reputation,
    leaving: (nodeId) => seen.get(nodeId)?.terms.leaving ?? false,
    failed: (contract) => contracts.get(contract)?.failed !== undefined,
    end: (contract) => {
      const record = contracts.get(contract);
      return record && effectiveEnd(record, settings.durationMs);
    },
  };
  return { health: segmentHealth(segment, manifest.scheme, view, settings.reputation), contracts };
}

/** Makes lost shards anew and places them on farmers that hold none of their segment. */
export class Repairer {
  constructor(
    private readonly core: RenterCore,
    private readonly leases: Leases,
    private readonly throttle: Throttle,
  ) {}

  /**
   * Repair one segment, if it needs it and nobody else is at it. What a repair that was cut off has
   * placed becomes garbage; the segment's record changes in one step or not at all.
   */
  async repair(manifest: Manifest, index: number, signal: AbortSignal): Promise<RepairOutcome> {
    const name = `repair-${manifest.objectId}-${index}`;
    const done = await this.leases.alone(name, async (lost) => {
      const stop = anySignal([signal, lost]);
      await this.core.store.abandonRepair(name);
      try {
        return await this.repairAlone(manifest, index, name, stop);
      } catch (error) {
        signal.throwIfAborted();
        await this.core.store.abandonRepair(name);
        const reason = messageOf(error);
        this.core.logger.warn({ object: manifest.objectId, index, reason }, 'a repair failed');
        return { kind: 'failed', reason } as const;
      }
    });
    return done?.result ?? { kind: 'skipped' };
  }

  /** Make garbage of what repairs have left that nobody works on any more. */
  async clearUp(): Promise<void> {
    for (const name of await this.core.store.repairsBegun()) {
      await this.leases.alone(name, () => this.core.store.abandonRepair(name));
    }
  }

  private async repairAlone(
    manifest: Manifest,
    index: number,
    name: string,
    signal: AbortSignal,
  ): Promise<RepairOutcome> {
    const { store, random } = this.core;
    const segment = await store.segment(manifest.objectId, index);
    if (segment === undefined) return { kind: 'skipped' };
    const health = await healthOf(this.core, manifest, segment);
    if (health.verdict === 'fine') return { kind: 'skipped' };
    const plan = planRepair(segment, manifest.scheme, health);
    const candidates = await this.candidates(segment, plan);
    if (candidates.length === 0) {
      throw new RenterError(
        'RENTER_NOT_ENOUGH_FARMERS',
        'no farmer that holds none of this segment can take a shard',
      );
    }
    const wanted = plan.missing.slice(0, candidates.length);
    const shards = await this.gather(manifest, segment, health, wanted, signal);
    const auditSalt = random(AUDIT_SALT_SIZE);
    const frame = frameOf(this.core, manifest);
    const made = await this.core.engine.rebuild(frame, segment.length, shards, wanted, auditSalt);
    this.checkAgainst(segment, wanted, made);
    await this.throttle.spend(segment.shardSize * made.length, signal);
    const { shards: placed, contracts } = await placeShards(
      this.core,
      {
        upload: name,
        index,
        shards: new Map(made.map((shard, i) => [wanted[i]!, shard])),
        success: 1,
        auditSalt: toHex(auditSalt),
        durationMs: this.core.settings.durationMs,
        candidates,
      },
      { onBytes: () => undefined, onShard: () => undefined },
      signal,
    );
    // What could not be placed stays with the farmer that has, or had, it.
    const remade = new Set(placed.map((shard) => shard.index));
    const kept = new Set(plan.keep.map((shard) => shard.index));
    const left = plan.drop.filter((shard) => !remade.has(shard.index) && !kept.has(shard.index));
    const next = {
      ...segment,
      shards: [...plan.keep, ...left, ...placed].sort((a, b) => a.index - b.index),
    };
    const inForce = await store.replaceShards(manifest, name, segment, next, contracts);
    if (!inForce) return { kind: 'skipped' };
    return { kind: 'repaired', placed: placed.length, healthy: plan.keep.length + placed.length };
  }

  private async candidates(segment: SegmentRecord, plan: RepairPlan): Promise<FarmerRecord[]> {
    const { directory, settings, clock, random } = this.core;
    const holding = await directory.records(plan.keep.map(({ farmer }) => farmer));
    // Whoever holds, or should hold, a shard of this segment gets no other one.
    const holders = new Set(segment.shards.map(({ farmer }) => farmer));
    const farmers = (await directory.available()).filter(
      ({ contact }) => !holders.has(contact.nodeId),
    );
    const needs = {
      shardSize: segment.shardSize,
      durationMs: settings.durationMs,
      now: clock.now(),
      diversity: settings.diversity,
      reputation: settings.reputation,
      holders: [...holding.values()],
      maxStoragePrice: settings.maxStoragePrice,
      maxEgressPrice: settings.maxEgressPrice,
      canUse: (farmer: FarmerRecord) => this.core.payments.canUse(farmer),
    };
    return choosePlacement(farmers, needs, () => randomFraction(random));
  }

  /** The shards that leaving farmers hand over when those will do, else any k. */
  private async gather(
    manifest: Manifest,
    segment: SegmentRecord,
    { states }: SegmentHealth,
    wanted: readonly number[],
    signal: AbortSignal,
  ): Promise<Map<number, Uint8Array>> {
    const { k } = manifest.scheme;
    const whole = { shardOffset: 0, shardLength: segment.shardSize };
    const fetch = async (shards: readonly ShardRecord[], count: number) => {
      await this.throttle.spend(segment.shardSize * count, signal);
      const source = { ...segment, shards: [...shards] };
      return fetchShards(this.core, source, whole, count, () => undefined, signal);
    };
    const handed = segment.shards.filter(
      ({ contract, index }) => states.get(contract) === 'leaving' && wanted.includes(index),
    );
    if (handed.length === wanted.length && handed.length < k) {
      try {
        return await fetch(handed, handed.length);
      } catch (error) {
        signal.throwIfAborted();
        this.core.logger.info({ error: messageOf(error) }, 'a leaving farmer did not hand over');
      }
    }
    // Those that count as gone are asked, too, when the others are too few: one may have come back.
    const order = (shard: ShardRecord) => {
      const state = states.get(shard.contract);
      return state === 'healthy' || state === 'leaving' ? 0 : 1;
    };
    const readable = segment.shards.filter((shard) => order(shard) === 0);
    return fetch(readable.length >= k ? readable : segment.shards, k);
  }

  /** A shard made anew must be the one that was there before, or nothing here can be trusted. */
  private checkAgainst(
    segment: SegmentRecord,
    wanted: readonly number[],
    made: readonly EncodedShard[],
  ): void {
    made.forEach(({ hash }, i) => {
      const known = segment.shards.find(({ index }) => index === wanted[i]);
      if (known !== undefined && known.hash !== toHex(hash)) {
        throw new RenterError('RENTER_DECRYPT', `shard ${wanted[i]} did not come out as it was`);
      }
    });
  }
}
