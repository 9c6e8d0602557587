import { hkdfSync } from 'node:crypto';
import sql from 'sql-template-tag';
import {
  type Clock,
  type Logger,
  type Random,
  silentLogger,
  systemClock,
  systemRandom,
} from '@granary/kad';
import { migrate } from '../sql/migrate.js';
import { openDatabase } from '../sql/open-database.js';
import { type SqlDatabase, query, queryOne } from '../sql/sql-database.js';
import { createBucketStore } from './bucket-store.js';
import { createContentStore } from './content-store.js';
import { createJobStore } from './job-store.js';
import { createJournalStore } from './journal-store.js';
import { journalMigrations } from './journal-tables.js';
import { MetadataError } from './metadata-error.js';
import type { MetadataStore } from './metadata-store.js';
import { createObjectStore } from './object-store.js';
import { metadataMigrations } from './schema.js';
import { type Sealer, createSealer } from './sealer.js';
import { type StoreContext, createContext, rethrow } from './store-context.js';
import { createUploadStore } from './upload-store.js';
import { createSessionStore } from './session-store.js';
import { createUserStore } from './user-store.js';

/** What a metadata store is made of. */
export interface MetadataParts {
  /** `postgres://…`, or the path of an SQLite file, which is made if it is not there. */
  readonly database: string;
  /** Secret of 32 bytes or more that what is sealed is sealed under. */
  readonly masterKey: Uint8Array;
  /** Connections to PostgreSQL at most. */
  readonly connections?: number;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger?: Logger;
}

/**
 * Open the bridge's metadata, and bring its database to the newest form.
 *
 * @throws MetadataError METADATA_UNAVAILABLE; METADATA_MISMATCH when the database belongs to another
 * master key or a newer Granary.
 */
export async function openMetadataStore(parts: MetadataParts): Promise<MetadataStore> {
  const { clock = systemClock, random = systemRandom, logger = silentLogger } = parts;
  if (parts.masterKey.length < 32) throw new RangeError('a master key has 32 bytes or more');
  const key = new Uint8Array(
    hkdfSync('sha256', parts.masterKey, new Uint8Array(), 'granary bridge metadata', 32),
  );
  const sealer = createSealer(key);
  let database: SqlDatabase;
  try {
    database = await openDatabase(parts.database, {
      clock,
      random,
      logger,
      ...(parts.connections === undefined ? {} : { connections: parts.connections }),
    });
  } catch (error) {
    return rethrow(error);
  }
  try {
    await migrate(database, 'metadata', metadataMigrations).catch(rethrow);
    await migrate(database, 'journal', journalMigrations).catch(rethrow);
    const context = createContext(database, { sealer, clock, random });
    await checkMark(context, sealer);
    return {
      ...createUserStore(context),
      ...createSessionStore(context),
      ...createBucketStore(context),
      ...createObjectStore(context),
      ...createUploadStore(context),
      ...createContentStore(context),
      ...createJobStore(context),
      ...createJournalStore(context),
      ping: async () => {
        await context.read(() => query(sql`SELECT 1 AS alive`));
      },
      close: () => database.close(),
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Check that a database was made under this master key; a new one is marked. */
async function checkMark(context: StoreContext, sealer: Sealer): Promise<void> {
  await context.write(function* () {
    const row = yield* queryOne<{ sealed: Buffer }>(
      sql`SELECT sealed FROM mark WHERE name = 'master-key'`,
    );
    if (row === undefined) {
      const sealed = sealer.seal('mark', 'granary');
      yield* query(sql`INSERT INTO mark (name, sealed) VALUES ('master-key', ${sealed})`);
      return;
    }
    try {
      sealer.open('mark', row.sealed);
    } catch (error) {
      throw new MetadataError('METADATA_MISMATCH', 'the database belongs to another master key', {
        cause: error,
      });
    }
  });
}
