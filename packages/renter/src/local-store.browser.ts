// Where a renter keeps what it knows, in browsers: databases of IndexedDB, named after the "directory". See
// local-store.ts.
import { IndexedDbRows, type Rows } from '@granary/payments';
import { IndexedDbRecords } from './indexed-db-records.js';
import type { RecordDatabase } from './record-database.js';

/** Open the records of a name. @throws RenterError RENTER_STORE. */
export function openLocalRecords(directory: string): Promise<RecordDatabase> {
  return IndexedDbRecords.open(`${directory}/records`);
}

/** Open the rows of the book of payments of a name. @throws PaymentError PAYMENT_BOOK. */
export function openLocalRows(directory: string): Promise<Rows> {
  return IndexedDbRows.open(`${directory}/payments`);
}
