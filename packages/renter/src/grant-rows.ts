import { z } from 'zod';
import { LOG_TURN, keys, within } from './record-keys.js';
import type { GrantRow } from './records.js';
import type { SealedRecords } from './sealed-records.js';
import { appendLog } from './store-changes.js';

const time = z.number().int().min(0);
const rowSchema = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  bucket: z.string(),
  prefix: z.string(),
  created: time,
  expires: time.nullable(),
  reads: z.number().int().min(1),
  state: z.enum(['open', 'revoked']),
  ended: time.nullable(),
  grantedUntil: time,
  farmers: z.array(z.string()),
  untold: z.array(z.string()),
  objects: z.number().int().min(0),
  catalogues: z.array(z.string()),
  list: z.number().int().min(0),
  sequence: time,
  placed: time,
  digest: z.string(),
  catalogueDigest: z.string(),
});

/** Read an access grant's row as the index has it. @throws ZodError. */
export function parseGrantRow(value: unknown): GrantRow {
  return rowSchema.parse(value);
}

/** Access grants. */
export interface GrantRows {
  grant(id: string): Promise<GrantRow | undefined>;
  /** All of them, those that were taken back among them as long as that has to be said. */
  grants(): AsyncGenerator<GrantRow>;
  /** Keep a new one, or one that has changed in what a recovery has to know. */
  putGrant(row: GrantRow): Promise<void>;
  /**
   * Change one; nothing happens when it is gone.
   *
   * @param tell - tell the index, too: a recovery has to know. Default false
   */
  changeGrant(id: string, change: (row: GrantRow) => GrantRow, tell?: boolean): Promise<void>;
  removeGrant(row: GrantRow): Promise<void>;
  /** Write one as the index has it: for recovery. */
  restoreGrant(row: GrantRow): Promise<void>;
}

/** Access grants in records. */
export function grantRows(records: SealedRecords): GrantRows {
  const asRow = (value: unknown) => value as GrantRow;
  return {
    grant: async (id) => (await records.get(keys.grant(id))) as GrantRow | undefined,

    grants: () => records.values(within(keys.grant('')), asRow),

    putGrant: (row) =>
      records.transaction(function* (t) {
        t.put(keys.grant(row.id), row);
        yield* appendLog(t, { op: 'grant', id: row.id });
      }, LOG_TURN),

    changeGrant: (id, change, tell = false) =>
      records.transaction(
        function* (t) {
          const row = yield* t.get(keys.grant(id));
          if (row === undefined) return;
          t.put(keys.grant(id), change(asRow(row)));
          if (tell) yield* appendLog(t, { op: 'grant', id });
        },
        tell ? LOG_TURN : {},
      ),

    removeGrant: (row) =>
      records.transaction(function* (t) {
        t.remove(keys.grant(row.id));
        yield* appendLog(t, { op: 'grant', id: row.id });
      }, LOG_TURN),

    restoreGrant: (row) =>
      records.change((t) => {
        t.put(keys.grant(row.id), row);
      }),
  };
}
