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
  const d = dialects[dialect];
  // Where the delimiter begins in the key behind the prefix (from 1), or 0.
  const at = (key: Sql) => d.position(d.slice(key, skip + 1), delimiter);
  const head = (key: Sql, more: number) => d.head(key, sql`${d.int(skip + more)} + ${at(key)}`);
  // Behind the key, or behind all keys of its common prefix: the delimiter's last byte one higher.
  const key = sql`w.key`;
  const next = sql`CASE WHEN ${at(key)} > 0
    THEN ${d.join(head(key, -1), d.bytes(successor(delimiter)))}
    ELSE ${d.join(key, d.bytes(Buffer.of(0)))} END`;
  const rows = yield* query<{ key: Buffer; rolled: Buffer | null }>(sql`
    WITH RECURSIVE walk (n, key) AS (
      SELECT 1, ${seek(d.bytes(from))}
      UNION ALL
      SELECT w.n + 1, ${seek(next)} FROM walk w WHERE w.key IS NOT NULL AND w.n < ${d.int(limit)})
    SELECT w.key, CASE WHEN ${at(key)} > 0 THEN ${head(key, delimiter.length - 1)} END AS rolled
    FROM walk w WHERE w.key IS NOT NULL ORDER BY w.n`);
  return rows.map(({ key, rolled }) => ({
    text: (rolled ?? key).toString('utf8'),
    rolled: rolled !== null,
  }));
}

/** How bytes are cut and put together. */
interface ByteFunctions {
  bytes(value: Buffer): Sql;
  int(value: number): Sql;
  /** From a byte on, counted from 1. */
  slice(value: Sql, from: number): Sql;
  head(value: Sql, length: Sql): Sql;
  /** Where bytes are first in others, counted from 1; 0: nowhere. */
  position(within: Sql, what: Buffer): Sql;
  join(a: Sql, b: Sql): Sql;
}

const dialects: Record<Dialect, ByteFunctions> = {
  postgres: {
    bytes: (value) => sql`${value}::bytea`,
    int: (value) => sql`${value}::int`,
    slice: (value, from) => sql`substring(${value} from ${from}::int)`,
    head: (value, length) => sql`substring(${value} from 1 for ${length})`,
    position: (within, what) => sql`position(${what}::bytea in ${within})`,
    join: (a, b) => sql`${a} || ${b}`,
  },
  sqlite: {
    bytes: (value) => sql`${value}`,
    int: (value) => sql`${value}`,
    slice: (value, from) => sql`substr(${value}, ${from})`,
    head: (value, length) => sql`substr(${value}, 1, ${length})`,
    position: (within, what) => sql`instr(${within}, ${what})`,
    // "||" calls the bytes text, without changing them.
    join: (a, b) => sql`CAST(${a} || ${b} AS BLOB)`,
  },
};
