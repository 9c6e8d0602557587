import type { RedundancyScheme, ShardRecord } from '@granary/protocol';
import {
  type FarmerRecord,
  type HealthView,
  type SegmentHealth,
  afterAudit,
  afterContact,
  choosePlacement,
  defaultReputationSettings,
  endangerment,
  isOffline,
  newReputation,
  planRepair,
  segmentHealth,
} from '@granary/renter';
import { RandomSource } from './random-source.js';

/** What a run is about. Rates are per hour, times in hours, sizes in bytes. */
export interface Scenario {
  readonly name: string;
  readonly scheme: RedundancyScheme;
  readonly repairing: boolean;
  readonly farmers: number;
  readonly segments: number;
  readonly years: number;
  readonly seed: number;
  /** Mean time that a farmer stays. */
  readonly meanLife: number;
  /** Farmers share networks: this many networks for all. */
  readonly networks: number;
  /** How often all farmers of one network leave together. */
  readonly networkLossRate: number;
  /** How often a shard goes bad in silence. */
  readonly corruptionRate: number;
  /** Share of farmers that lie, and how much of what they were given they keep. */
  readonly liars: number;
  readonly liarsKeep: number;
  /** Mean length of being up and of being down. Down is 0 for never. */
  readonly meanUp: number;
  readonly meanDown: number;
  readonly auditInterval: number;
  /** Bytes of all n shards of a segment. */
  readonly segmentBytes: number;
  /** Bytes that repairs may move in an hour. */
  readonly repairBytesPerHour: number;
}

/** What came of it. */
export interface Outcome {
  readonly lost: number;
  readonly repairs: number;
  readonly shardsMade: number;
  readonly repairBytes: number;
  readonly audits: number;
  readonly auditsFailed: number;
  readonly disqualified: number;
  /** Honest farmers that were disqualified while they were there. */
  readonly wronged: number;
  readonly departures: number;
  /** Mean hours from the moment a segment is under its threshold to the end of its repair. */
  readonly repairHours: number;
}

const HOUR_MS = 3_600_000;
const STEP = 6;
const settings = defaultReputationSettings;

interface SimFarmer {
  record: FarmerRecord & { reputation: ReturnType<typeof newReputation> };
  readonly network: number;
  readonly lying: boolean;
  departs: number;
  gone: boolean;
  down: boolean;
  switches: number;
  nextAudit: number;
  /** Whether its shards count as gone already. */
  writtenOff: boolean;
  readonly shards: SimShard[];
}

interface SimShard extends ShardRecord {
  /** Position in its farmer's list, so that it is taken out in one step. */
  slot: number;
  readonly segment: SimSegment;
  readonly holder: SimFarmer;
  intact: boolean;
  failed: boolean;
}

interface SimSegment {
  shards: SimShard[];
  intact: number;
  lost: boolean;
  /** When it fell under its threshold; 0 when it has not. */
  endangeredAt: number;
}

/**
 * Two years of a network on virtual time. Placement, reputation, health and repair planning are the
 * renter's own functions; farmers, disks and networks are played.
 */
export class World {
  private now = 0;
  private readonly random: RandomSource;
  private farmers: SimFarmer[] = [];
  private readonly byId = new Map<string, SimFarmer>();
  private readonly byContract = new Map<string, SimShard>();
  private readonly segments: SimSegment[] = [];
  private readonly dirty = new Set<SimSegment>();
  private made = 0;
  private contracts = 0;
  private budget = 0;
  private waited = 0;
  private readonly counts = {
    lost: 0,
    repairs: 0,
    shardsMade: 0,
    repairBytes: 0,
    audits: 0,
    auditsFailed: 0,
    disqualified: 0,
    wronged: 0,
    departures: 0,
  };

  constructor(private readonly scenario: Scenario) {
    this.random = new RandomSource(scenario.seed);
    while (this.farmers.length < scenario.farmers) this.join();
    // A network that has run for a while: its farmers have been audited.
    for (const farmer of this.farmers) {
      for (let i = 0; i < settings.vetting; i += 1) {
        farmer.record.reputation = afterAudit(farmer.record.reputation, true, 0, '');
      }
    }
    for (let i = 0; i < scenario.segments; i += 1) this.store();
  }

  /** Run to the end. */
  run(): Outcome {
    const end = this.scenario.years * 365 * 24;
    for (this.now = STEP; this.now <= end; this.now += STEP) {
      this.depart();
      this.corrupt();
      this.contact();
      this.audit();
      this.repair();
    }
    const repairHours = this.counts.repairs === 0 ? 0 : this.waited / this.counts.repairs;
    return { ...this.counts, repairHours };
  }

  private join(): void {
    const { networks, liars, meanLife } = this.scenario;
    // Some networks are large, most are small.
    const network = Math.floor(networks * this.random.fraction() ** 2);
    const id = `f${(this.made += 1)}`;
    const farmer: SimFarmer = {
      network,
      lying: this.random.fraction() < liars,
      departs: this.now + this.random.exponential(meanLife),
      gone: false,
      down: false,
      switches: this.now + this.random.exponential(this.scenario.meanUp),
      nextAudit: this.now + this.random.fraction() * this.scenario.auditInterval,
      writtenOff: false,
      shards: [],
      record: {
        contact: {
          nodeId: id,
          publicKey: '',
          addresses: [
            `https://${10 + (network >> 16)}.${(network >> 8) & 255}.${network & 255}.1:1`,
          ],
          protocolVersion: 1,
          sequence: 1,
          signature: '',
        },
        terms: {
          version: 1,
          freeBytes: 1e12,
          maxShardSize: 1e9,
          maxDurationMs: 1e15,
          currency: 'credit',
          storagePrice: '0',
          egressPrice: '0',
          operator: null,
          leaving: false,
          payment: { settlement: 'ledger', contract: null, creditLimit: '0' },
        },
        latencyMs: 20 + this.random.exponential(60),
        seen: 0,
        failures: 0,
        reputation: newReputation(this.ms()),
      },
    };
    this.farmers.push(farmer);
    this.byId.set(id, farmer);
  }

  private store(): void {
    const { scheme } = this.scenario;
    const segment: SimSegment = { shards: [], intact: 0, lost: false, endangeredAt: 0 };
    this.segments.push(segment);
    const chosen = this.candidates([], scheme.n);
    chosen.slice(0, scheme.n).forEach((farmer, index) => this.place(segment, index, farmer));
  }

  /** Farmers for new shards, by the renter's own choice among a random few times as many as needed. */
  private candidates(holders: readonly SimFarmer[], count: number): SimFarmer[] {
    const sample = new Set<SimFarmer>();
    const wanted = Math.min(this.farmers.length, 4 * count + 20);
    while (sample.size < wanted) sample.add(this.farmers[this.random.below(this.farmers.length)]!);
    // Who does not answer gets no shard: the transfer fails, and the next one is tried.
    const there = [...sample].filter(({ gone, down }) => !gone && !down);
    return choosePlacement(
      there.map(({ record }) => record),
      {
        shardSize: this.shardBytes(),
        durationMs: 1,
        now: this.ms(),
        diversity: 'require',
        holders: holders.map(({ record }) => record),
      },
      this.random.fraction,
    ).map(({ contact }) => this.byId.get(contact.nodeId)!);
  }

  private place(segment: SimSegment, index: number, holder: SimFarmer): void {
    const contract = `c${(this.contracts += 1)}`;
    const intact = !holder.lying || this.random.fraction() < this.scenario.liarsKeep;
    const shard: SimShard = {
      index,
      hash: '',
      farmer: holder.record.contact.nodeId,
      contract,
      segment,
      holder,
      intact,
      failed: false,
      slot: holder.shards.length,
    };
    holder.shards.push(shard);
    segment.shards.push(shard);
    if (intact) segment.intact += 1;
    this.byContract.set(contract, shard);
  }

  private drop(shard: SimShard): void {
    const list = shard.holder.shards;
    const last = list.pop()!;
    if (last !== shard) {
      list[shard.slot] = last;
      last.slot = shard.slot;
    }
    this.byContract.delete(shard.contract);
    this.ruin(shard);
  }

  /** The shard is not there any more, whether anybody knows or not. */
  private ruin(shard: SimShard): void {
    if (!shard.intact) return;
    shard.intact = false;
    const { segment } = shard;
    segment.intact -= 1;
    if (segment.intact >= this.scenario.scheme.k || segment.lost) return;
    segment.lost = true;
    this.counts.lost += 1;
  }

  private depart(): void {
    const { networks, networkLossRate } = this.scenario;
    const struck = new Set<number>();
    const strikes = this.random.poisson(networks * networkLossRate * STEP);
    for (let i = 0; i < strikes; i += 1) struck.add(this.random.below(networks));
    for (const farmer of this.farmers) {
      if (farmer.gone || (farmer.departs > this.now && !struck.has(farmer.network))) continue;
      farmer.gone = true;
      this.counts.departures += 1;
      for (const shard of farmer.shards) this.ruin(shard);
    }
    // Those that are gone and written off are nobody any more; new ones take their place.
    this.farmers = this.farmers.filter(({ gone, writtenOff }) => !gone || !writtenOff);
    let present = 0;
    for (const { gone } of this.farmers) if (!gone) present += 1;
    for (; present < this.scenario.farmers; present += 1) this.join();
  }

  private corrupt(): void {
    const { corruptionRate, segments, scheme } = this.scenario;
    const count = this.random.poisson(segments * scheme.n * corruptionRate * STEP);
    for (let i = 0; i < count; i += 1) {
      const { shards } = this.segments[this.random.below(this.segments.length)]!;
      const shard = shards[this.random.below(shards.length)];
      if (shard !== undefined) this.ruin(shard);
    }
  }

  private contact(): void {
    const { meanUp, meanDown } = this.scenario;
    for (const farmer of this.farmers) {
      if (meanDown > 0) {
        while (farmer.switches <= this.now) {
          farmer.down = !farmer.down;
          farmer.switches += this.random.exponential(farmer.down ? meanDown : meanUp);
        }
      }
      const { record } = farmer;
      const answers = !farmer.gone && !farmer.down;
      const before = record.reputation.standing;
      record.reputation = afterContact(record.reputation, answers, this.ms());
      this.review(farmer, before);
    }
  }

  /** Have a farmer's segments looked at when it begins to count as gone. */
  private review(farmer: SimFarmer, before: string): void {
    const { reputation } = farmer.record;
    if (reputation.standing === 'disqualified' && before !== 'disqualified') {
      this.counts.disqualified += 1;
      if (!farmer.lying && !farmer.gone) this.counts.wronged += 1;
    }
    const off = reputation.standing === 'disqualified' || isOffline(reputation, this.ms());
    if (off && !farmer.writtenOff) for (const { segment } of farmer.shards) this.dirty.add(segment);
    farmer.writtenOff = off;
  }

  private audit(): void {
    for (const farmer of this.farmers) {
      const { record } = farmer;
      if (farmer.nextAudit > this.now || farmer.gone || farmer.down) continue;
      farmer.nextAudit = this.now + this.scenario.auditInterval;
      const shard = farmer.shards[this.random.below(Math.max(1, farmer.shards.length))];
      if (shard === undefined || shard.failed) continue;
      this.counts.audits += 1;
      const before = record.reputation.standing;
      record.reputation = afterAudit(
        record.reputation,
        shard.intact,
        this.ms(),
        'the shard is lost',
      );
      if (!shard.intact) {
        this.counts.auditsFailed += 1;
        shard.failed = true;
        this.dirty.add(shard.segment);
      }
      this.review(farmer, before);
    }
  }

  private repair(): void {
    const { scheme, repairing, repairBytesPerHour } = this.scenario;
    if (!repairing) return this.dirty.clear();
    this.budget = Math.min(this.budget, 0) + repairBytesPerHour * STEP;
    const view: HealthView = {
      now: this.ms(),
      reputation: (id) => this.byId.get(id)?.record.reputation,
      leaving: () => false,
      failed: (contract) => this.byContract.get(contract)?.failed ?? false,
      end: () => undefined,
    };
    const queue: { segment: SimSegment; health: SegmentHealth; danger: number }[] = [];
    for (const segment of this.dirty) {
      const health = segmentHealth(segment, scheme, view);
      if (segment.lost || health.verdict === 'fine') {
        this.dirty.delete(segment);
        segment.endangeredAt = 0;
        continue;
      }
      if (segment.endangeredAt === 0) segment.endangeredAt = this.now;
      queue.push({ segment, health, danger: endangerment(health, scheme) });
    }
    queue.sort((a, b) => a.danger - b.danger);
    for (const { segment, health } of queue) {
      if (this.budget <= 0) break;
      this.repairSegment(segment, health);
    }
  }

  private repairSegment(segment: SimSegment, health: SegmentHealth): void {
    const { scheme } = this.scenario;
    const readable = segment.shards.filter(
      ({ intact, holder }) => intact && !holder.gone && !holder.down,
    );
    // Not now: some are down. It stays in the queue.
    if (readable.length < scheme.k) return;
    // A read finds out what is not there.
    const plan = planRepair(segment, scheme, health);
    const keep = plan.keep as readonly SimShard[];
    const chosen = this.candidates(
      segment.shards.map(({ holder }) => holder),
      plan.missing.length,
    ).slice(0, plan.missing.length);
    const moved = (scheme.k + chosen.length) * this.shardBytes();
    this.budget -= moved;
    this.counts.repairBytes += moved;
    this.counts.repairs += 1;
    this.counts.shardsMade += chosen.length;
    this.waited += this.now - segment.endangeredAt;
    segment.endangeredAt = 0;
    const kept = new Set(keep);
    const placed = new Set(plan.missing.slice(0, chosen.length));
    const dropped = segment.shards.filter((shard) => !kept.has(shard) && placed.has(shard.index));
    const dropSet = new Set(dropped);
    segment.shards = segment.shards.filter((shard) => !dropSet.has(shard));
    chosen.forEach((farmer, i) => this.place(segment, plan.missing[i]!, farmer));
    for (const shard of dropped) this.drop(shard);
    if (chosen.length === plan.missing.length) this.dirty.delete(segment);
  }

  private shardBytes(): number {
    return this.scenario.segmentBytes / this.scenario.scheme.n;
  }

  private ms(): number {
    return this.now * HOUR_MS;
  }
}
