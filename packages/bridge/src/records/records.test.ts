import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import { LmdbRecords, type RecordDatabase } from '@granary/renter';
import { openDatabase } from '../sql/open-database.js';
import { type PostgresServer, startPostgres } from '../sql/postgres-server.test-support.js';
import { SqlRecords } from './sql-records.js';
import { recordsSuite } from './records-suite.test-support.js';

const parts = { clock: systemClock, random: systemRandom, logger: silentLogger };

describe.each(['lmdb', 'sqlite', 'postgres'])('records in %s', (kind) => {
  let server: PostgresServer | undefined;
  let directory: string;
  let url: string;
  const opened: RecordDatabase[] = [];
  beforeAll(async () => {
    if (kind === 'postgres') server = await startPostgres({ durable: false });
  }, 60_000);
  afterAll(() => server?.close(), 60_000);
  afterEach(async () => {
    for (const database of opened.splice(0)) await database.close();
    await rm(directory, { recursive: true, force: true });
  });

  async function place(): Promise<() => Promise<RecordDatabase>> {
    directory = await mkdtemp(join(tmpdir(), 'granary-records-'));
    url = server ? await server.createDatabase() : join(directory, 'records.db');
    return async () => {
      const database =
        kind === 'lmdb'
          ? await LmdbRecords.open(directory)
          : await SqlRecords.open(await openDatabase(url, parts), 'renter');
      opened.push(database);
      return database;
    };
  }

  recordsSuite(place);
});
