import { parseManifest, parseSegmentRecord } from '@granary/protocol';
import { type ContractRecords, contractRecords } from './contract-records.js';
import { type FarmerRecords, farmerRecords } from './farmer-records.js';
import { type GrantRows, grantRows } from './grant-rows.js';
import { type IndexRecords, indexRecords } from './index-records.js';
import { type LeaseRecords, leaseRecords } from './lease-records.js';
import { type ObjectRecords, objectRecords } from './object-records.js';
import type { RecordDatabase } from './record-database.js';
import { keys, within } from './record-keys.js';
import type { ProposalRecord } from './records.js';
import { SealedRecords } from './sealed-records.js';
import { appendObject, putHoldings } from './store-changes.js';
import { type ShareRows, shareRows } from './share-rows.js';
import { type UploadRecords, uploadRecords } from './upload-records.js';

/** The form of the store: what has to be made up for when an older one is opened. */
const STORE_VERSION = 2;

/**
 * The renter's own store: manifests, contracts, uploads under way, deletions to finish, farmers met. Its
 * parts are each a theme; every method that changes something is one transaction, on the disk when its
 * promise resolves (leases need not be).
 */
export interface RenterStore
  extends
    ObjectRecords,
    ContractRecords,
    UploadRecords,
    FarmerRecords,
    LeaseRecords,
    IndexRecords,
    ShareRows,
    GrantRows {
  /** See {@link RecordDatabase.reach}. */
  readonly reach: RecordDatabase['reach'];
  /** Every row but those that are of this place and time alone, for an export. */
  dump(): AsyncGenerator<readonly [string, unknown]>;
  /** Write rows of an export. */
  load(rows: readonly (readonly [string, unknown])[]): Promise<void>;
  close(): Promise<void>;
}

/**
 * A store over records, brought to the newest form.
 *
 * @param key - 32 bytes that values are sealed under
 * @throws RenterError RENTER_STORE when it can't be read, or belongs to other keys.
 */
export async function openRenterStore(
  database: RecordDatabase,
  key: Uint8Array,
): Promise<RenterStore> {
  const records = new SealedRecords(database, key);
  const objects = objectRecords(records);
  await upgrade(records);
  return {
    ...objects,
    ...contractRecords(records),
    ...uploadRecords(records, objects),
    ...farmerRecords(records),
    ...leaseRecords(records),
    ...indexRecords(records),
    ...shareRows(records),
    ...grantRows(records),
    reach: database.reach,

    async *dump() {
      for await (const row of records.entries({ start: '', end: '\u{10ffff}' })) {
        if (!/^(lease|reading)\//.test(row[0])) yield row;
      }
    },

    load: (rows) =>
      records.change((t) => {
        for (const [name, value] of rows) t.put(name, value);
      }),

    close: () => database.close(),
  };
}

/** Make up for what an older form of the store did not keep. */
async function upgrade(records: SealedRecords): Promise<void> {
  const version = ((await records.get(keys.version)) as number | undefined) ?? 1;
  if (version >= STORE_VERSION) return;
  for await (const manifest of records.values(within('object/'), parseManifest)) {
    const { objectId } = manifest;
    const segments = records.values(within(keys.segments(objectId)), parseSegmentRecord);
    for await (const segment of segments) {
      await records.change(
        (t) => {
          putHoldings(t, objectId, segment);
        },
        { durable: false },
      );
    }
    await records.transaction((t) => appendObject(t, manifest), { durable: false });
  }
  const proposals = records.values(within('proposal/'), (value) => value as ProposalRecord);
  for await (const { contract, upload } of proposals) {
    await records.change(
      (t) => {
        t.put(keys.proposed(contract), upload);
      },
      { durable: false },
    );
  }
  await records.change((t) => {
    t.put(keys.version, STORE_VERSION);
  });
}
