import type { RedundancyScheme, SegmentRecord, ShardRecord } from '@granary/protocol';
import {
  type Reputation,
  type ReputationSettings,
  defaultReputationSettings,
  isOffline,
} from './reputation.js';

/**
 * How a shard is: `healthy`; `leaving` (its farmer wants to hand it over: still readable, but to be
 * moved); `failed` (an audit or a read showed that it is not there); `offline`; `disqualified`;
 * `ended` (its contract has run out).
 */
export type ShardState = 'healthy' | 'leaving' | 'failed' | 'offline' | 'disqualified' | 'ended';

/** What is known of farmers and shards. */
export interface HealthView {
  readonly now: number;
  reputation(farmer: string): Reputation | undefined;
  leaving(farmer: string): boolean;
  /** Whether a shard was found to be lost. */
  failed(contract: string): boolean;
  /** When a contract ends; undefined when that is not known. */
  end(contract: string): number | undefined;
}

/** The state of one shard. */
export function shardState(
  shard: ShardRecord,
  view: HealthView,
  settings: ReputationSettings = defaultReputationSettings,
): ShardState {
  if (view.failed(shard.contract)) return 'failed';
  const end = view.end(shard.contract);
  if (end !== undefined && end <= view.now) return 'ended';
  const reputation = view.reputation(shard.farmer);
  if (reputation?.standing === 'disqualified') return 'disqualified';
  if (reputation !== undefined && isOffline(reputation, view.now, settings)) return 'offline';
  return view.leaving(shard.farmer) ? 'leaving' : 'healthy';
}

/** How a segment is. */
export interface SegmentHealth {
  readonly states: ReadonlyMap<string, ShardState>;
  /** Shards with nothing against them. */
  readonly healthy: number;
  /** Healthy ones and those of farmers that leave: what can be read now. */
  readonly readable: number;
  /**
   * What has to be done: `repair` when fewer than `repair` are healthy, `move` when a leaving
   * farmer's shards are to be taken over, `lost` when fewer than k can be read.
   */
  readonly verdict: 'fine' | 'move' | 'repair' | 'lost';
}

/** Count a segment's healthy shards. States are by contract. */
export function segmentHealth(
  segment: Pick<SegmentRecord, 'shards'>,
  scheme: RedundancyScheme,
  view: HealthView,
  settings: ReputationSettings = defaultReputationSettings,
): SegmentHealth {
  const states = new Map<string, ShardState>();
  const indices = { healthy: new Set<number>(), readable: new Set<number>() };
  let leaving = 0;
  for (const shard of segment.shards) {
    const state = shardState(shard, view, settings);
    states.set(shard.contract, state);
    if (state === 'healthy') indices.healthy.add(shard.index);
    if (state === 'leaving') leaving += 1;
    if (state === 'healthy' || state === 'leaving') indices.readable.add(shard.index);
  }
  const healthy = indices.healthy.size;
  const readable = indices.readable.size;
  const verdict =
    readable < scheme.k
      ? 'lost'
      : healthy < scheme.repair
        ? 'repair'
        : leaving > 0
          ? 'move'
          : 'fine';
  return { states, healthy, readable, verdict };
}

/**
 * How endangered a segment is: lower is worse. The spare shards, as a share of those needed, so that
 * schemes of different size compare; the few that are below k are tried last, since they need a
 * farmer to come back and not a repairer.
 */
export function endangerment(
  { readable, verdict }: SegmentHealth,
  { k }: RedundancyScheme,
): number {
  return verdict === 'lost' ? Number.MAX_SAFE_INTEGER : (readable - k) / k;
}

/** What a repair has to do. */
export interface RepairPlan {
  /** Shards that stay as they are. */
  readonly keep: readonly ShardRecord[];
  /** Shards that are given up when the new ones are safe. */
  readonly drop: readonly ShardRecord[];
  /** Indices of shards to make anew and place on farmers that hold none of this segment. */
  readonly missing: readonly number[];
}

/** Plan the repair of a segment: back to n shards, one for each index, on healthy farmers. */
export function planRepair(
  segment: Pick<SegmentRecord, 'shards'>,
  scheme: RedundancyScheme,
  health: SegmentHealth,
): RepairPlan {
  const keep = new Map<number, ShardRecord>();
  const drop: ShardRecord[] = [];
  for (const shard of segment.shards) {
    if (health.states.get(shard.contract) === 'healthy' && !keep.has(shard.index)) {
      keep.set(shard.index, shard);
    } else drop.push(shard);
  }
  const missing = Array.from({ length: scheme.n }, (_, i) => i).filter((i) => !keep.has(i));
  return { keep: [...keep.values()], drop, missing };
}
