import type { ShardProgress } from '@granary/renter';

/** What one farmer has to do with a transfer. */
export interface FarmerLine {
  readonly nodeId: string;
  /** Bytes of shards that it took or gave. */
  readonly bytes: number;
  readonly done: number;
  readonly failed: number;
  /** Shards on their way now. */
  readonly moving: number;
}

/** One shard of a segment under way. */
export interface ShardBox {
  readonly shard: number;
  readonly farmer: string;
  /** From 0 to 1. */
  readonly share: number;
  readonly state: ShardProgress['state'];
}

/** A segment under way. */
export interface SegmentLine {
  readonly segment: number;
  readonly shards: readonly ShardBox[];
}

/** Segments shown at a time. */
const MAX_SEGMENTS = 2;

/** Where the shards of a transfer are: told of every step, asked for a picture now and then. */
export class ShardBoard {
  private readonly totals = new Map<string, { bytes: number; done: number; failed: number }>();
  private readonly segments = new Map<number, Map<number, ShardProgress>>();

  note(step: ShardProgress): void {
    const { segment, shard, farmer, bytes, state } = step;
    let shards = this.segments.get(segment);
    if (shards === undefined) {
      // Those that began first have gone first.
      while (this.segments.size >= MAX_SEGMENTS) {
        this.segments.delete(this.segments.keys().next().value!);
      }
      this.segments.set(segment, (shards = new Map()));
    }
    const before = shards.get(shard);
    const total = this.totals.get(farmer) ?? { bytes: 0, done: 0, failed: 0 };
    this.totals.set(farmer, total);
    total.bytes += bytes - (before?.farmer === farmer ? Math.min(before.bytes, bytes) : 0);
    if (state === 'done') total.done += 1;
    if (state === 'failed') total.failed += 1;
    shards.set(shard, step);
  }

  /** Every farmer that had to do with it, in order of ID. */
  farmers(): FarmerLine[] {
    const moving = new Map<string, number>();
    for (const shards of this.segments.values()) {
      for (const { farmer, state } of shards.values()) {
        if (state === 'moving') moving.set(farmer, (moving.get(farmer) ?? 0) + 1);
      }
    }
    return [...this.totals]
      .map(([nodeId, total]) => ({ nodeId, ...total, moving: moving.get(nodeId) ?? 0 }))
      .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  }

  /** The segments under way, or the last ones. */
  lines(): SegmentLine[] {
    return [...this.segments]
      .sort(([a], [b]) => a - b)
      .map(([segment, shards]) => ({
        segment,
        shards: [...shards.values()]
          .sort((a, b) => a.shard - b.shard)
          .map(({ shard, farmer, bytes, size, state }) => ({
            shard,
            farmer,
            share: size === 0 ? 1 : Math.min(1, bytes / size),
            state,
          })),
      }));
  }
}
