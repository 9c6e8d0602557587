import { type Clock, type Logger, messageOf } from '@granary/kad';
import type { ConnectionPool } from './connection-pool.js';
import type { GarbageRecord } from './records.js';
import type { RenterStore } from './renter-store.js';

/** How deletions went. */
export interface DeletionReport {
  /** Shards whose farmers have confirmed, or whose contracts have ended. */
  readonly confirmed: number;
  /** Farmers that could not be asked, and how many shards they still hold. */
  readonly pending: readonly {
    readonly farmer: string;
    readonly shards: number;
    readonly reason: string;
  }[];
  /** Deleted or replaced objects that somebody still reads: their shards go when that is over. */
  readonly beingRead: number;
}

/** Farmers asked at one time. */
const PARALLEL = 16;
/** Confirmations forgotten in one transaction. */
const BATCH = 256;

/**
 * Have garbage deleted by its farmers, all farmers at once, each one's shards one after the other.
 * What can't be done now stays garbage, for the next call.
 *
 * @param wanted - only these contracts; all garbage when not given
 */
export async function collectGarbage(
  {
    store,
    pool,
    clock,
    logger,
  }: {
    store: RenterStore;
    pool: ConnectionPool;
    clock: Clock;
    logger: Logger;
  },
  signal: AbortSignal,
  wanted?: ReadonlySet<string>,
): Promise<Omit<DeletionReport, 'beingRead'>> {
  const byFarmer = new Map<string, GarbageRecord[]>();
  const ended: string[] = [];
  for await (const record of store.garbage()) {
    if (wanted !== undefined && !wanted.has(record.contract)) continue;
    // Farmers keep shards for a day of grace; after two nobody can have it any more.
    if (record.ends + 2 * 24 * 3600 * 1000 < clock.now()) ended.push(record.contract);
    else {
      const records = byFarmer.get(record.farmer) ?? [];
      records.push(record);
      byFarmer.set(record.farmer, records);
    }
  }
  await store.removeGarbage(ended);
  let confirmed = ended.length;
  const pending: { farmer: string; shards: number; reason: string }[] = [];
  const queue = [...byFarmer];
  const work = async () => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      const [farmer, records] = next;
      let done: string[] = [];
      let finished = 0;
      const settle = async () => {
        await store.removeGarbage(done);
        finished += done.length;
        confirmed += done.length;
        done = [];
      };
      try {
        await pool.use(farmer, signal, async (connection) => {
          for (const { contract } of records.slice(finished)) {
            await connection.delete(contract, signal);
            done.push(contract);
            if (done.length >= BATCH) await settle();
          }
        });
        await settle();
      } catch (error) {
        await settle();
        const reason = messageOf(error);
        logger.info({ farmer, reason }, 'a farmer could not be asked to delete');
        pending.push({ farmer, shards: records.length - finished, reason });
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return { confirmed, pending };
}
