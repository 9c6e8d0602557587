import sql, { type Sql, raw } from 'sql-template-tag';
import { type Dialect, type SqlWork, query } from '../sql/sql-database.js';

/** A table that has `bucket` and `key` first in its key, or an index on them, and what its rows must be. */
export interface ListedTable {
  readonly name: string;
  readonly condition: Sql;
}

/** A key, or a common prefix of several. */
export interface KeyGroup {
  readonly text: string;
  readonly rolled: boolean;
}

/** What comes behind all that begins with some bytes (UTF-8, not empty). */
export function successor(bytes: Buffer): Buffer {
  const next = Buffer.from(bytes);
  // No byte of UTF-8 is 0xff, so that nothing is carried over.
  next[next.length - 1]! += 1;
  return next;
}

/**
 * Keys and common prefixes of a range, in order: the database seeks from one to the next, so that it
 * takes as long for a prefix with a million keys behind it as for one with a single key.
 */
export function* groups(
  dialect: Dialect,
  table: ListedTable,
  bucket: Buffer,
  range: { from: Buffer; end: Buffer; prefix: string; delimiter: string },
  limit: number,
): SqlWork<readonly KeyGroup[]> {
  const { from, end } = range;
  const delimiter = Buffer.from(range.delimiter, 'utf8');
  const skip = Buffer.byteLength(range.prefix, 'utf8');
  // sql-template-tag puts nothing for an empty condition, so the AND belongs to it.
  const condition = table.condition.strings.join('') === '' ? raw('') : sql`AND ${table.condition}`;
  const seek = (at: Sql) => sql`(SELECT t.key FROM ${raw(table.name)} t
    WHERE t.bucket = ${bucket} AND t.key >= ${at} AND t.key < ${end} ${condition}
    ORDER BY t.key LIMIT 1)`;
  const rows = yield* query<{ key: Buffer; rolled: Buffer | null }>(
    dialect === 'postgres'
      ? postgresWalk(seek, from, delimiter, skip, limit)
      : sqliteWalk(seek, from, delimiter, skip, limit),
  );
  return rows.map(({ key, rolled }) => ({
    text: (rolled ?? key).toString('utf8'),
    rolled: rolled !== null,
  }));
}

type Seek = (at: Sql) => Sql;

// In both: `at` is where the delimiter begins in the key behind the prefix (from 1), or 0. The next seek is
// behind the key, or behind all keys of its common prefix: there the delimiter's last byte is one higher.

function postgresWalk(seek: Seek, from: Buffer, delimiter: Buffer, skip: number, limit: number) {
  const at = (key: Sql) =>
    sql`position(${delimiter}::bytea in substring(${key} from ${skip + 1}::int))`;
  const next = sql`CASE WHEN w.at > 0
    THEN substring(w.key from 1 for ${skip}::int + w.at - 1) || ${successor(delimiter)}::bytea
    ELSE w.key || '\\x00'::bytea END`;
  return sql`WITH RECURSIVE walk (n, key, at) AS (
      SELECT 1, f.key, ${at(sql`f.key`)} FROM (SELECT ${seek(sql`${from}`)} AS key) f
      UNION ALL
      SELECT s.n, s.key, ${at(sql`s.key`)} FROM (
        SELECT w.n + 1 AS n, ${seek(next)} AS key FROM walk w
        WHERE w.key IS NOT NULL AND w.n < ${limit}::int) s)
    SELECT key, CASE WHEN at > 0
      THEN substring(key from 1 for ${skip}::int + at - 1 + ${delimiter.length}::int) END AS rolled
    FROM walk WHERE key IS NOT NULL ORDER BY n`;
}

function sqliteWalk(seek: Seek, from: Buffer, delimiter: Buffer, skip: number, limit: number) {
  // "||" makes text of bytes without changing them.
  const at = (key: Sql) => sql`instr(substr(${key}, ${skip + 1}), ${delimiter})`;
  const next = sql`CAST(CASE WHEN w.at > 0
    THEN substr(w.key, 1, ${skip} + w.at - 1) || ${successor(delimiter)}
    ELSE w.key || x'00' END AS BLOB)`;
  return sql`WITH RECURSIVE walk (n, key, at) AS (
      SELECT 1, f.key, ${at(sql`f.key`)} FROM (SELECT ${seek(sql`${from}`)} AS key) f
      UNION ALL
      SELECT s.n, s.key, ${at(sql`s.key`)} FROM (
        SELECT w.n + 1 AS n, ${seek(next)} AS key FROM walk w
        WHERE w.key IS NOT NULL AND w.n < ${limit}) s)
    SELECT key, CASE WHEN at > 0
      THEN substr(key, 1, ${skip} + at - 1 + ${delimiter.length}) END AS rolled
    FROM walk WHERE key IS NOT NULL ORDER BY n`;
}
