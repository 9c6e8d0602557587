import type { SegmentEngine } from './segment-engine.js';

/** A stretch of a shard that a farmer sends. */
interface Arriving {
  readonly index: number;
  /** All that is sent: the stretch that is wanted, and what goes with it so that it can be verified. */
  readonly bytes: Uint8Array;
  /** Bytes of it, from the first on, that are here and verified. */
  verified: number;
  state: 'coming' | 'whole' | 'ended';
  /** Somebody was given it, and may be reading it. */
  lent: boolean;
}

interface Waiting {
  readonly length: number;
  resolve(shards: ReadonlyMap<number, Uint8Array>): void;
  reject(error: unknown): void;
}

/**
 * The same stretch of several shards of a segment while farmers send it: what is verified can be read before
 * the rest is here. Knows whose memory is still needed, and gives back the other.
 */
export class ArrivingShards {
  /** By the memory of each. */
  private readonly all = new Map<Uint8Array, Arriving>();
  /** What farmers send now, by index. */
  private readonly coming = new Map<number, Arriving>();
  /** Who wants least first. */
  private readonly waiting: Waiting[] = [];
  private over: { readonly error: unknown } | undefined;
  private released = false;

  /**
   * @param k - shards that it takes to read
   * @param skip - bytes before the stretch in what is sent, and `length` those of the stretch itself
   */
  constructor(
    private readonly k: number,
    private readonly skip: number,
    private readonly length: number,
    private readonly engine: Pick<SegmentEngine, 'sharesMemory' | 'shardBuffer' | 'recycleShard'>,
  ) {}

  /** Where the bytes of a shard go, as often as it is asked for. */
  memoryFor(index: number): Pick<SegmentEngine, 'shardBuffer' | 'recycleShard'> {
    return {
      shardBuffer: (size) => {
        const bytes = this.engine.shardBuffer(size);
        const shard: Arriving = { index, bytes, verified: 0, state: 'coming', lent: false };
        this.all.set(bytes, shard);
        this.coming.set(index, shard);
        return bytes;
      },
      recycleShard: (bytes) => this.end(bytes, 'ended'),
    };
  }

  /** More bytes of a shard were verified. */
  verified(index: number, count: number): void {
    const shard = this.coming.get(index);
    if (shard === undefined) return;
    shard.verified += count;
    // Called for every few leaves: only who makes a difference is looked at.
    const next = this.waiting[0];
    if (next === undefined || shard.verified < this.skip + next.length) return;
    if (shard.verified - count < this.skip + next.length) this.serve();
  }

  /** All of a shard is here; its stretch. @param wanted - there were not k before it */
  whole(bytes: Uint8Array, wanted: boolean): Uint8Array {
    const stretch = bytes.subarray(this.skip, this.skip + this.length);
    this.end(bytes, wanted ? 'whole' : 'ended');
    this.serve();
    return stretch;
  }

  /** Nothing more comes. @param error - why there were not k, if there were not */
  finish(error?: unknown): void {
    this.over = { error };
    this.serve();
    for (const { reject } of this.waiting.splice(0)) reject(error);
  }

  /**
   * The first bytes of the stretch of k shards, data shards before others, once they are verified. They may
   * be read until {@link release} is called.
   *
   * @throws what {@link finish} was given, when there will not be so many.
   */
  upTo(length: number): Promise<ReadonlyMap<number, Uint8Array>> {
    const shards = this.ready(length);
    if (shards !== undefined) return Promise.resolve(shards);
    if (this.over !== undefined) return Promise.reject(this.over.error as Error);
    return new Promise((resolve, reject) => {
      this.waiting.push({ length, resolve, reject });
      this.waiting.sort((a, b) => a.length - b.length);
    });
  }

  /** Nobody reads what {@link upTo} gave any more. */
  release(): void {
    this.released = true;
    for (const shard of this.all.values()) this.tidy(shard);
  }

  private serve(): void {
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      const shards = this.ready(next.length);
      if (shards === undefined) return;
      this.waiting.shift();
      next.resolve(shards);
    }
  }

  private ready(length: number): ReadonlyMap<number, Uint8Array> | undefined {
    // Memory that is not shared is given away as a whole, and so nobody may be writing to it any more.
    const { sharesMemory } = this.engine;
    const usable = [...this.all.values()].filter(({ state, verified }) =>
      sharesMemory ? state === 'whole' || verified >= this.skip + length : state === 'whole',
    );
    // One may have been begun anew on another connection.
    const byIndex = new Map(usable.map((shard) => [shard.index, shard]));
    if (byIndex.size < this.k) return undefined;
    const chosen = [...byIndex.values()].sort((a, b) => a.index - b.index).slice(0, this.k);
    for (const shard of chosen) shard.lent = true;
    return new Map(
      chosen.map(({ index, bytes }) => [index, bytes.subarray(this.skip, this.skip + length)]),
    );
  }

  private end(bytes: Uint8Array, state: 'whole' | 'ended'): void {
    const shard = this.all.get(bytes);
    if (shard === undefined) return;
    shard.state = state;
    if (this.coming.get(shard.index) === shard) this.coming.delete(shard.index);
    this.tidy(shard);
  }

  private tidy(shard: Arriving): void {
    const { state, lent, bytes } = shard;
    if (state === 'coming' || (!this.released && (state === 'whole' || lent))) return;
    this.all.delete(bytes);
    this.engine.recycleShard(bytes);
  }
}
