import sql from 'sql-template-tag';
import { randomFraction } from '@granary/kad';
import {
  type SqlWork,
  type TransactionOptions,
  execute,
  query,
  queryOne,
  returning,
} from '../sql/sql-database.js';
import { addBody, bodiesOf, checkBody, checkFound, holdContents, insertExtents } from './bodies.js';
import { type BucketRow, bucketRow, noSuchBucket, versioningOf } from './bucket-store.js';
import { badInput, checkLimit, checkedId, keyBytes, newId } from './identifiers.js';
import { listObjects, listVersions } from './listing.js';
import { MetadataError } from './metadata-error.js';
import type { ObjectStore } from './metadata-store.js';
import { checkDeletable, checkRetentionChange } from './object-lock.js';
import { partAt, placeOf, readPartList } from './part-list.js';
import { type PartRow, copyParts, partOf } from './part-rows.js';
import { checkPrecondition } from './precondition.js';
import type { NewBody, ObjectVersion, Retention } from './records.js';
import type { Deletion, DeleteOutcome, NewVersion } from './requests.js';
import type { StoreContext } from './store-context.js';
import { changeUsage, foldUsage } from './usage.js';
import {
  COLUMNS,
  type Details,
  type FoundVersion,
  type VersionContent,
  type VersionRow,
  detailsOf,
  insertVersion,
  latestRow,
  moveDown,
  newVersionId,
  oldNull,
  removeVersion,
  rowById,
  sealDetails,
  summaryOf,
  versionOf,
} from './version-rows.js';

/** One in so many writes adds a bucket's usage up. */
const FOLD_ONE_IN = 250;

/** A bucket with its owner's quota. */
interface TargetRow extends BucketRow {
  readonly quota_bytes: number | null;
  readonly quota_objects: number | null;
}

/** The bucket that is written to. @throws MetadataError METADATA_NO_SUCH_BUCKET. */
export function* targetOf(name: string): SqlWork<TargetRow> {
  const row = name.includes('\0')
    ? undefined
    : yield* queryOne<TargetRow>(sql`SELECT b.*, u.quota_bytes, u.quota_objects
        FROM buckets b JOIN users u ON u.id = b.owner WHERE b.name = ${name}`);
  if (row === undefined) throw noSuchBucket(name);
  return row;
}

/** A body that was made or copied for a new version. */
interface Held extends Pick<VersionContent, 'body' | 'parts' | 'size'>, Pick<Details, 'sealing'> {
  /** Parts that it was made of, if any. */
  readonly count: number;
}

/** The bucket that is written to and the newest version of a key, in one question. */
function* targetAndLatest(
  name: string,
  key: Buffer,
): SqlWork<{ target: TargetRow; latest: VersionRow | undefined }> {
  const row = name.includes('\0')
    ? undefined
    : yield* queryOne<TargetRow & { [K in keyof VersionRow]: VersionRow[K] | null }>(
        sql`SELECT b.*, u.quota_bytes, u.quota_objects, ${COLUMNS}
          FROM buckets b JOIN users u ON u.id = b.owner
          LEFT JOIN versions v ON v.bucket = b.id AND v.key = ${key} AND v.rank =
            (SELECT MIN(w.rank) FROM versions w WHERE w.bucket = b.id AND w.key = ${key})
          WHERE b.name = ${name}`,
      );
  if (row === undefined) throw noSuchBucket(name);
  return { target: row, latest: row.rank === null ? undefined : (row as TargetRow & VersionRow) };
}

/** The quota that a write to a bucket counts against, for {@link changeUsage}. */
export function limitOf({ owner, quota_bytes: bytes, quota_objects: objects }: TargetRow) {
  return { owner, quota: { bytes, objects } };
}

/**
 * Put a version on top of its key, as its bucket's versioning says.
 *
 * @param make - makes the body, once it is known that the version may be written
 * @param known - the newest version of the key, where it has been looked up
 */
export function* putOnTop(
  context: StoreContext,
  bucket: TargetRow,
  key: Buffer,
  precondition: NewVersion['precondition'],
  make: () => SqlWork<VersionContent>,
  known?: { readonly latest: VersionRow | undefined },
): SqlWork<FoundVersion> {
  const { sealer } = context;
  const { latest } = known ?? { latest: yield* latestRow(bucket.id, key) };
  checkPrecondition(precondition, latest && summaryOf(sealer, bucket.name, latest));
  const content = yield* make();
  const rank = (latest?.rank ?? 0) - 1;
  const keeps = versioningOf(bucket) === 'enabled';
  let [objects, bytes] = [content.marker ? 0 : 1, content.size];
  const remove = function* (row: VersionRow): SqlWork<void> {
    const { isDeleteMarker, size } = summaryOf(sealer, bucket.name, row);
    if (!isDeleteMarker) objects -= 1;
    bytes -= size;
    yield* removeVersion(context, row);
  };
  if (!keeps && latest?.version === 'null') yield* remove(latest);
  else if (latest !== undefined) {
    if (!keeps) {
      const old = yield* oldNull(bucket.id, key);
      if (old !== undefined) yield* remove(old);
    }
    yield* moveDown(latest);
  }
  const at = { bucket: bucket.id, key, rank };
  const id = keeps ? newVersionId(context, rank) : 'null';
  const version = yield* insertVersion(context, bucket.name, at, id, content);
  yield* changeUsage(context, bucket.id, { objects, bytes }, limitOf(bucket));
  return version;
}

/** Check that a bucket can have locked versions. @throws MetadataError METADATA_BUCKET_STATE. */
export function checkLockable(
  { locking, name }: BucketRow,
  retention: Retention | null | undefined,
  legalHold: boolean | undefined,
): void {
  if (locking === 1 || ((retention ?? null) === null && legalHold !== true)) return;
  throw new MetadataError('METADATA_BUCKET_STATE', `the bucket "${name}" has no object lock`);
}

/** Objects and versions in a database. */
export function createObjectStore(context: StoreContext): ObjectStore {
  const { sealer, clock, random } = context;

  /** Body and details of a copy's source. */
  function* copyOf(source: Extract<NewBody, { kind: 'copy' }>): SqlWork<Held> {
    const { id } = yield* bucketRow(source.bucket);
    const row = yield* rowById(id, keyBytes(source.key), source.versionId);
    if (row === undefined) throw noSuchVersion();
    const { size, isDeleteMarker } = summaryOf(sealer, source.bucket, row);
    if (isDeleteMarker) throw noSuchVersion();
    const { count, sealing } = detailsOf(sealer, row);
    if (row.parts !== null) {
      return { body: null, parts: yield* copyParts(context, row.parts), size, count };
    }
    const held = { parts: null, size, count, ...(sealing !== undefined && { sealing }) };
    const bodies = yield* bodiesOf(sealer, [row.body!]);
    const body = checkFound(bodies.get(row.body!.toString('hex')), sealing?.stored ?? size);
    if (body.kind === 'inline') return { ...held, body: yield* addBody(context, body) };
    const ref = newId(clock, random);
    yield* holdContents(body.extents.map(({ contentId }) => contentId));
    yield* insertExtents(sealer, ref, body.extents);
    return { ...held, body: ref };
  }

  function* whole(bucket: string, row: VersionRow): SqlWork<ObjectVersion> {
    const summary = summaryOf(sealer, bucket, row);
    const details = detailsOf(sealer, row);
    const found = { row, summary, details };
    if (row.parts !== null) {
      const partsId = row.parts.toString('hex');
      return versionOf(sealer, found, { kind: 'parts', partsId, count: details.count });
    }
    const refs = row.body === null || row.size === 0 ? [] : [row.body];
    const bodies = yield* bodiesOf(sealer, refs);
    const body = checkFound(
      row.body === null ? undefined : bodies.get(row.body.toString('hex')),
      details.sealing?.stored ?? row.size,
    );
    return versionOf(sealer, found, body);
  }

  /** A bucket's usage has changed: now and then its changes are added up. Nothing waits on success. */
  const fold = async (bucket: Buffer) => {
    if (randomFraction(random) * FOLD_ONE_IN < 1) {
      await context.write(() => foldUsage(bucket)).catch(() => undefined);
    }
  };

  function* deleteForGood(
    bucket: TargetRow,
    key: Buffer,
    versionId: string,
    { bypassGovernance = false, precondition }: Deletion,
  ): SqlWork<DeleteOutcome> {
    const row = yield* rowById(bucket.id, key, versionId);
    const summary = row && summaryOf(sealer, bucket.name, row);
    checkPrecondition(precondition, summary);
    if (row === undefined || summary === undefined) return { versionId, deleteMarker: false };
    checkDeletable(detailsOf(sealer, row), clock.now(), bypassGovernance);
    yield* removeVersion(context, row);
    if (row.latest === 1) {
      const next = yield* latestRow(bucket.id, key);
      if (next !== undefined) {
        const { isDeleteMarker } = summaryOf(sealer, bucket.name, next);
        yield* execute(sql`UPDATE versions SET latest = 1, listed = ${isDeleteMarker ? 0 : 1}
          WHERE bucket = ${bucket.id} AND key = ${key} AND rank = ${next.rank}`);
      }
    }
    const objects = summary.isDeleteMarker ? 0 : -1;
    yield* changeUsage(context, bucket.id, { objects, bytes: -summary.size });
    return { versionId, deleteMarker: summary.isDeleteMarker };
  }

  return {
    putVersion: async (given) => {
      const key = keyBytes(given.key);
      const { body, size, sealing } = given;
      if (body.kind !== 'copy') checkBody(body, sealing?.stored ?? size);
      const [version, bucket] = await context.write(function* () {
        const { target, latest } = yield* targetAndLatest(given.bucket, key);
        checkLockable(target, given.retention, given.legalHold);
        const make = function* (): SqlWork<VersionContent> {
          const held: Held =
            body.kind === 'copy'
              ? yield* copyOf(body)
              : {
                  body: yield* addBody(context, body),
                  parts: null,
                  size,
                  count: 0,
                  ...(sealing !== undefined && { sealing }),
                };
          if (held.size !== size) throw badInput('a copy has as many bytes as its source');
          const details: Details = {
            ...given.details,
            retention: given.retention ?? null,
            legalHold: given.legalHold ?? false,
            count: held.count,
            ...(held.sealing !== undefined && { sealing: held.sealing }),
          };
          const { etag, owner, storageClass, checksums } = given;
          return { ...held, marker: false, etag, owner, storageClass, checksums, details };
        };
        const { precondition } = given;
        const found = yield* putOnTop(context, target, key, precondition, make, { latest });
        const written =
          body.kind === 'copy'
            ? yield* whole(given.bucket, found.row)
            : versionOf(sealer, found, body);
        return [written, target.id] as const;
      }, ofKey(given));
      await fold(bucket);
      return version;
    },

    version: async (bucket, name, versionId) => {
      const key = keyBytes(name);
      return context.read(function* () {
        let row: VersionRow | undefined;
        if (versionId === undefined && !bucket.includes('\0')) {
          row = yield* queryOne<VersionRow>(sql`SELECT ${COLUMNS} FROM versions v
            WHERE v.bucket = (SELECT id FROM buckets WHERE name = ${bucket}) AND v.key = ${key}
            ORDER BY v.rank LIMIT 1`);
        }
        if (row === undefined) {
          const { id } = yield* bucketRow(bucket);
          row = versionId === undefined ? undefined : yield* rowById(id, key, versionId);
        }
        return row && (yield* whole(bucket, row));
      });
    },

    versionParts: async (partsId, from, limit) => {
      const upload = checkedId(partsId, "a parts' ID");
      checkLimit(limit, 10_000);
      return context.read(function* () {
        const list = yield* readPartList(sealer, upload);
        const first = 'partNumber' in from ? from.partNumber : partAt(list, from.offset);
        if (first === undefined) return [];
        const rows = yield* query<PartRow>(sql`SELECT * FROM parts
          WHERE upload = ${upload} AND number >= ${first} ORDER BY number LIMIT ${limit}`);
        const refs = rows.filter(({ size }) => size > 0).map(({ ref }) => ref);
        const bodies = yield* bodiesOf(sealer, refs);
        return rows.map((row) => {
          const place = placeOf(list, row.number);
          if (place?.size !== row.size) {
            throw new MetadataError('METADATA_DAMAGED', 'parts were altered in the database');
          }
          return partOf(sealer, row, bodies, place.start);
        });
      });
    },

    changeVersion: async (bucket, name, versionId, change) => {
      const key = keyBytes(name);
      return context.write(function* () {
        const { id, ...rest } = yield* bucketRow(bucket);
        const row =
          versionId === undefined ? yield* latestRow(id, key) : yield* rowById(id, key, versionId);
        if (row === undefined) throw noSuchVersion();
        if (summaryOf(sealer, bucket, row).isDeleteMarker) throw noSuchVersion();
        const old = detailsOf(sealer, row);
        if (change.retention !== undefined) {
          const bypass = change.bypassGovernance ?? false;
          checkRetentionChange(old.retention, change.retention, clock.now(), bypass);
        }
        checkLockable({ id, ...rest }, change.retention, change.legalHold);
        const details: Details = {
          ...old,
          ...(change.tags === undefined ? {} : { tags: change.tags }),
          ...(change.acl === undefined ? {} : { acl: change.acl }),
          ...(change.retention === undefined ? {} : { retention: change.retention }),
          ...(change.legalHold === undefined ? {} : { legalHold: change.legalHold }),
        };
        const sealed = sealDetails(sealer, row)(details);
        yield* execute(sql`UPDATE versions SET details = ${sealed}
          WHERE bucket = ${id} AND key = ${key} AND rank = ${row.rank}`);
        return yield* whole(bucket, { ...row, details: sealed });
      });
    },

    deleteObject: async (deletion) => {
      const key = keyBytes(deletion.key);
      const { versionId, precondition } = deletion;
      const [outcome, bucket] = await context.write(function* () {
        const target = yield* targetOf(deletion.bucket);
        const done = (outcome: DeleteOutcome) => [outcome, target.id] as const;
        if (versionId !== undefined) {
          return done(yield* deleteForGood(target, key, versionId, deletion));
        }
        if (versioningOf(target) === 'off') {
          // There is one version at most, and its ID is "null".
          yield* deleteForGood(target, key, 'null', deletion);
          return done({ versionId: null, deleteMarker: false });
        }
        const { row } = yield* putOnTop(context, target, key, precondition, () =>
          returning(markerBy(target.owner.toString('hex'))),
        );
        return done({ versionId: row.version, deleteMarker: true });
      }, ofKey(deletion));
      await fold(bucket);
      return outcome;
    },

    listObjects: async (request) => {
      checkLimit(request.limit);
      return context.read(() => listObjects(context, request));
    },

    listVersions: async (request) => {
      checkLimit(request.limit);
      return context.read(() => listVersions(context, request));
    },
  };
}

/** Writers of one key meet. */
function ofKey({ bucket, key }: { bucket: string; key: string }): TransactionOptions {
  return { contention: `key ${bucket}/${key}` };
}

function markerBy(owner: string): VersionContent {
  return {
    marker: true,
    size: 0,
    etag: '',
    owner,
    storageClass: 'STANDARD',
    checksums: [],
    body: null,
    parts: null,
    details: {
      headers: {},
      metadata: {},
      tags: {},
      acl: null,
      encryption: null,
      retention: null,
      legalHold: false,
      count: 0,
    },
  };
}

function noSuchVersion(): MetadataError {
  return new MetadataError('METADATA_NO_SUCH_VERSION', 'there is no such version');
}
