import { type Clock, type Logger, messageOf } from '@granary/kad';
import {
  type ReadGrant,
  STREAM_LEVEL,
  type SegmentRecord,
  type ShardRecord,
  nodeSpan,
} from '@granary/protocol';
import { anySignal } from './any-signal.js';
import { ArrivingShards } from './arriving-shards.js';
import type { ConnectionPool } from './connection-pool.js';
import { FarmerRefusal, RenterError, isOwnFault } from './errors.js';
import type { FarmerDirectory } from './farmer-directory.js';
import type { FarmerRecord } from './records.js';
import type { RenterStore } from './renter-store.js';
import type { ShardProgress } from './renter-types.js';
import type { SegmentEngine } from './segment-engine.js';
import type { RenterSettings } from './settings.js';

/** What fetching shards needs of a renter, or of somebody who reads by a renter's leave. */
export interface ShardFetching {
  readonly pool: Pick<ConnectionPool, 'use' | 'doubts'>;
  readonly directory: Pick<FarmerDirectory, 'report'> & {
    /** How farmers are to be ranked, of those that are known. */
    records(
      nodeIds: readonly string[],
    ): Promise<ReadonlyMap<string, Pick<FarmerRecord, 'failures' | 'latencyMs'>>>;
  };
  readonly store: Pick<RenterStore, 'changeContract'>;
  readonly settings: Pick<RenterSettings, 'hedgeMs' | 'extraReads'>;
  readonly engine: Pick<SegmentEngine, 'sharesMemory' | 'shardBuffer' | 'recycleShard'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A node at each end of a range is at most this part of it. */
const MAX_WASTE = 16;

/** Up to this many bytes of each shard, asking one more at once costs little, and spares waiting for a slow one. */
const SMALL_STRETCH = 256 * 1024;
/** Who needs so many times as long as the quickest is slow; nobody is before so many milliseconds. */
const SLOW_TIMES = 2;
const SLOW_MS = 100;

/** A shard, and the leave to read it where it is not our own. */
export type ShardToFetch = ShardRecord & { readonly grant?: ReadGrant };

/** Where the shards of a segment are. */
export type SegmentToFetch = Pick<SegmentRecord, 'index' | 'shardSize'> & {
  readonly shards: readonly ShardToFetch[];
};

/** The same stretch of every shard of a segment. */
export interface ShardStretch {
  readonly shardOffset: number;
  readonly shardLength: number;
}

/** A stretch of k shards of a segment on its way. */
export interface ShardStream extends Pick<ArrivingShards, 'upTo' | 'release'> {
  /** Resolves when nothing is on its way any more, and k shards are whole; rejects when they could not be had. */
  readonly done: Promise<unknown>;
  /** What {@link done} was rejected with. */
  readonly failure: unknown;
}

type FetchParameters = [
  core: ShardFetching,
  segment: SegmentToFetch,
  stretch: ShardStretch,
  k: number,
  onBytes: (count: number) => void,
  signal: AbortSignal,
  onMove?: (move: Omit<ShardProgress, 'segment'>) => void,
];

/** As {@link fetchShards}, for who reads what is verified before the rest is here. */
export function streamShards(...parameters: FetchParameters): ShardStream {
  const arriving = arrivingFor(...parameters);
  let failure: unknown;
  const done = fetchInto(arriving, ...parameters).then(
    () => arriving.finish(),
    (error: unknown) => {
      failure = error;
      arriving.finish(error);
      throw error;
    },
  );
  // Whoever asks for more than there will be is told.
  done.catch(() => undefined);
  return {
    upTo: (length) => arriving.upTo(length),
    release: () => arriving.release(),
    done,
    get failure() {
      return failure;
    },
  };
}

/**
 * Fetch a stretch of any k shards of a segment: whoever is slow or silent gets competition, whoever
 * fails or lies is replaced, and when k are there the rest are cancelled. Of short stretches a few more
 * than k are asked from the beginning.
 *
 * @param onBytes - told of verified bytes
 * @param onMove - told of every step of every shard
 * @throws RenterError RENTER_NOT_ENOUGH_SHARDS when fewer than k could be had.
 */
export function fetchShards(...parameters: FetchParameters): Promise<Map<number, Uint8Array>> {
  return fetchInto(arrivingFor(...parameters), ...parameters);
}

function arrivingFor(...[core, segment, stretch, k]: FetchParameters): ArrivingShards {
  const { offset } = alignedRange(segment.shardSize, stretch);
  const { shardOffset, shardLength } = stretch;
  return new ArrivingShards(k, shardOffset - offset, shardLength, core.engine);
}

async function fetchInto(
  arriving: ArrivingShards,
  ...[core, segment, stretch, k, onBytes, signal, onMove]: FetchParameters
): Promise<Map<number, Uint8Array>> {
  const { pool, directory, store, clock, logger, settings } = core;
  const { hedgeMs, extraReads } = settings;
  const doubted = (farmer: string) => pool.doubts(farmer, hedgeMs);
  const waiting = await rank(segment.shards, directory, k, doubted);
  const range = alignedRange(segment.shardSize, stretch);
  const got = new Map<number, Uint8Array>();
  const failures: string[] = [];
  const reasons: unknown[] = [];
  const enough = new AbortController();
  const stop = anySignal([signal, enough.signal]);
  const running = new Set<Promise<void>>();
  const begun = new Map<Promise<void>, number>();
  const lastHeard = new Map<Promise<void>, number>();
  const eager = range.length <= SMALL_STRETCH;
  /** How long the first to give its shard took, and the first to begin with it. */
  let quickest = Infinity;
  let quickestStart = Infinity;
  const hasBegun = new Set<Promise<void>>();

  const start = (shard: ShardToFetch) => {
    const { contract, hash, grant } = shard;
    const place = {
      contract,
      hash,
      size: segment.shardSize,
      ...(grant !== undefined && { grant }),
    };
    let moved = 0;
    const tell = (state: ShardProgress['state']) =>
      onMove?.({
        shard: shard.index,
        farmer: shard.farmer,
        bytes: moved,
        size: range.length,
        state,
      });
    const heard = (count: number) => {
      lastHeard.set(task, clock.now());
      moved += count;
      if (moved >= SMALL_STRETCH && !hasBegun.has(task)) {
        hasBegun.add(task);
        quickestStart = Math.min(quickestStart, clock.now() - begun.get(task)!);
      }
      arriving.verified(shard.index, count);
      onBytes(count);
      tell('moving');
    };
    tell('moving');
    const task: Promise<void> = Promise.resolve()
      .then(() =>
        pool.use(shard.farmer, stop, (connection) =>
          connection.download(place, range, heard, stop, arriving.memoryFor(shard.index)),
        ),
      )
      .then(
        (bytes) => {
          tell('done');
          quickest = Math.min(quickest, clock.now() - begun.get(task)!);
          const wanted = got.size < k;
          const cut = arriving.whole(bytes, wanted);
          if (wanted) got.set(shard.index, cut);
          if (got.size === k) enough.abort(new Error('enough shards'));
          return directory.report(shard.farmer, true);
        },
        async (error: unknown) => {
          tell(stop.aborted ? 'cancelled' : 'failed');
          if (stop.aborted) return;
          const message = messageOf(error);
          reasons.push(error);
          failures.push(message.includes(shard.farmer) ? message : `${shard.farmer}: ${message}`);
          logger.info({ farmer: shard.farmer, error: message }, 'a shard could not be read');
          if (!isOwnFault(error)) await directory.report(shard.farmer, false);
          if (!showsLoss(error)) return;
          const failed = { at: clock.now(), reason: message };
          await store.changeContract(shard.contract, (record) => ({ ...record, failed }));
        },
      )
      .finally(() => running.delete(task));
    begun.set(task, clock.now());
    lastHeard.set(task, clock.now());
    running.add(task);
  };

  while (got.size < k) {
    signal.throwIfAborted();
    // Those that have been silent too long no longer count among the ones we rely on, nor do the slowest.
    const now = clock.now();
    const speaking = [...running].filter((task) => now - lastHeard.get(task)! < hedgeMs);
    const left = speaking.map((task) => {
      // Who waits for the first bytes waits for all of k.
      const usual = hasBegun.has(task) ? quickest : Math.min(quickest, quickestStart);
      return Math.max(SLOW_MS, SLOW_TIMES * usual) - (now - begun.get(task)!);
    });
    const slow = left.filter((ms) => ms <= 0).length;
    const relied = speaking.length - (eager ? 0 : Math.min(slow, extraReads));
    const wanted = k - got.size + (eager ? extraReads : 0);
    for (let i = relied; i < wanted && waiting.length > 0; i += 1) start(waiting.shift()!);
    if (running.size === 0) break;
    await raceWithTimer(running, clock, Math.min(hedgeMs, ...left.filter((ms) => ms > 0)));
  }
  enough.abort(new Error('done'));
  // Cancelled transfers free their connections; nobody waits for them.
  for (const task of running) task.catch(() => undefined);
  signal.throwIfAborted();
  if (got.size < k) {
    throw new NotEnoughShards(
      reasons,
      segment.shards.length - k,
      `segment ${segment.index}: ${got.size} of the ${k} shards needed could be read ` +
        `(of ${segment.shards.length}; last: ${failures.slice(-2).join('; ')})`,
    );
  }
  return got;
}

/** Fewer than k shards could be read. */
export class NotEnoughShards extends RenterError {
  constructor(
    /** Why each of those that were asked did not give its shard. */
    readonly reasons: readonly unknown[],
    /** Of so many it would not have mattered. */
    readonly spare: number,
    message: string,
  ) {
    super('RENTER_NOT_ENOUGH_SHARDS', message);
  }
}

/** Whether an error shows that a farmer has not got the shard, and not only that it did not answer. */
function showsLoss(error: unknown): boolean {
  return (
    (error instanceof FarmerRefusal && error.code === 'FARMER_NOT_FOUND') ||
    (error instanceof RenterError && error.code === 'RENTER_LYING_FARMER')
  );
}

/** Shards in the order to ask for them: farmers that are there first, then reliable ones, then near ones, then data shards. */
async function rank(
  shards: readonly ShardToFetch[],
  directory: ShardFetching['directory'],
  k: number,
  doubted: (farmer: string) => boolean,
): Promise<ShardToFetch[]> {
  const farmers = await directory.records(shards.map(({ farmer }) => farmer));
  return shards
    .map((shard) => {
      const farmer = farmers.get(shard.farmer);
      return {
        shard,
        doubted: doubted(shard.farmer) ? 1 : 0,
        failures: Math.min(farmer?.failures ?? 0, 8),
        // Steps of 50 ms: below that, reading data shards (no decoding) is worth more.
        distance: Math.floor((farmer?.latencyMs ?? 0) / 50),
        parity: shard.index >= k ? 1 : 0,
      };
    })
    .sort(
      (a, b) =>
        a.doubted - b.doubted ||
        a.failures - b.failures ||
        a.distance - b.distance ||
        a.parity - b.parity ||
        a.shard.index - b.shard.index,
    )
    .map(({ shard }) => shard);
}

/**
 * The range to ask for: the stretch, widened to whole nodes of the shard tree. The nodes are as large as they can
 * be without much waste, since each has to be checked, and its hash to be sent.
 */
function alignedRange(size: number, { shardOffset, shardLength }: ShardStretch) {
  let level = STREAM_LEVEL;
  const whole = shardOffset === 0 && shardLength === size;
  while (!whole && level > 0 && nodeSpan(level) * MAX_WASTE > shardLength) level -= 1;
  const span = nodeSpan(level);
  const offset = Math.floor(shardOffset / span) * span;
  const end = Math.min(Math.ceil((shardOffset + shardLength) / span) * span, size);
  return { offset, length: end - offset, level };
}

async function raceWithTimer(
  tasks: Iterable<Promise<void>>,
  clock: Clock,
  ms: number,
): Promise<void> {
  let timer: unknown;
  const timeout = new Promise<void>((resolve) => (timer = clock.setTimeout(resolve, ms)));
  await Promise.race([...tasks, timeout]);
  clock.clearTimeout(timer);
}
