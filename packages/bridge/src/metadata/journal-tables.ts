import { type Sql, raw } from 'sql-template-tag';
import { z } from 'zod';
import type { Migration } from '../sql/migrate.js';
import type { Dialect } from '../sql/sql-database.js';
import { MetadataError } from './metadata-error.js';

type ColumnType = 'bytes' | 'int' | 'text';

/** A table whose rows are kept in the network, too. */
export interface JournalTable {
  readonly name: string;
  /** Columns of the primary key, in order. */
  readonly key: readonly string[];
  readonly columns: Readonly<Record<string, ColumnType>>;
}

/**
 * The tables that make up a bridge, in an order in which rows can be written: what others refer to comes
 * first. A table's place in it is its number in the journal: new ones go to the end. Contents, usage and
 * garbage are made anew from these; jobs are begun again.
 */
export const JOURNAL_TABLES: readonly JournalTable[] = [
  {
    name: 'users',
    key: ['id'],
    columns: {
      id: 'bytes',
      name: 'text',
      created: 'int',
      quota_bytes: 'int',
      quota_objects: 'int',
      quota_buckets: 'int',
      sealed: 'bytes',
    },
  },
  { name: 'access_keys', key: ['id'], columns: { id: 'text', user_id: 'bytes', sealed: 'bytes' } },
  {
    name: 'buckets',
    key: ['id'],
    columns: {
      id: 'bytes',
      name: 'text',
      owner: 'bytes',
      created: 'int',
      versioning: 'int',
      locking: 'int',
      sealed: 'bytes',
    },
  },
  {
    name: 'versions',
    key: ['bucket', 'key', 'rank'],
    columns: {
      bucket: 'bytes',
      key: 'bytes',
      rank: 'int',
      version: 'text',
      latest: 'int',
      listed: 'int',
      size: 'int',
      body: 'bytes',
      parts: 'bytes',
      summary: 'bytes',
      details: 'bytes',
    },
  },
  { name: 'bodies', key: ['ref'], columns: { ref: 'bytes', bytes: 'bytes' } },
  {
    name: 'extents',
    key: ['ref', 'n'],
    columns: {
      ref: 'bytes',
      n: 'int',
      content: 'bytes',
      start: 'int',
      length: 'int',
      sealed: 'bytes',
    },
  },
  {
    name: 'uploads',
    key: ['bucket', 'key', 'id'],
    columns: { bucket: 'bytes', key: 'bytes', id: 'bytes', changes: 'int', sealed: 'bytes' },
  },
  {
    name: 'parts',
    key: ['upload', 'number'],
    columns: { upload: 'bytes', number: 'int', ref: 'bytes', size: 'int', sealed: 'bytes' },
  },
  { name: 'part_lists', key: ['upload'], columns: { upload: 'bytes', sealed: 'bytes' } },
];

/** The table whose rows may be large. */
export const BODIES = JOURNAL_TABLES.findIndex(({ name }) => name === 'bodies');

/** The journal's columns for keys, one for each kind and use of a key's column. */
const SLOTS: Record<ColumnType, readonly string[]> = {
  bytes: ['a', 'b', 'd'],
  text: ['a'],
  int: ['c'],
};

/** A table's key columns, each with the journal's column that it goes to. */
function slotsOf(table: JournalTable): { column: string; slot: string; text: boolean }[] {
  const used: Record<ColumnType, number> = { bytes: 0, text: 0, int: 0 };
  return table.key.map((column) => {
    const type = table.columns[column]!;
    const slot = SLOTS[type][used[type]++]!;
    return { column, slot, text: type === 'text' };
  });
}

/** Columns of the journal that a table's keys are in, and the condition that joins the two (`t`, `j`). */
export function joinOf(table: JournalTable, dialect: Dialect): { slots: Sql; on: Sql } {
  const slots = slotsOf(table);
  const fromText = (slot: string) =>
    dialect === 'postgres' ? `convert_from(j.${slot}, 'UTF8')` : `CAST(j.${slot} AS TEXT)`;
  const on = slots.map(
    ({ column, slot, text }) => `t.${column} = ${text ? fromText(slot) : `j.${slot}`}`,
  );
  return {
    slots: raw(slots.map(({ slot }) => slot).join(', ')),
    on: raw(on.join(' AND ')),
  };
}

/** The key of a journal's row in its table. */
export function keyOfRow(table: JournalTable, row: Readonly<Record<string, unknown>>): unknown[] {
  return slotsOf(table).map(({ slot, text }) =>
    text ? (row[slot] as Buffer).toString('utf8') : row[slot],
  );
}

/**
 * One row as it is now, or that there is none of its key: a table's number, and its columns in order or
 * the columns of its key. Whoever writes all lines in order has the state of the last.
 */
export type JournalLine =
  | { readonly table: number; readonly row: readonly JournalValue[] }
  | { readonly table: number; readonly gone: readonly JournalValue[] };

/** A value of a column. */
export type JournalValue = string | number | Buffer | null;

const encode = (value: JournalValue) => (Buffer.isBuffer(value) ? value.toString('base64') : value);

/** What tells a line's row from all others of its table. */
export function keyOfLine(line: JournalLine): string {
  const { columns, key } = JOURNAL_TABLES[line.table]!;
  const names = Object.keys(columns);
  const values = 'row' in line ? key.map((name) => line.row[names.indexOf(name)]!) : line.gone;
  return JSON.stringify(values.map(encode));
}

/** A line as text. */
export function encodeLine(line: JournalLine): string {
  return 'row' in line
    ? JSON.stringify([line.table, line.row.map(encode)])
    : JSON.stringify([line.table, null, line.gone.map(encode)]);
}

const lineSchema = z.union([
  z.tuple([z.number(), z.array(z.union([z.string(), z.number(), z.null()]))]),
  z.tuple([z.number(), z.null(), z.array(z.union([z.string(), z.number()]))]),
]);

/** A line from its text. @throws MetadataError METADATA_DAMAGED. */
export function decodeLine(text: string): JournalLine {
  try {
    const [number, row, gone] = lineSchema.parse(JSON.parse(text));
    const table = JOURNAL_TABLES[number];
    if (table === undefined) throw new Error(`there is no table ${number}`);
    const names = row === null ? table.key : Object.keys(table.columns);
    const values = row ?? gone!;
    if (values.length !== names.length) throw new Error(`a row of ${table.name} has other columns`);
    const decoded = values.map((value, i) => decode(table.columns[names[i]!]!, value));
    return row === null ? { table: number, gone: decoded } : { table: number, row: decoded };
  } catch (cause) {
    throw new MetadataError(
      'METADATA_DAMAGED',
      'a journal in the network is damaged, or was written by a newer Granary',
      { cause },
    );
  }
}

function decode(type: ColumnType, value: string | number | null): JournalValue {
  if (value === null) return null;
  if ((typeof value === 'number') !== (type === 'int')) throw new Error('a value of another type');
  return type === 'bytes' ? Buffer.from(String(value), 'base64') : value;
}

/** The forms of the journal: notes of which rows have changed since they were last in the network. */
export const journalMigrations: readonly Migration[] = [
  (dialect) => {
    const state =
      'journal_state (one INTEGER PRIMARY KEY, name TEXT, next BIGINT NOT NULL, since BIGINT NOT NULL)';
    const begin = 'INSERT INTO journal_state (one, name, next, since) VALUES (1, NULL, 1, 1)';
    if (dialect === 'postgres') {
      return [
        `CREATE TABLE journal (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tab INTEGER NOT NULL,
          a BYTEA, b BYTEA, c BIGINT, d BYTEA)`,
        `CREATE TABLE ${state}`,
        `CREATE TABLE journal_restore (tab INTEGER NOT NULL, key BYTEA NOT NULL, line TEXT,
          PRIMARY KEY (tab, key))`,
        begin,
        ...JOURNAL_TABLES.flatMap((table, number) => {
          const slots = slotsOf(table);
          const names = ['tab', ...slots.map(({ slot }) => slot)].join(', ');
          const values = (row: string) =>
            slots
              .map(({ column, text }) =>
                text ? `convert_to(${row}.${column}, 'UTF8')` : `${row}.${column}`,
              )
              .join(', ');
          return [
            `CREATE FUNCTION journal_${table.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              IF TG_OP = 'DELETE' THEN
                INSERT INTO journal (${names}) VALUES (${number}, ${values('OLD')}); RETURN OLD;
              END IF;
              INSERT INTO journal (${names}) VALUES (${number}, ${values('NEW')}); RETURN NEW;
            END $$`,
            `CREATE TRIGGER journal_${table.name} AFTER INSERT OR UPDATE OR DELETE ON ${table.name}
              FOR EACH ROW EXECUTE FUNCTION journal_${table.name}()`,
          ];
        }),
      ];
    }
    return [
      `CREATE TABLE journal (id INTEGER PRIMARY KEY AUTOINCREMENT, tab INTEGER NOT NULL,
        a BLOB, b BLOB, c INTEGER, d BLOB) STRICT`,
      `CREATE TABLE ${state.replaceAll('BIGINT', 'INTEGER')} STRICT`,
      `CREATE TABLE journal_restore (tab INTEGER NOT NULL, key BLOB NOT NULL, line TEXT,
        PRIMARY KEY (tab, key)) STRICT, WITHOUT ROWID`,
      begin,
      ...JOURNAL_TABLES.flatMap((table, number) =>
        ['INSERT', 'UPDATE', 'DELETE'].map((change) => {
          const slots = slotsOf(table);
          const names = ['tab', ...slots.map(({ slot }) => slot)].join(', ');
          const row = change === 'DELETE' ? 'OLD' : 'NEW';
          const values = slots.map(({ column, text }) =>
            text ? `CAST(${row}.${column} AS BLOB)` : `${row}.${column}`,
          );
          return `CREATE TRIGGER journal_${table.name}_${change.toLowerCase()} AFTER ${change}
            ON ${table.name} FOR EACH ROW BEGIN
            INSERT INTO journal (${names}) VALUES (${number}, ${values.join(', ')}); END`;
        }),
      ),
    ];
  },
];
