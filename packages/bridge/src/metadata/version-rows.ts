import sql from 'sql-template-tag';
import { Overtaken } from '../sql/database-error.js';
import { type SqlWork, execute, query, queryOne } from '../sql/sql-database.js';
import { removeBody, removeParts } from './bodies.js';
import { timeBytes } from './identifiers.js';
import { MetadataError } from './metadata-error.js';
import type {
  Checksum,
  ObjectVersion,
  Retention,
  Sealing,
  VersionDetails,
  VersionSummary,
} from './records.js';
import type { Sealer } from './sealer.js';
import type { StoreContext } from './store-context.js';

/** A version as it is stored. */
export interface VersionRow {
  readonly bucket: Buffer;
  readonly key: Buffer;
  readonly rank: number;
  readonly version: string;
  readonly latest: number;
  readonly listed: number;
  readonly size: number;
  readonly body: Buffer | null;
  readonly parts: Buffer | null;
  readonly summary: Buffer;
  readonly details: Buffer;
}

/** What is sealed of a version for listings. */
interface Summary {
  readonly version: string;
  readonly marker: boolean;
  readonly modified: number;
  readonly size: number;
  readonly etag: string;
  readonly owner: string;
  readonly storageClass: string;
  readonly checksums: readonly Checksum[];
  readonly body: string | null;
  readonly parts: string | null;
}

/** What is sealed of a version besides. */
export interface Details extends VersionDetails {
  readonly retention: Retention | null;
  readonly legalHold: boolean;
  /** Parts that it was made of, if any. */
  readonly count: number;
  readonly sealing?: Sealing;
}

/** A version of a bucket whose name is known. */
export interface FoundVersion {
  readonly row: VersionRow;
  readonly summary: VersionSummary;
  /** When they are known already. */
  readonly details?: Details;
}

const place = (row: Pick<VersionRow, 'bucket' | 'key' | 'rank'>, what: string) =>
  `${what}/${row.bucket.toString('hex')}/${row.rank}/${row.key.toString('utf8')}`;

const hexOf = (bytes: Buffer | null) => bytes?.toString('hex') ?? null;

/** A new version ID: it tells its rank, so that it is found by the key of the table. */
export function newVersionId({ random }: StoreContext, rank: number): string {
  return Buffer.concat([timeBytes(-rank), random(10)]).toString('hex');
}

/** The rank that a version ID tells; undefined when it is none of ours. */
export function rankOf(versionId: string): number | undefined {
  return /^[0-9a-f]{32}$/.test(versionId)
    ? -Number.parseInt(versionId.slice(0, 12), 16)
    : undefined;
}

/** What a row says in a listing. @throws MetadataError METADATA_DAMAGED. */
export function summaryOf(sealer: Sealer, bucket: string, row: VersionRow): VersionSummary {
  const sealed = sealer.open(place(row, 'summary'), row.summary) as Summary;
  const same =
    sealed.version === row.version &&
    sealed.size === row.size &&
    sealed.body === hexOf(row.body) &&
    sealed.parts === hexOf(row.parts);
  if (!same) {
    throw new MetadataError('METADATA_DAMAGED', 'a version was altered in the database');
  }
  return shownSummary(bucket, row, sealed);
}

function shownSummary(
  bucket: string,
  row: Pick<VersionRow, 'key' | 'version' | 'latest'>,
  sealed: Summary,
): VersionSummary {
  return {
    bucket,
    key: row.key.toString('utf8'),
    versionId: row.version,
    isLatest: row.latest === 1,
    isDeleteMarker: sealed.marker,
    modified: sealed.modified,
    size: sealed.size,
    etag: sealed.etag,
    owner: sealed.owner,
    storageClass: sealed.storageClass,
    checksums: sealed.checksums,
  };
}

export function detailsOf(sealer: Sealer, row: VersionRow): Details {
  return sealer.open(place(row, 'details'), row.details) as Details;
}

export function sealDetails(sealer: Sealer, row: Pick<VersionRow, 'bucket' | 'key' | 'rank'>) {
  return (details: Details) => sealer.seal(place(row, 'details'), details);
}

/** Columns of a row that has a version's alias `v`. */
export const COLUMNS = sql`v.bucket, v.key, v.rank, v.version, v.latest, v.listed, v.size, v.body,
  v.parts, v.summary, v.details`;

/** The newest version of a key. */
export function latestRow(bucket: Buffer, key: Buffer): SqlWork<VersionRow | undefined> {
  return queryOne(sql`SELECT ${COLUMNS} FROM versions v
    WHERE v.bucket = ${bucket} AND v.key = ${key} ORDER BY v.rank LIMIT 1`);
}

/** A version by its ID. */
export function* rowById(
  bucket: Buffer,
  key: Buffer,
  versionId: string,
): SqlWork<VersionRow | undefined> {
  if (versionId === 'null') {
    const latest = yield* latestRow(bucket, key);
    return latest === undefined || latest.version === 'null' ? latest : yield* oldNull(bucket, key);
  }
  const rank = rankOf(versionId);
  if (rank === undefined) return undefined;
  return yield* queryOne<VersionRow>(sql`SELECT ${COLUMNS} FROM versions v
    WHERE v.bucket = ${bucket} AND v.key = ${key} AND v.rank = ${rank} AND v.version = ${versionId}`);
}

/** The version "null" of a key, where another is newer. */
export function oldNull(bucket: Buffer, key: Buffer): SqlWork<VersionRow | undefined> {
  return queryOne(sql`SELECT ${COLUMNS} FROM versions v
    WHERE v.bucket = ${bucket} AND v.key = ${key} AND v.version = 'null' AND v.latest = 0`);
}

/** What a new version is made of, besides its place. */
export interface VersionContent {
  readonly marker: boolean;
  readonly size: number;
  readonly etag: string;
  readonly owner: string;
  readonly storageClass: string;
  readonly checksums: readonly Checksum[];
  readonly body: Buffer | null;
  readonly parts: Buffer | null;
  readonly details: Details;
}

/** Write a version on top of its key. The one that was newest must have been moved down or removed. */
export function* insertVersion(
  context: StoreContext,
  bucket: string,
  at: { readonly bucket: Buffer; readonly key: Buffer; readonly rank: number },
  versionId: string,
  content: VersionContent,
): SqlWork<FoundVersion> {
  const { sealer, clock } = context;
  const { marker, size, etag, owner, storageClass, checksums, body, parts } = content;
  const summary: Summary = {
    version: versionId,
    marker,
    modified: clock.now(),
    size,
    etag,
    owner,
    storageClass,
    checksums,
    body: hexOf(body),
    parts: hexOf(parts),
  };
  const row: VersionRow = {
    ...at,
    version: versionId,
    latest: 1,
    listed: marker ? 0 : 1,
    size,
    body,
    parts,
    summary: sealer.seal(place(at, 'summary'), summary),
    details: sealDetails(sealer, at)(content.details),
  };
  yield* execute(sql`INSERT INTO versions
    (bucket, key, rank, version, latest, listed, size, body, parts, summary, details) VALUES
    (${row.bucket}, ${row.key}, ${row.rank}, ${row.version}, 1, ${row.listed}, ${size}, ${body},
    ${parts}, ${row.summary}, ${row.details})`);
  return { row, summary: shownSummary(bucket, row, summary), details: content.details };
}

/** Another version is the newest now. @throws Overtaken when the row is not there any more. */
export function* moveDown({ bucket, key, rank }: VersionRow): SqlWork<void> {
  const moved = yield* query(sql`UPDATE versions SET latest = 0, listed = 0
    WHERE bucket = ${bucket} AND key = ${key} AND rank = ${rank} AND latest = 1 RETURNING rank`);
  if (moved.length === 0) throw new Overtaken();
}

/** Take a version away for good, its body with it. @throws Overtaken when it is not there any more. */
export function* removeVersion(context: StoreContext, row: VersionRow): SqlWork<void> {
  const { bucket, key, rank } = row;
  const gone = yield* query(sql`DELETE FROM versions
    WHERE bucket = ${bucket} AND key = ${key} AND rank = ${rank} RETURNING rank`);
  if (gone.length === 0) throw new Overtaken();
  if (row.parts !== null) yield* removeParts(context, row.parts);
  if (row.body !== null) yield* removeBody(context, row.body);
}

/** The whole of a version, from its parts. */
export function versionOf(
  sealer: Sealer,
  { row, summary, details: known }: FoundVersion,
  body: ObjectVersion['body'],
): ObjectVersion {
  const { retention, legalHold, headers, metadata, tags, acl, encryption, sealing } =
    known ?? detailsOf(sealer, row);
  const details = { headers, metadata, tags, acl, encryption };
  const sealed = sealing === undefined ? {} : { sealing };
  return { ...summary, details, retention, legalHold, body, ...sealed };
}
