import sql from 'sql-template-tag';
import { expect, it } from 'vitest';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import { openDatabase } from '../sql/open-database.js';
import { query } from '../sql/sql-database.js';
import { onEveryDatabase, small, userWithBucket } from './databases.test-support.js';

onEveryDatabase('a database that lies', (place) => {
  it('is found out when it alters or exchanges what it keeps', async () => {
    const where = await place();
    const store = await where.open();
    const owner = await userWithBucket(store);
    await userWithBucket(store, 'other');
    await store.putVersion(small('bucket', 'a', 'mine', owner));
    await store.putVersion(small('bucket', 'b', 'else', owner));
    await store.createAccessKey({
      id: 'KEY',
      userId: owner,
      secret: 's',
      expires: null,
      disabled: false,
      description: '',
      scope: null,
    });
    const parts = { clock: systemClock, random: systemRandom, logger: silentLogger };
    const database = await openDatabase(where.url, parts);
    const damaged = { code: 'METADATA_DAMAGED' };
    /** Alter something, look, and put it back. */
    const lie = async (statement: ReturnType<typeof sql>, look: () => Promise<unknown>) => {
      await expect(
        database.write(function* () {
          yield* query(statement);
        }),
      ).resolves.toBeUndefined();
      await expect(look(), statement.text).rejects.toMatchObject(damaged);
    };
    const [a, b] = [Buffer.from('a'), Buffer.from('b')];
    try {
      await lie(
        sql`UPDATE versions SET body = (SELECT v.body FROM versions v WHERE v.key = ${b}) WHERE key = ${a}`,
        () => store.version('bucket', 'a'),
      );
      await lie(
        sql`UPDATE bodies SET bytes = (SELECT o.bytes FROM bodies o ORDER BY o.ref LIMIT 1)`,
        async () => {
          // One of both has the other's bytes now.
          await store.version('bucket', 'b');
          await store.version('bucket', 'a');
        },
      );
      await lie(sql`UPDATE versions SET size = 3`, () =>
        store.listObjects({ bucket: 'bucket', limit: 5 }),
      );
      await lie(
        sql`UPDATE buckets SET owner = (SELECT o.owner FROM buckets o WHERE o.name = 'other')`,
        () => store.bucket('bucket'),
      );
      await lie(
        sql`UPDATE access_keys SET user_id = (SELECT o.owner FROM buckets o WHERE o.name = 'other')`,
        async () => {
          await store.listAccessKeys(owner, { limit: 5 });
          await store.accessKey('KEY');
        },
      );
      await lie(sql`UPDATE users SET quota_bytes = 1`, () => store.user(owner));
    } finally {
      await database.close();
    }
  });
});
