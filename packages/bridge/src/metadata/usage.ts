import sql from 'sql-template-tag';
import { type SqlWork, execute, query, queryOne } from '../sql/sql-database.js';
import { newId } from './identifiers.js';
import { MetadataError } from './metadata-error.js';
import type { Quota, Usage } from './records.js';
import type { StoreContext } from './store-context.js';

/** Changes of a bucket's usage that are added up at one time. */
const FOLD = 1000;

/** What a bucket holds. */
export function* usageOfBucket(bucket: Buffer): SqlWork<Usage> {
  const row = yield* queryOne<Usage>(sql`SELECT
    COALESCE(SUM(objects), 0) AS objects, COALESCE(SUM(bytes), 0) AS bytes FROM (
      SELECT objects, bytes FROM usage_sums WHERE bucket = ${bucket}
      UNION ALL SELECT objects, bytes FROM usage_changes WHERE bucket = ${bucket}) AS held`);
  return { objects: Number(row!.objects), bytes: Number(row!.bytes) };
}

/** What all buckets of a user hold. */
export function* usageOfUser(user: Buffer): SqlWork<Usage> {
  const row = yield* queryOne<Usage>(sql`SELECT
    COALESCE(SUM(objects), 0) AS objects, COALESCE(SUM(bytes), 0) AS bytes FROM (
      SELECT s.objects, s.bytes FROM buckets b JOIN usage_sums s ON s.bucket = b.id
        WHERE b.owner = ${user}
      UNION ALL SELECT c.objects, c.bytes FROM buckets b JOIN usage_changes c ON c.bucket = b.id
        WHERE b.owner = ${user}) AS held`);
  return { objects: Number(row!.objects), bytes: Number(row!.bytes) };
}

/**
 * Note that a bucket holds more or less, and check its owner's quota where it holds more. Writers at
 * one time do not see each other: together they may go beyond the quota by what is under way.
 *
 * @throws MetadataError METADATA_QUOTA.
 */
export function* changeUsage(
  { clock, random }: StoreContext,
  bucket: Buffer,
  change: Usage,
  limit?: { readonly owner: Buffer; readonly quota: Pick<Quota, 'bytes' | 'objects'> },
): SqlWork<void> {
  if (change.objects === 0 && change.bytes === 0) return;
  if (limit !== undefined) {
    const { bytes, objects } = limit.quota;
    const checkBytes = bytes !== null && change.bytes > 0;
    const checkObjects = objects !== null && change.objects > 0;
    if (checkBytes || checkObjects) {
      const held = yield* usageOfUser(limit.owner);
      if (checkBytes && held.bytes + change.bytes > bytes) {
        throw new MetadataError('METADATA_QUOTA', `the quota of ${bytes} bytes is used up`);
      }
      if (checkObjects && held.objects + change.objects > objects) {
        throw new MetadataError('METADATA_QUOTA', `the quota of ${objects} objects is used up`);
      }
    }
  }
  yield* execute(sql`INSERT INTO usage_changes (bucket, id, objects, bytes)
    VALUES (${bucket}, ${newId(clock, random)}, ${change.objects}, ${change.bytes})`);
}

/** Add changes of a bucket's usage up, so that they stay few. */
export function* foldUsage(bucket: Buffer): SqlWork<void> {
  const rows = yield* query<{ objects: number; bytes: number }>(sql`DELETE FROM usage_changes
    WHERE bucket = ${bucket} AND id IN (
      SELECT id FROM usage_changes WHERE bucket = ${bucket} ORDER BY id LIMIT ${FOLD})
    RETURNING objects, bytes`);
  if (rows.length === 0) return;
  const objects = rows.reduce((sum, row) => sum + row.objects, 0);
  const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
  yield* execute(sql`INSERT INTO usage_sums (bucket, objects, bytes)
    VALUES (${bucket}, ${objects}, ${bytes}) ON CONFLICT (bucket) DO UPDATE
    SET objects = usage_sums.objects + excluded.objects, bytes = usage_sums.bytes + excluded.bytes`);
}
