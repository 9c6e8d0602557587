import { type Clock, type Random, messageOf } from '@granary/kad';
import { DatabaseError } from '../sql/database-error.js';
import type { Dialect, SqlDatabase, SqlWork, TransactionOptions } from '../sql/sql-database.js';
import { MetadataError } from './metadata-error.js';
import type { Sealer } from './sealer.js';

/** What the parts of the metadata store share. */
export interface StoreContext {
  readonly dialect: Dialect;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly random: Random;
  /** As {@link SqlDatabase.read}. @throws MetadataError. */
  read<T>(work: () => SqlWork<T>): Promise<T>;
  /** As {@link SqlDatabase.write}. @throws MetadataError. */
  write<T>(work: () => SqlWork<T>, options?: TransactionOptions): Promise<T>;
}

/** A context over a database, with its errors as the metadata store's. */
export function createContext(
  database: SqlDatabase,
  parts: Pick<StoreContext, 'sealer' | 'clock' | 'random'>,
): StoreContext {
  return {
    ...parts,
    dialect: database.dialect,
    read: (work) => database.read(work).catch(rethrow),
    write: (work, options) => database.write(work, options).catch(rethrow),
  };
}

/** Throw an error of the database as one of the metadata store. */
export function rethrow(error: unknown): never {
  if (!(error instanceof DatabaseError)) throw error;
  const code = error.code === 'DATABASE_NEWER' ? 'METADATA_MISMATCH' : 'METADATA_UNAVAILABLE';
  throw new MetadataError(code, messageOf(error), { cause: error });
}
