import sql, { empty } from 'sql-template-tag';
import { type SqlWork, execute, query, queryOne } from '../sql/sql-database.js';
import { badInput, checkAfter, checkLimit, checkedId, newId } from './identifiers.js';
import { MetadataError } from './metadata-error.js';
import type { BucketStore } from './metadata-store.js';
import type { Bucket, Versioning } from './records.js';
import type { Sealer } from './sealer.js';
import type { StoreContext } from './store-context.js';
import { usageOfBucket } from './usage.js';

/** A bucket as it is stored. */
export interface BucketRow {
  readonly id: Buffer;
  readonly name: string;
  readonly owner: Buffer;
  readonly created: number;
  readonly versioning: number;
  readonly locking: number;
  readonly sealed: Buffer;
}

const VERSIONING: readonly Versioning[] = ['off', 'enabled', 'suspended'];
const place = (id: Buffer) => `bucket/${id.toString('hex')}`;

/** The state of a bucket's versioning, from its column. */
export function versioningOf({ versioning }: Pick<BucketRow, 'versioning'>): Versioning {
  return VERSIONING[versioning] ?? 'off';
}

/** The row of a bucket. @throws MetadataError METADATA_NO_SUCH_BUCKET. */
export function* bucketRow(name: string): SqlWork<BucketRow> {
  // A name with NUL is none, and some databases would not take it as a text.
  const row = name.includes('\0')
    ? undefined
    : yield* queryOne<BucketRow>(sql`SELECT * FROM buckets WHERE name = ${name}`);
  if (row === undefined) throw noSuchBucket(name);
  return row;
}

export function noSuchBucket(name: string): MetadataError {
  return new MetadataError('METADATA_NO_SUCH_BUCKET', `there is no bucket "${name}"`);
}

/** What is sealed of a bucket: its documents, and its columns once more. */
function sealBucket(sealer: Sealer, bucket: Bucket): Buffer {
  return sealer.seal(place(Buffer.from(bucket.id, 'hex')), bucket);
}

/** A bucket from its row. @throws MetadataError METADATA_DAMAGED when it was altered. */
function bucketOf(sealer: Sealer, row: BucketRow): Bucket {
  const bucket = sealer.open(place(row.id), row.sealed) as Bucket;
  const same =
    bucket.name === row.name &&
    bucket.owner === row.owner.toString('hex') &&
    bucket.versioning === versioningOf(row) &&
    bucket.objectLock === (row.locking === 1);
  if (!same) throw new MetadataError('METADATA_DAMAGED', 'a bucket was altered in the database');
  return bucket;
}

/** Buckets in a database. */
export function createBucketStore(context: StoreContext): BucketStore {
  const { sealer, clock, random } = context;
  return {
    createBucket: async ({ name, owner, objectLock = false, documents = {} }) => {
      if (!/^[a-z0-9][a-z0-9.-]{0,62}$/.test(name)) {
        throw badInput(
          `"${name.slice(0, 100)}" is not a bucket's name: 1 to 63 of a-z, 0-9, "." and "-", the first a letter or digit`,
        );
      }
      const user = checkedId(owner, "a user's ID");
      const id = newId(clock, random);
      const bucket: Bucket = {
        id: id.toString('hex'),
        name,
        owner,
        created: clock.now(),
        versioning: objectLock ? 'enabled' : 'off',
        objectLock,
        documents,
      };
      return context.write(function* () {
        if (yield* queryOne(sql`SELECT id FROM buckets WHERE name = ${name}`)) {
          throw new MetadataError('METADATA_BUCKET_EXISTS', `a bucket "${name}" is there already`);
        }
        const found = yield* queryOne<{ quota_buckets: number | null }>(
          sql`SELECT quota_buckets FROM users WHERE id = ${user}`,
        );
        if (found === undefined) {
          throw new MetadataError('METADATA_NO_SUCH_USER', 'there is no such user');
        }
        const most = found.quota_buckets;
        if (most !== null) {
          const held = yield* queryOne<{ n: number }>(
            sql`SELECT COUNT(*) AS n FROM buckets WHERE owner = ${user}`,
          );
          if (held!.n >= most) {
            throw new MetadataError('METADATA_QUOTA', `the quota of ${most} buckets is used up`);
          }
        }
        yield* execute(sql`INSERT INTO buckets
          (id, name, owner, created, versioning, locking, sealed) VALUES (${id}, ${name}, ${user},
          ${bucket.created}, ${VERSIONING.indexOf(bucket.versioning)}, ${objectLock ? 1 : 0},
          ${sealBucket(sealer, bucket)})`);
        return bucket;
      });
    },

    bucket: async (name) =>
      context.read(function* () {
        if (name.includes('\0')) return undefined;
        const row = yield* queryOne<BucketRow>(sql`SELECT * FROM buckets WHERE name = ${name}`);
        return row && bucketOf(sealer, row);
      }),

    listBuckets: async ({ after = '', limit, owner }) => {
      checkLimit(limit);
      checkAfter(after);
      const of = owner === undefined ? empty : sql`AND owner = ${checkedId(owner, "a user's ID")}`;
      return context.read(function* () {
        const rows = yield* query<BucketRow>(
          sql`SELECT * FROM buckets WHERE name > ${after} ${of} ORDER BY name LIMIT ${limit}`,
        );
        return rows.map((row) => bucketOf(sealer, row));
      });
    },

    changeBucket: async (name, change) =>
      context.write(function* () {
        const row = yield* bucketRow(name);
        const old = bucketOf(sealer, row);
        const documents = { ...old.documents };
        for (const [title, document] of Object.entries(change.documents ?? {})) {
          if (document === null || document === undefined) delete documents[title];
          else documents[title] = document;
        }
        const objectLock = old.objectLock || change.objectLock === true;
        const versioning = change.versioning ?? old.versioning;
        if (objectLock && versioning !== 'enabled') {
          throw new MetadataError(
            'METADATA_BUCKET_STATE',
            'a bucket with object lock has versioning enabled',
          );
        }
        const next: Bucket = { ...old, versioning, objectLock, documents };
        yield* execute(sql`UPDATE buckets SET versioning = ${VERSIONING.indexOf(versioning)},
          locking = ${objectLock ? 1 : 0}, sealed = ${sealBucket(sealer, next)}
          WHERE id = ${row.id}`);
        return next;
      }),

    deleteBucket: async (name) =>
      context.write(function* () {
        const { id } = yield* bucketRow(name);
        const held =
          (yield* queryOne(sql`SELECT rank FROM versions WHERE bucket = ${id} LIMIT 1`)) ??
          (yield* queryOne(sql`SELECT id FROM uploads WHERE bucket = ${id} LIMIT 1`));
        if (held !== undefined) {
          throw new MetadataError(
            'METADATA_BUCKET_NOT_EMPTY',
            `the bucket "${name}" holds objects, versions or unfinished uploads`,
          );
        }
        yield* execute(sql`DELETE FROM buckets WHERE id = ${id}`);
        yield* execute(sql`DELETE FROM usage_changes WHERE bucket = ${id}`);
        yield* execute(sql`DELETE FROM usage_sums WHERE bucket = ${id}`);
      }),

    bucketUsage: async (name) =>
      context.read(function* () {
        const { id } = yield* bucketRow(name);
        return yield* usageOfBucket(id);
      }),
  };
}
