import { keys } from './record-keys.js';
import type { LeaseRecord } from './records.js';
import type { SealedRecords } from './sealed-records.js';

/** Who works on what, and who reads what. */
export interface LeaseRecords {
  /**
   * Take a lease, or hold it for longer.
   *
   * @param isLive - whether the holder of another lease, that has not expired, is still there
   * @returns whether it is ours now
   */
  takeLease(
    name: string,
    lease: LeaseRecord,
    now: number,
    isLive: (lease: LeaseRecord) => boolean,
  ): Promise<boolean>;
  giveLease(name: string, lease: LeaseRecord): Promise<void>;
  /** Who holds a lease, or did so last. */
  lease(name: string): Promise<LeaseRecord | undefined>;
  /** Say that an object is being read, so that its shards stay until that is over. */
  beginReading(objectId: string, lease: LeaseRecord): Promise<void>;
  /** The reading is over. Whether the object was retired meanwhile. */
  endReading(objectId: string, lease: LeaseRecord): Promise<boolean>;
}

/** Leases in records. */
export function leaseRecords(records: SealedRecords): LeaseRecords {
  const isOurs = (held: LeaseRecord | undefined, { process, token }: LeaseRecord) =>
    held?.process === process && held.token === token;

  return {
    takeLease: (name, lease, now, isLive) =>
      records.transaction(
        function* (t) {
          const held = (yield* t.get(keys.lease(name))) as LeaseRecord | undefined;
          const free =
            held === undefined || isOurs(held, lease) || held.expires <= now || !isLive(held);
          if (free) t.put(keys.lease(name), lease);
          return free;
        },
        { durable: false },
      ),

    giveLease: (name, lease) =>
      records.transaction(
        function* (t) {
          const held = (yield* t.get(keys.lease(name))) as LeaseRecord | undefined;
          if (isOurs(held, lease)) t.remove(keys.lease(name));
        },
        { durable: false },
      ),

    lease: async (name) => (await records.get(keys.lease(name))) as LeaseRecord | undefined,

    beginReading: (objectId, lease) =>
      records.change(
        (t) => {
          t.put(keys.reading(objectId, lease.token), lease);
        },
        { durable: false },
      ),

    endReading: async (objectId, { token }) => {
      await records.change(
        (t) => {
          t.remove(keys.reading(objectId, token));
        },
        { durable: false },
      );
      return records.has(keys.retired(objectId));
    },
  };
}
