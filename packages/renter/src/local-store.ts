// Where a renter keeps what it knows, in Node: LMDB in a directory. `#renter/local-store` in package.json
// chooses between this file and local-store.browser.ts; both export the same names.
import { join } from 'node:path';
import { LmdbRows, type Rows } from '@granary/payments';
import { LmdbRecords } from './lmdb-records.js';
import type { RecordDatabase } from './record-database.js';

/** Open the records in a directory. @throws RenterError RENTER_STORE. */
export function openLocalRecords(directory: string): Promise<RecordDatabase> {
  return LmdbRecords.open(directory);
}

/** Open the rows of the book of payments in a directory. @throws PaymentError PAYMENT_BOOK. */
export async function openLocalRows(directory: string): Promise<Rows> {
  return LmdbRows.open(join(directory, 'payments.lmdb'));
}
