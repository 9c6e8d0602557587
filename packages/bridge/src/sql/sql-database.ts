import type { Sql } from 'sql-template-tag';

/** The SQL that a database speaks. */
export type Dialect = 'sqlite' | 'postgres';

/** A row, by column. Integers are numbers, bytes are `Buffer`s. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * Work on a database, as a generator: it yields statements and is handed their rows. So the same code
 * runs without a pause in SQLite, where a statement takes microseconds, and over a connection to
 * PostgreSQL, where each one is waited for. It may be run several times, and must change nothing but
 * the database.
 */
export type SqlWork<T> = Generator<Sql | Unwatched, T, readonly Row[]>;

/** A statement whose rows nobody wants: the work goes on without waiting for it. */
export class Unwatched {
  constructor(readonly statement: Sql) {}
}

/** How transactions see each other. */
export type Isolation =
  /** Each reads the state when it began; of two that change one row the second is run again. */
  | 'snapshot'
  /** As if one ran after the other. */
  | 'serializable';

/** How a transaction is to be run. */
export interface TransactionOptions {
  /** Default `snapshot`. */
  readonly isolation?: Isolation;
  /** Transactions that name the same turn wait for each other before they begin, in every process. */
  readonly turn?: string;
  /** The turn that it takes when it has been overtaken some times. */
  readonly contention?: string;
}

/** A database with transactions that any number of processes may use at a time. */
export interface SqlDatabase {
  readonly dialect: Dialect;
  /** Read in one transaction. @throws DatabaseError. */
  read<T>(work: () => SqlWork<T>): Promise<T>;
  /**
   * Change in one transaction: all of it happens, or nothing. It is on the disk when the promise
   * resolves. Work that met another's is run again, from its beginning.
   *
   * @throws DatabaseError, and what the work throws (then nothing has happened).
   */
  write<T>(work: () => SqlWork<T>, options?: TransactionOptions): Promise<T>;
  close(): Promise<void>;
}

/** Run one statement inside of a {@link SqlWork}: `const rows = yield* query<…>(sql`…`)`. */
export function* query<R = Row>(statement: Sql): SqlWork<readonly R[]> {
  return (yield statement) as readonly R[];
}

/**
 * Run one statement whose rows don't matter. A database at the end of a connection is not waited for: what goes
 * wrong ends the transaction at the next statement that is, or at its end.
 */
export function* execute(statement: Sql): SqlWork<void> {
  yield new Unwatched(statement);
}

/** Work that asks nothing. */
export function* returning<T>(value: T): SqlWork<T> {
  yield* [];
  return value;
}

/** As {@link query}, for one row at most. */
export function* queryOne<R = Row>(statement: Sql): SqlWork<R | undefined> {
  return ((yield statement) as readonly R[])[0];
}
