import sql, { type Sql, empty } from 'sql-template-tag';
import { type SqlWork, query } from '../sql/sql-database.js';
import { bucketRow } from './bucket-store.js';
import { type ListedTable, groups, successor } from './key-groups.js';
import type { VersionSummary } from './records.js';
import type {
  ListObjectsPage,
  ListObjectsRequest,
  ListVersionsPage,
  ListVersionsRequest,
} from './requests.js';
import type { StoreContext } from './store-context.js';
import { COLUMNS, type VersionRow, rowById, summaryOf } from './version-rows.js';

/** Behind every key: no UTF-8 has this byte. */
const END = Buffer.from([0xff]);

/** The keys that a page is of: `from` and all behind, before `end`. */
interface KeyRange {
  readonly from: Buffer;
  readonly end: Buffer;
}

/**
 * The range of a prefix behind a marker.
 *
 * @param inside - whether the marker's own key is still to be listed
 */
export function rangeOf(
  { prefix = '', delimiter = '' }: { prefix?: string; delimiter?: string },
  marker: string | undefined,
  inside = false,
): KeyRange {
  const start = Buffer.from(prefix, 'utf8');
  const end = start.length === 0 ? END : successor(start);
  if (marker === undefined || marker === '') return { from: start, end };
  const after = Buffer.from(marker, 'utf8');
  const rolled = commonPrefixOf(marker, prefix, delimiter);
  // A common prefix that the marker lies in was listed before.
  const from =
    rolled !== undefined
      ? successor(Buffer.from(rolled, 'utf8'))
      : inside
        ? after
        : Buffer.concat([after, Buffer.of(0)]);
  return { from: Buffer.compare(from, start) > 0 ? from : start, end };
}

/** What a key is rolled up into, if anything. */
export function commonPrefixOf(key: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === '' || !key.startsWith(prefix)) return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}

const OBJECTS: ListedTable = { name: 'versions', condition: sql`listed = 1` };
const VERSIONS: ListedTable = { name: 'versions', condition: empty };

/** A page of objects; see `ObjectStore.listObjects`. */
export function* listObjects(
  { sealer, dialect }: StoreContext,
  request: ListObjectsRequest,
): SqlWork<ListObjectsPage> {
  const { id } = yield* bucketRow(request.bucket);
  const { limit, prefix = '', delimiter = '' } = request;
  const objects: VersionSummary[] = [];
  const commonPrefixes: string[] = [];
  if (limit === 0) return { objects, commonPrefixes, next: null };
  const { from, end } = rangeOf(request, request.after);
  const add = (row: VersionRow) => objects.push(summaryOf(sealer, request.bucket, row));
  if (delimiter === '') {
    const rows = yield* listedRows(id, from, sql`v.key < ${end}`, limit + 1);
    rows.slice(0, limit).forEach(add);
    return { objects, commonPrefixes, next: rows.length > limit ? objects.at(-1)!.key : null };
  }
  const found = yield* groups(dialect, OBJECTS, id, { from, end, prefix, delimiter }, limit + 1);
  const page = found.slice(0, limit);
  for (let i = 0; i < page.length;) {
    const group = page[i]!;
    if (group.rolled) {
      commonPrefixes.push(group.text);
      i += 1;
      continue;
    }
    // Keys up to the next common prefix lie together.
    let to = i;
    while (page[to + 1]?.rolled === false) to += 1;
    const through = sql`v.key <= ${Buffer.from(page[to]!.text, 'utf8')}`;
    const first = Buffer.from(group.text, 'utf8');
    (yield* listedRows(id, first, through, to - i + 1)).forEach(add);
    i = to + 1;
  }
  return { objects, commonPrefixes, next: found.length > limit ? page.at(-1)!.text : null };
}

function listedRows(
  bucket: Buffer,
  from: Buffer,
  until: Sql,
  limit: number,
): SqlWork<readonly VersionRow[]> {
  return query(sql`SELECT ${COLUMNS} FROM versions v
    WHERE v.bucket = ${bucket} AND v.listed = 1 AND v.key >= ${from} AND ${until}
    ORDER BY v.key LIMIT ${limit}`);
}

/** A page of versions; see `ObjectStore.listVersions`. */
export function* listVersions(
  { sealer, dialect }: StoreContext,
  request: ListVersionsRequest,
): SqlWork<ListVersionsPage> {
  const { id } = yield* bucketRow(request.bucket);
  const { limit, prefix = '', delimiter = '', keyMarker, versionIdMarker } = request;
  const versions: VersionSummary[] = [];
  const commonPrefixes: string[] = [];
  if (limit === 0) return { versions, commonPrefixes, next: null };
  let { from } = rangeOf(request, keyMarker);
  const { end } = rangeOf(request, undefined);
  let left = limit + 1;
  const rows: (VersionRow | string)[] = [];
  const take = function* (condition: Sql): SqlWork<void> {
    const some = yield* query<VersionRow>(sql`SELECT ${COLUMNS} FROM versions v
      WHERE v.bucket = ${id} AND ${condition} ORDER BY v.key, v.rank LIMIT ${left}`);
    rows.push(...some);
    left -= some.length;
  };
  const rolledMarker = commonPrefixOf(keyMarker ?? '', prefix, delimiter) !== undefined;
  if (keyMarker && versionIdMarker && !rolledMarker && keyMarker.startsWith(prefix)) {
    // The rest of the marker's own key first.
    const key = Buffer.from(keyMarker, 'utf8');
    const rank = (yield* rowById(id, key, versionIdMarker))?.rank;
    if (rank !== undefined) yield* take(sql`v.key = ${key} AND v.rank > ${rank}`);
  }
  if (delimiter === '') yield* take(sql`v.key >= ${from} AND v.key < ${end}`);
  else {
    const found = yield* groups(dialect, VERSIONS, id, { from, end, prefix, delimiter }, left);
    for (let i = 0; i < found.length && left > 0;) {
      if (found[i]!.rolled) {
        rows.push(found[i]!.text);
        left -= 1;
        i += 1;
        continue;
      }
      let to = i;
      while (found[to + 1]?.rolled === false) to += 1;
      from = Buffer.from(found[i]!.text, 'utf8');
      yield* take(sql`v.key >= ${from} AND v.key <= ${Buffer.from(found[to]!.text, 'utf8')}`);
      i = to + 1;
    }
  }
  for (const row of rows.slice(0, limit)) {
    if (typeof row === 'string') commonPrefixes.push(row);
    else versions.push(summaryOf(sealer, request.bucket, row));
  }
  const last = rows[limit - 1];
  const next =
    rows.length <= limit || last === undefined
      ? null
      : typeof last === 'string'
        ? { keyMarker: last, versionIdMarker: null }
        : { keyMarker: last.key.toString('utf8'), versionIdMarker: last.version };
  return { versions, commonPrefixes, next };
}
