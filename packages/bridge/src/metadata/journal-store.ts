import sql, { type Sql, bulk, join, raw } from 'sql-template-tag';
import { type SqlWork, query, queryOne } from '../sql/sql-database.js';
import { newId } from './identifiers.js';
import {
  BODIES,
  JOURNAL_TABLES,
  type JournalLine,
  type JournalTable,
  type JournalValue,
  decodeLine,
  encodeLine,
  joinOf,
  keyOfLine,
  keyOfRow,
} from './journal-tables.js';
import { MetadataError } from './metadata-error.js';
import type { StoreContext } from './store-context.js';

/** Changes that the network does not know of yet. */
export interface JournalChanges {
  /** Changes with a higher number were read later. */
  readonly number: number;
  readonly lines: readonly JournalLine[];
  /** For {@link JournalStore.forgetChanges}. */
  readonly ids: readonly number[];
  /** Whether there are more. */
  readonly more: boolean;
}

/** What a restored database has. */
export interface RestoredMetadata {
  readonly users: number;
  readonly buckets: number;
  /** Versions, delete markers not counted. */
  readonly versions: number;
  /** Versions that were left out, since the network has not all of their bytes. */
  readonly lost: readonly { readonly bucket: string; readonly key: string }[];
}

/** What has changed since it was last written into the network, and the way back. */
export interface JournalStore {
  /** The name of this database's journal, 16 hex digits: no other has it, but for one restored from it. */
  journalName(): Promise<string>;
  /** Whether {@link JournalStore.readChanges} would find something. */
  hasChanges(): Promise<boolean>;
  /** Read changes, the oldest first, as one consistent state: at most some thousand rows and some MiB. */
  readChanges(): Promise<JournalChanges>;
  /** They are in the network. */
  forgetChanges(ids: readonly number[]): Promise<void>;
  /** Forget all changes, as nobody keeps a journal. Snapshots made before are of no use then. */
  discardChanges(): Promise<void>;
  /**
   * The network has this number. Where this database has not given it out, it was set back to an older
   * state: it goes on behind that number, and earlier snapshots are of no use.
   */
  passNumber(number: number): Promise<void>;
  /** The lowest number of a snapshot that changes may follow. */
  firstSnapshot(): Promise<number>;
  /** A number for a snapshot: changes with higher ones hold all that happens from now on. */
  beginSnapshot(): Promise<number>;
  /** Every row there is, page by page. What changes meanwhile may be read or not. */
  snapshotLines(): AsyncGenerator<JournalLine>;
  /** Proof of the master key, for whoever restores. */
  sealProof(): string;
  /** @throws MetadataError METADATA_MISMATCH when it is another master key's. */
  checkProof(proof: string): void;
  /**
   * Begin to restore into a database that has no users, or where restoring was cut off.
   *
   * @throws MetadataError METADATA_USER_EXISTS where there is something that would be lost.
   */
  beginRestore(): Promise<void>;
  /** Note lines. Of those of one row the last counts. */
  restoreLines(lines: readonly JournalLine[]): Promise<void>;
  /**
   * All lines were noted: write the rows, and make what is derived from them.
   *
   * @param name - the journal's, which goes on from here
   * @param number - the highest one that was restored
   * @param contents - IDs of all contents in the network; those that nothing refers to become garbage
   */
  finishRestore(
    name: string,
    number: number,
    contents: readonly string[],
  ): Promise<RestoredMetadata>;
}

/** Rows of the journal in one look. */
const ROWS = 2000;
/** Bytes of inline bodies in one look. */
const BODY_BYTES = 16 * 1024 * 1024;
/** Rows of a page of a snapshot. Those of bodies are large. */
const PAGE = 500;
const BODY_PAGE = 64;
/** Rows in one statement. */
const VALUES = 500;
/** Values in one statement: SQLite takes 32,766. */
const MOST_VALUES = 20_000;
const PROOF = 'journal';

type AnyRow = Readonly<Record<string, JournalValue>>;

/** The journal in a database. */
export function createJournalStore(context: StoreContext): JournalStore {
  const { sealer, dialect, clock, random } = context;

  function* nextNumber(): SqlWork<number> {
    const row = yield* queryOne<{ next: number }>(
      sql`UPDATE journal_state SET next = next + 1 WHERE one = 1 RETURNING next`,
    );
    return row!.next - 1;
  }

  /** The last row of the journal that is looked at, and all up to it. */
  function* idsToRead(): SqlWork<{ ids: number[]; more: boolean }> {
    const rows = yield* query<{ id: number; bytes: number | null }>(sql`SELECT j.id,
      length(b.bytes) AS bytes FROM (SELECT * FROM journal ORDER BY id LIMIT ${ROWS + 1}) j
      LEFT JOIN bodies b ON j.tab = ${BODIES} AND b.ref = j.a ORDER BY j.id`);
    let [count, size] = [0, 0];
    for (const { bytes } of rows.slice(0, ROWS)) {
      size += bytes ?? 0;
      if (count > 0 && size > BODY_BYTES) break;
      count += 1;
    }
    return { ids: rows.slice(0, count).map(({ id }) => id), more: rows.length > count };
  }

  function* linesOf(number: number, last: number): SqlWork<JournalLine[]> {
    const table = JOURNAL_TABLES[number]!;
    const { slots, on } = joinOf(table, dialect);
    const changed = sql`(SELECT DISTINCT ${slots} FROM journal WHERE tab = ${number} AND id <= ${last})`;
    const names = Object.keys(table.columns);
    const columns = raw(names.map((name) => `t.${name} AS t_${name}`).join(', '));
    const rows = yield* query<AnyRow>(
      sql`SELECT j.*, ${columns} FROM ${changed} j LEFT JOIN ${raw(table.name)} t ON ${on}`,
    );
    const first = `t_${table.key[0]!}`;
    return rows.map((row) =>
      row[first] === null
        ? { table: number, gone: keyOfRow(table, row) as JournalValue[] }
        : { table: number, row: names.map((name) => row[`t_${name}`]!) },
    );
  }

  function* pageOf(
    table: JournalTable,
    after: readonly JournalValue[] | undefined,
    limit: number,
  ): SqlWork<readonly AnyRow[]> {
    const key = raw(table.key.join(', '));
    const behind =
      after === undefined ? raw('') : sql`WHERE (${key}) > (${join(after as unknown[])})`;
    return yield* query<AnyRow>(
      sql`SELECT * FROM ${raw(table.name)} ${behind} ORDER BY ${key} LIMIT ${limit}`,
    );
  }

  /** Contents that rows refer to must be there first. */
  function* holdContents(rows: readonly (readonly JournalValue[])[], at: number): SqlWork<void> {
    const ids = new Map(rows.map((row) => [(row[at] as Buffer).toString('hex'), row[at]]));
    const values = [...ids.values()].map((id) => [id, null, 0, 0]);
    yield* query(sql`INSERT INTO contents (id, claimed, size, sparse) VALUES ${bulk(values)}
      ON CONFLICT (id) DO NOTHING`);
  }

  /** Write a page of rows that were noted. @returns the key of the last one, if there may be more. */
  function* writeRows(number: number, after: Buffer): SqlWork<Buffer | undefined> {
    const table = JOURNAL_TABLES[number]!;
    const names = Object.keys(table.columns);
    const limit = number === BODIES ? BODY_PAGE : Math.floor(MOST_VALUES / names.length);
    const noted = yield* query<{ key: Buffer; line: string }>(sql`SELECT key, line
      FROM journal_restore WHERE tab = ${number} AND key > ${after} AND line IS NOT NULL
      ORDER BY key LIMIT ${limit}`);
    const rows: (readonly JournalValue[])[] = [];
    for (const { line } of noted) {
      const decoded = decodeLine(line);
      if ('row' in decoded) rows.push(decoded.row);
    }
    if (rows.length === 0) return undefined;
    if (table.name === 'extents') yield* holdContents(rows, names.indexOf('content'));
    yield* query(sql`INSERT INTO ${raw(table.name)} (${raw(names.join(', '))})
      VALUES ${bulk(rows as unknown[][])}`);
    return noted.length < limit ? undefined : noted.at(-1)!.key;
  }

  /** Versions and parts that refer to a content which is not there go; what they were called. */
  function* dropLost(content: Buffer): SqlWork<{ bucket: string; key: string }[]> {
    const refs = sql`SELECT ref FROM extents WHERE content = ${content}`;
    const broken = sql`(body IN (${refs}) OR parts IN (SELECT upload FROM parts WHERE ref IN (${refs})))`;
    const names = yield* query<{ bucket: string; key: Buffer }>(
      sql`SELECT b.name AS bucket, v.key FROM versions v JOIN buckets b ON b.id = v.bucket
        WHERE ${broken}`,
    );
    yield* query(sql`DELETE FROM versions WHERE ${broken}`);
    yield* query(sql`DELETE FROM parts WHERE ref IN (${refs})`);
    yield* query(sql`DELETE FROM extents WHERE content = ${content}`);
    yield* query(sql`DELETE FROM contents WHERE id = ${content}`);
    return names.map(({ bucket, key }) => ({ bucket, key: key.toString('utf8') }));
  }

  /** Rows that nothing leads to: their versions were not restored, or dropped. */
  const unled: readonly Sql[] = [
    sql`DELETE FROM parts WHERE upload NOT IN (SELECT id FROM uploads)
      AND upload NOT IN (SELECT parts FROM versions WHERE parts IS NOT NULL)`,
    sql`DELETE FROM part_lists WHERE upload NOT IN (SELECT parts FROM versions WHERE parts IS NOT NULL)`,
    ...['bodies', 'extents'].map(
      (table) => sql`DELETE FROM ${raw(table)} WHERE ref NOT IN (SELECT ref FROM parts)
        AND ref NOT IN (SELECT body FROM versions WHERE body IS NOT NULL)`,
    ),
    sql`DELETE FROM contents WHERE id NOT IN (SELECT content FROM extents)`,
  ];

  return {
    journalName: () =>
      context.write(function* () {
        const row = yield* queryOne<{ name: string | null }>(sql`SELECT name FROM journal_state`);
        if (row!.name !== null) return row!.name;
        const name = Buffer.from(random(8)).toString('hex');
        yield* query(sql`UPDATE journal_state SET name = ${name} WHERE one = 1`);
        return name;
      }),

    hasChanges: () =>
      context.read(function* () {
        return (yield* queryOne(sql`SELECT id FROM journal LIMIT 1`)) !== undefined;
      }),

    readChanges: () =>
      // A number and what is read under it in one transaction: the next number's comes after it.
      context.write(function* () {
        const number = yield* nextNumber();
        const { ids, more } = yield* idsToRead();
        const last = ids.at(-1);
        const lines: JournalLine[] = [];
        if (last !== undefined) {
          for (const table of JOURNAL_TABLES.keys()) lines.push(...(yield* linesOf(table, last)));
        }
        return { number, lines, ids, more };
      }, JOURNAL_TURN),

    forgetChanges: async (ids) => {
      for (let at = 0; at < ids.length; at += VALUES) {
        const some = join(ids.slice(at, at + VALUES));
        await context.write(function* () {
          yield* query(sql`DELETE FROM journal WHERE id IN (${some})`);
        });
      }
    },

    discardChanges: () =>
      context.write(function* () {
        const gone = yield* query(sql`DELETE FROM journal RETURNING id`);
        if (gone.length === 0) return;
        yield* query(sql`UPDATE journal_state SET since = next WHERE one = 1`);
      }, JOURNAL_TURN),

    passNumber: (number) =>
      context.write(function* () {
        yield* query(sql`UPDATE journal_state SET next = ${number + 1}, since = ${number + 1}
          WHERE next <= ${number}`);
      }, JOURNAL_TURN),

    firstSnapshot: () =>
      context.read(function* () {
        const row = yield* queryOne<{ since: number }>(sql`SELECT since FROM journal_state`);
        return row!.since;
      }),

    beginSnapshot: () => context.write(nextNumber, JOURNAL_TURN),

    async *snapshotLines() {
      for (const [number, table] of JOURNAL_TABLES.entries()) {
        const limit = number === BODIES ? BODY_PAGE : PAGE;
        const names = Object.keys(table.columns);
        for (let after: JournalValue[] | undefined; ;) {
          const from = after;
          const rows = await context.read(() => pageOf(table, from, limit));
          for (const row of rows) yield { table: number, row: names.map((name) => row[name]!) };
          const last = rows.at(-1);
          if (last === undefined || rows.length < limit) break;
          after = table.key.map((name) => last[name]!);
        }
      }
    },

    sealProof: () => sealer.seal(PROOF, 'granary').toString('base64'),

    checkProof: (proof) => {
      try {
        sealer.open(PROOF, Buffer.from(proof, 'base64'));
      } catch (cause) {
        throw new MetadataError(
          'METADATA_MISMATCH',
          "what is in the network was sealed under another master key: give the bridge's",
          { cause },
        );
      }
    },

    beginRestore: () =>
      context.write(function* () {
        const cutOff = yield* queryOne(sql`SELECT tab FROM journal_restore LIMIT 1`);
        const user = yield* queryOne(sql`SELECT id FROM users LIMIT 1`);
        if (cutOff === undefined && user !== undefined) {
          throw new MetadataError(
            'METADATA_USER_EXISTS',
            "the bridge's database has users already: recover into an empty one",
          );
        }
        const made = ['journal_restore', 'contents', 'garbage', 'released'];
        const tables = JOURNAL_TABLES.map(({ name }) => name).reverse();
        for (const name of [...tables, ...made]) yield* query(sql`DELETE FROM ${raw(name)}`);
      }),

    restoreLines: (lines) =>
      context.write(function* () {
        const last = new Map<string, unknown[]>();
        for (const line of lines) {
          const key = keyOfLine(line);
          const row = 'row' in line ? encodeLine(line) : null;
          last.set(`${line.table} ${key}`, [line.table, Buffer.from(key), row]);
        }
        const rows = [...last.values()];
        for (let at = 0; at < rows.length; at += VALUES) {
          yield* query(sql`INSERT INTO journal_restore (tab, key, line)
            VALUES ${bulk(rows.slice(at, at + VALUES))}
            ON CONFLICT (tab, key) DO UPDATE SET line = excluded.line`);
        }
      }),

    finishRestore: async (name, number, contents) => {
      for (const table of JOURNAL_TABLES.keys()) {
        let after: Buffer | undefined = Buffer.alloc(0);
        while (after !== undefined) {
          const from: Buffer = after;
          after = await context.write(() => writeRows(table, from));
        }
      }
      const there = new Set(contents);
      const known = await context.read(() =>
        query<{ id: Buffer }>(sql`SELECT DISTINCT content AS id FROM extents`),
      );
      const lost: { bucket: string; key: string }[] = [];
      for (const { id } of known) {
        if (!there.has(id.toString('hex'))) lost.push(...(await context.write(() => dropLost(id))));
      }
      return context.write(function* () {
        if (lost.length > 0) {
          for (const statement of unled) yield* query(statement);
          // Where the newest version is gone, the next one is current.
          yield* query(sql`UPDATE versions SET latest = 1,
            listed = CASE WHEN body IS NULL AND parts IS NULL THEN 0 ELSE 1 END
            WHERE latest = 0 AND rank = (SELECT MIN(o.rank) FROM versions o
              WHERE o.bucket = versions.bucket AND o.key = versions.key)`);
        }
        yield* query(sql`UPDATE contents SET size = (SELECT COALESCE(MAX(e.start + e.length), 0)
          FROM extents e WHERE e.content = contents.id)
          WHERE 1 < (SELECT COUNT(*) FROM extents e WHERE e.content = contents.id)`);
        const held = yield* query<{ id: Buffer }>(sql`SELECT id FROM contents`);
        const referred = new Set(held.map(({ id }) => id.toString('hex')));
        const garbage = contents
          .filter((id) => !referred.has(id))
          .map((id) => [newId(clock, random), Buffer.from(id, 'hex')]);
        for (let at = 0; at < garbage.length; at += VALUES) {
          yield* query(
            sql`INSERT INTO garbage (id, content) VALUES ${bulk(garbage.slice(at, at + VALUES))}`,
          );
        }
        yield* query(sql`DELETE FROM usage_changes`);
        yield* query(sql`DELETE FROM usage_sums`);
        yield* query(sql`INSERT INTO usage_sums (bucket, objects, bytes)
          SELECT bucket, SUM(objects), SUM(bytes) FROM (
            SELECT bucket, CASE WHEN body IS NULL AND parts IS NULL THEN 0 ELSE 1 END AS objects,
              size AS bytes FROM versions
            UNION ALL SELECT u.bucket, 0 AS objects, p.size AS bytes
              FROM uploads u JOIN parts p ON p.upload = u.id) AS held GROUP BY bucket`);
        // All of it came from the network.
        yield* query(sql`DELETE FROM journal`);
        yield* query(sql`DELETE FROM journal_restore`);
        yield* query(sql`UPDATE journal_state SET name = ${name}, next = ${number + 1}`);
        const count = function* (from: Sql): SqlWork<number> {
          return (yield* queryOne<{ n: number }>(sql`SELECT COUNT(*) AS n FROM ${from}`))!.n;
        };
        return {
          users: yield* count(raw('users')),
          buckets: yield* count(raw('buckets')),
          versions: yield* count(raw('versions WHERE body IS NOT NULL OR parts IS NOT NULL')),
          lost,
        };
      });
    },
  };
}

/** Who takes a number waits for who has one. */
const JOURNAL_TURN = { contention: 'journal' };
