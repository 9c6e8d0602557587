import sql, { type Sql, bulk, join, raw } from 'sql-template-tag';
import {
  type KeyRange,
  type RecordAnswer,
  type RecordDatabase,
  type RecordStep,
  type RecordWork,
  RenterError,
  type StoredRecord,
  type WriteOptions,
} from '@granary/renter';
import { messageOf } from '@granary/kad';
import { DatabaseError } from '../sql/database-error.js';
import { type Migration, migrate } from '../sql/migrate.js';
import {
  type SqlDatabase,
  type SqlWork,
  type TransactionOptions,
  execute,
  query,
  queryOne,
} from '../sql/sql-database.js';

/** Records written by one statement. */
const ROWS = 500;
const migrations: readonly Migration[] = [
  (dialect) => {
    const [bytes, clustered] =
      dialect === 'postgres' ? ['BYTEA', ''] : ['BLOB', 'STRICT, WITHOUT ROWID'];
    return [
      `CREATE TABLE renter_records (space ${bytes} NOT NULL, key ${bytes} NOT NULL,
        value ${bytes} NOT NULL, PRIMARY KEY (space, key)) ${clustered}`,
    ];
  },
];

interface RecordRow {
  readonly key: Buffer;
  readonly value: Buffer;
}

const bytesOf = (key: string) => Buffer.from(key, 'utf8');
const asBuffer = ({ buffer, byteOffset, length }: Uint8Array) =>
  Buffer.from(buffer, byteOffset, length);
const recordOf = ({ key, value }: RecordRow): StoredRecord => ({
  key: key.toString('utf8'),
  value,
});

/**
 * A renter's records in an SQL database. In SQLite for the processes of one machine; in PostgreSQL for
 * those of many: transactions are serialisable there, and one that another overtook is run again.
 */
export class SqlRecords implements RecordDatabase {
  readonly reach: RecordDatabase['reach'];

  private constructor(
    private readonly database: SqlDatabase,
    private readonly space: Buffer,
  ) {
    this.reach = database.dialect === 'sqlite' ? 'machine' : 'network';
  }

  /**
   * @param database - closed with the records
   * @param space - whose records: several renters may share a database
   * @throws RenterError RENTER_STORE
   */
  static async open(database: SqlDatabase, space: string): Promise<SqlRecords> {
    try {
      await migrate(database, 'renter-records', migrations);
    } catch (error) {
      throw storeError(error);
    }
    return new SqlRecords(database, bytesOf(space));
  }

  get(keys: readonly string[]): Promise<readonly StoredRecord[]> {
    return this.guard(() => this.database.read(() => this.pick(keys)));
  }

  range(range: KeyRange): Promise<readonly StoredRecord[]> {
    return this.guard(() => this.database.read(() => this.scan(range)));
  }

  count({ start, end }: Pick<KeyRange, 'start' | 'end'>): Promise<number> {
    const within = this.within(start, end);
    return this.guard(() =>
      this.database.read(function* () {
        const row = yield* queryOne<{ n: number }>(
          sql`SELECT COUNT(*) AS n FROM renter_records WHERE ${within}`,
        );
        return row!.n;
      }),
    );
  }

  /** Always durable: a database has no other way that is worth having. */
  write<T>(work: () => RecordWork<T>, { turn }: WriteOptions = {}): Promise<T> {
    const options: TransactionOptions = {
      isolation: 'serializable',
      ...(turn === undefined ? {} : { turn: `${this.space.toString('utf8')}/${turn}` }),
    };
    return this.guard(() => this.database.write(() => this.run(work()), options));
  }

  close(): Promise<void> {
    return this.database.close();
  }

  private *run<T>(work: RecordWork<T>): SqlWork<T> {
    let step = work.next();
    while (!step.done) step = work.next(yield* this.perform(step.value));
    return step.value;
  }

  private *perform(step: RecordStep): SqlWork<RecordAnswer> {
    if (step.op === 'get') return yield* this.pick(step.keys);
    if (step.op === 'range') return yield* this.scan(step.range);
    const written: [Buffer, Buffer, Buffer][] = [];
    const removed: Buffer[] = [];
    for (const [key, value] of step.records) {
      if (value === null) removed.push(bytesOf(key));
      else written.push([this.space, bytesOf(key), asBuffer(value)]);
    }
    // In order of key, so that two that write the same records do not wait for each other.
    written.sort(([, a], [, b]) => Buffer.compare(a, b));
    removed.sort((a, b) => Buffer.compare(a, b));
    for (let at = 0; at < removed.length; at += ROWS) {
      const some = join(removed.slice(at, at + ROWS));
      yield* execute(
        sql`DELETE FROM renter_records WHERE space = ${this.space} AND key IN (${some})`,
      );
    }
    for (let at = 0; at < written.length; at += ROWS) {
      yield* execute(sql`INSERT INTO renter_records (space, key, value)
        VALUES ${bulk(written.slice(at, at + ROWS))}
        ON CONFLICT (space, key) DO UPDATE SET value = excluded.value`);
    }
    return [];
  }

  private *pick(keys: readonly string[]): SqlWork<readonly StoredRecord[]> {
    const found: StoredRecord[] = [];
    for (let at = 0; at < keys.length; at += ROWS) {
      const some = join(keys.slice(at, at + ROWS).map(bytesOf));
      const rows = yield* query<RecordRow>(sql`SELECT key, value FROM renter_records
        WHERE space = ${this.space} AND key IN (${some})`);
      found.push(...rows.map(recordOf));
    }
    return found;
  }

  private *scan({ start, end, limit, reverse }: KeyRange): SqlWork<readonly StoredRecord[]> {
    const most: Sql = limit === undefined ? raw('') : sql`LIMIT ${limit}`;
    const order = raw(reverse === true ? 'ORDER BY key DESC' : 'ORDER BY key');
    const rows = yield* query<RecordRow>(sql`SELECT key, value FROM renter_records
      WHERE ${this.within(start, end)} ${order} ${most}`);
    return rows.map(recordOf);
  }

  private within(start: string, end: string): Sql {
    return sql`space = ${this.space} AND key >= ${bytesOf(start)} AND key < ${bytesOf(end)}`;
  }

  private async guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw storeError(error);
    }
  }
}

function storeError(error: unknown): unknown {
  if (!(error instanceof DatabaseError)) return error;
  return new RenterError('RENTER_STORE', messageOf(error), { cause: error });
}
