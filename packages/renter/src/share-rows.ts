import { z } from 'zod';
import { LOG_TURN, keys, within } from './record-keys.js';
import type { ObjectPath, ShareRow } from './records.js';
import type { SealedRecords, Transaction } from './sealed-records.js';
import { appendLog } from './store-changes.js';

const time = z.number().int().min(0);
const rowSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  bucket: z.string(),
  name: z.string(),
  objectId: z.string().regex(/^[0-9a-f]{32}$/),
  created: time,
  expires: time.nullable(),
  reads: z.number().int().min(1),
  state: z.enum(['open', 'revoked', 'deleted', 'replaced']),
  ended: time.nullable(),
  grantedUntil: time,
  farmers: z.array(z.string()),
  untold: z.array(z.string()),
  perPage: z.number().int().min(1),
  pages: z.number().int().min(1),
  sequence: time,
  placed: time,
  digest: z.string(),
});

/** Read a share's row as the index has it. @throws ZodError. */
export function parseShareRow(value: unknown): ShareRow {
  return rowSchema.parse(value);
}

/** Shares of objects. */
export interface ShareRows {
  share(id: string): Promise<ShareRow | undefined>;
  /** All shares, those that came to their end among them as long as that has to be said. */
  shares(): AsyncGenerator<ShareRow>;
  /** Shares of one object's name. */
  sharesOf(path: ObjectPath): AsyncGenerator<ShareRow>;
  /** Keep a new share. */
  putShare(row: ShareRow): Promise<void>;
  /**
   * Change an open share in what a recovery has to know. One that came to its end meanwhile stays as it is, so
   * that nobody opens again what somebody else took back.
   *
   * @returns the share as it is now; undefined when it is gone
   */
  changeOpenShare(id: string, change: (row: ShareRow) => ShareRow): Promise<ShareRow | undefined>;
  /** Change a share in what only this store knows; nothing happens when it is gone. */
  changeShare(id: string, change: (row: ShareRow) => ShareRow): Promise<void>;
  removeShare(row: ShareRow): Promise<void>;
  /** Write a share as the index has it: for recovery. */
  restoreShare(row: ShareRow): Promise<void>;
}

/** Shares in records. */
export function shareRows(records: SealedRecords): ShareRows {
  const asRow = (value: unknown) => value as ShareRow;

  function put(t: Transaction, row: ShareRow): void {
    t.put(keys.share(row.id), row);
    t.put(keys.shareOf(row, row.id), row.id);
  }

  return {
    share: async (id) => (await records.get(keys.share(id))) as ShareRow | undefined,

    shares: () => records.values(within('share/'), asRow),

    async *sharesOf(path) {
      for await (const id of records.values(within(keys.shareOf(path, '')), String)) {
        const row = await records.get(keys.share(id));
        if (row !== undefined) yield asRow(row);
      }
    },

    putShare: (row) =>
      records.transaction(function* (t) {
        put(t, row);
        yield* appendLog(t, { op: 'share', id: row.id });
      }, LOG_TURN),

    changeOpenShare: (id, change) =>
      records.transaction(function* (t) {
        const known = yield* t.get(keys.share(id));
        if (known === undefined) return undefined;
        const row = asRow(known);
        if (row.state !== 'open') return row;
        const changed = change(row);
        t.put(keys.share(id), changed);
        yield* appendLog(t, { op: 'share', id });
        return changed;
      }, LOG_TURN),

    changeShare: (id, change) =>
      records.transaction(function* (t) {
        const row = yield* t.get(keys.share(id));
        if (row !== undefined) t.put(keys.share(id), change(asRow(row)));
      }),

    removeShare: (row) =>
      records.transaction(function* (t) {
        t.remove(keys.share(row.id));
        t.remove(keys.shareOf(row, row.id));
        yield* appendLog(t, { op: 'share', id: row.id });
      }, LOG_TURN),

    restoreShare: (row) => records.change((t) => put(t, row)),
  };
}
