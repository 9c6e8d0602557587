import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { type PostgresServer, startPostgres } from '../sql/postgres-server.test-support.js';
import type { Clock } from '@granary/kad';
import { systemClock } from '@granary/kad';
import type { MetadataStore } from './metadata-store.js';
import { openMetadataStore } from './open-metadata.js';
import type { NewVersion } from './requests.js';

/** A clock that can be set ahead. */
export class AheadClock implements Clock {
  ahead = 0;
  now = () => Date.now() + this.ahead;
  setTimeout = systemClock.setTimeout;
  clearTimeout = systemClock.clearTimeout;
}

/** A place for a database, and stores over it. */
export interface DatabasePlace {
  readonly url: string;
  /** Another store over the same database, with connections of its own. */
  open(clock?: Clock): Promise<MetadataStore>;
  close(): Promise<void>;
}

const masterKey = randomBytes(32);

/** Run a suite on every kind of database; `place` makes an empty one. */
export function onEveryDatabase(
  name: string,
  suite: (place: () => Promise<DatabasePlace>) => void,
) {
  describe.each(['sqlite', 'postgres'])(`${name} (%s)`, (kind) => {
    let server: PostgresServer | undefined;
    const places: DatabasePlace[] = [];
    beforeAll(async () => {
      if (kind === 'postgres') server = await startPostgres({ durable: false });
    }, 60_000);
    afterEach(async () => {
      for (const place of places.splice(0)) await place.close();
    }, 60_000);
    afterAll(() => server?.close(), 60_000);
    suite(async () => {
      const directory = await mkdtemp(join(tmpdir(), 'granary-metadata-'));
      const url = server ? await server.createDatabase() : join(directory, 'bridge.db');
      const stores: MetadataStore[] = [];
      const place: DatabasePlace = {
        url,
        open: async (clock = systemClock) => {
          const store = await openMetadataStore({ database: url, masterKey, clock });
          stores.push(store);
          return store;
        },
        close: async () => {
          for (const store of stores) await store.close();
          await rm(directory, { recursive: true, force: true });
        },
      };
      places.push(place);
      return place;
    });
  });
}

/** A user with a bucket. */
export async function userWithBucket(
  store: MetadataStore,
  name = 'bucket',
  options: { objectLock?: boolean; quota?: number | null } = {},
): Promise<string> {
  const { objectLock = false, quota = null } = options;
  const user = await store.createUser({
    name: `owner of ${name}`,
    disabled: false,
    admin: false,
    passwordHash: null,
    quota: { bytes: quota, objects: null, buckets: null },
    attributes: {},
  });
  await store.createBucket({ name, owner: user.id, objectLock });
  return user.id;
}

/** A small version. */
export function small(bucket: string, key: string, text: string, owner: string): NewVersion {
  const bytes = Buffer.from(text);
  return {
    bucket,
    key,
    body: { kind: 'inline', bytes },
    size: bytes.length,
    etag: `etag-of-${text}`,
    checksums: [],
    owner,
    storageClass: 'STANDARD',
    details: {
      headers: { 'content-type': 'text/plain' },
      metadata: {},
      tags: {},
      acl: null,
      encryption: null,
    },
  };
}
