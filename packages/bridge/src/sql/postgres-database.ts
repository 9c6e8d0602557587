import { createHash } from 'node:crypto';
import pg from 'pg';
import { type Clock, type Logger, type Random, messageOf } from '@granary/kad';
import type { Sql } from 'sql-template-tag';
import { backOff } from './backoff.js';
import { DatabaseError, Overtaken } from './database-error.js';
import {
  type Isolation,
  type Row,
  type SqlDatabase,
  type SqlWork,
  type TransactionOptions,
  Unwatched,
} from './sql-database.js';

/** How long a transaction is tried, in milliseconds. */
const PATIENCE_MS = 20_000;
/** How long a statement, or a wait within a transaction, may take, in milliseconds. */
const STATEMENT_MS = 30_000;
const CONNECT_MS = 5_000;
/** Attempts that are made before a transaction waits for others that it keeps meeting. */
const OVERTAKEN_BEFORE_TURN = 2;
/** Statements of a transaction that may be under way before one is waited for. */
const MAX_UNDER_WAY = 64;
/** Statements with more values are not kept ready: their text changes with the number of values. */
const MAX_PREPARED_VALUES = 40;

/** What a {@link PostgresDatabase} is made of. */
export interface PostgresParts {
  /** `postgres://user:password@host:port/database?sslmode=…` */
  readonly url: string;
  /** Connections at most. Default 16. */
  readonly connections?: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const READ = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
const BEGIN: Record<Isolation, string> = {
  snapshot: 'BEGIN ISOLATION LEVEL REPEATABLE READ',
  serializable: 'BEGIN ISOLATION LEVEL SERIALIZABLE',
};

/**
 * PostgreSQL, or what speaks its protocol. A transaction that another overtook, or whose connection
 * was lost before it was committed, is run again for {@link PATIENCE_MS}.
 */
export class PostgresDatabase implements SqlDatabase {
  readonly dialect = 'postgres';
  private readonly pool: pg.Pool;
  private readonly turns = new Map<string, Promise<void>>();

  /** Connections are made when they are needed. @throws DatabaseError when the URL is none. */
  constructor(private readonly parts: PostgresParts) {
    const { url, connections = 16, logger } = parts;
    if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
      throw new DatabaseError(
        'DATABASE_REFUSED',
        'the database is named by a URL like postgres://user@host/database',
      );
    }
    this.pool = new pg.Pool({
      connectionString: url,
      max: connections,
      connectionTimeoutMillis: CONNECT_MS,
      idleTimeoutMillis: 60_000,
      statement_timeout: STATEMENT_MS,
      idle_in_transaction_session_timeout: STATEMENT_MS,
      query_timeout: STATEMENT_MS + 5_000,
      keepAlive: true,
      // Statements are sent without waiting for those before them.
      pipeline: true,
      application_name: 'granary',
      types: { getTypeParser },
    });
    // A connection that is not in use broke: the pool makes another.
    this.pool.on('error', (error) =>
      logger.debug({ error: messageOf(error) }, 'a connection to the database broke'),
    );
    // An acknowledged write must be on the disk, whatever the server's or the role's setting is.
    this.pool.on('connect', (client) => {
      client.query(SYNCHRONOUS).catch(() => undefined);
    });
  }

  read<T>(work: () => SqlWork<T>): Promise<T> {
    return this.transaction(READ, work);
  }

  write<T>(work: () => SqlWork<T>, options: TransactionOptions = {}): Promise<T> {
    const { isolation = 'snapshot', turn, contention } = options;
    const begin = BEGIN[isolation];
    if (turn === undefined) {
      const number = contention === undefined ? undefined : turnNumber(contention);
      return this.transaction(begin, work, number, OVERTAKEN_BEFORE_TURN);
    }
    // In this process they wait without a connection each; the first of every process waits in the database.
    const last = this.turns.get(turn) ?? Promise.resolve();
    const mine = last.then(() => this.transaction(begin, work, turnNumber(turn)));
    const over = mine.then(
      () => undefined,
      () => undefined,
    );
    this.turns.set(turn, over);
    void over.then(() => {
      if (this.turns.get(turn) === over) this.turns.delete(turn);
    });
    return mine;
  }

  async close(): Promise<void> {
    if (!this.pool.ended) await this.pool.end();
  }

  private async transaction<T>(
    begin: string,
    work: () => SqlWork<T>,
    turn?: string,
    turnAfter = 0,
  ): Promise<T> {
    const { clock, random } = this.parts;
    const begun = clock.now();
    for (let attempt = 1; ; attempt += 1) {
      const state: { committing: boolean } = { committing: false };
      try {
        return await this.attempt(begin, work, state, attempt > turnAfter ? turn : undefined);
      } catch (error) {
        const kind = kindOf(error);
        if (kind === 'own') throw error;
        const late = clock.now() - begun > PATIENCE_MS;
        if (kind === 'refused' || late || (kind === 'lost' && state.committing)) {
          throw failure(kind, error, state.committing);
        }
      }
      await backOff(clock, random, attempt);
    }
  }

  private async attempt<T>(
    begin: string,
    work: () => SqlWork<T>,
    state: { committing: boolean },
    turn: string | undefined,
  ): Promise<T> {
    const client = await this.pool.connect();
    const release = (error?: Error) => {
      client.off('error', onError);
      client.release(broken ?? error);
    };
    // How a transaction ends that changed nothing is nothing to wait for.
    let ending: Promise<unknown> | undefined;
    // Without a listener a connection that breaks between two statements would end the process.
    let broken: Error | undefined;
    const onError = (error: Error) => void (broken = error);
    client.on('error', onError);
    try {
      const generator = work();
      let step = generator.next();
      const line = new Line();
      if (turn !== undefined) line.add(client.query('SELECT pg_advisory_lock($1)', [turn]));
      line.add(client.query(begin));
      while (!step.done) {
        const { value } = step;
        if (value instanceof Unwatched) {
          line.add(rowsOf(client, value.statement));
          if (line.length >= MAX_UNDER_WAY) await line.done();
          step = generator.next([]);
        } else step = generator.next(await line.last(rowsOf(client, value)));
      }
      if (begin === READ) {
        await line.done();
        ending = client.query('COMMIT');
        return step.value;
      }
      // Should a statement before it fail, this takes all back, as does every other end of a transaction that failed.
      state.committing = true;
      const { command } = await line.last(client.query('COMMIT'));
      if (command !== 'COMMIT') throw new Error(`a transaction ended with ${command}`);
      return step.value;
    } catch (error) {
      if (kindOf(error) === 'lost') broken ??= error as Error;
      else await client.query('ROLLBACK').catch((failed: Error) => void (broken = failed));
      throw error;
    } finally {
      if (turn !== undefined && broken === undefined) {
        await client
          .query('SELECT pg_advisory_unlock_all()')
          .catch((failed: Error) => void (broken = failed));
      }
      if (ending === undefined) release();
      else void ending.then(() => release(), release);
    }
  }
}

/** Answers that are under way. They come in the order of what was sent. */
class Line {
  private waiting: Promise<unknown>[] = [];

  get length(): number {
    return this.waiting.length;
  }

  add(answer: Promise<unknown>): void {
    // It is looked at later, or never, after another failed.
    answer.catch(() => undefined);
    this.waiting.push(answer);
  }

  /** Wait for all. @throws what the first that failed has failed with: those behind it only follow. */
  async done(): Promise<void> {
    const waiting = this.waiting;
    this.waiting = [];
    for (const answer of waiting) await answer;
  }

  /** Wait for all, and then this one. */
  async last<T>(answer: Promise<T>): Promise<T> {
    answer.catch(() => undefined);
    await this.done();
    return answer;
  }
}

const SYNCHRONOUS =
  "SELECT set_config('synchronous_commit', 'on', false) " +
  "WHERE current_setting('synchronous_commit') = 'off'";

/**
 * Send a statement.
 *
 * @throws TypeError at once when a value is of a kind that is not kept here: what the driver itself refuses is
 * not sent, and what is behind it would be done without it.
 */
function rowsOf(client: pg.PoolClient, statement: Sql): Promise<Row[]> {
  const { text, values } = statement;
  const wrong = values.find((value) => !isKept(value));
  if (wrong !== undefined) throw new TypeError(`a ${typeof wrong} is no value of a statement`);
  const prepared = values.length <= MAX_PREPARED_VALUES ? { name: nameOf(text) } : {};
  return client
    .query<Record<string, unknown>>({ text, values, ...prepared })
    .then(({ rows }) => rows);
}

function isKept(value: unknown): boolean {
  return (
    value === null ||
    typeof value === 'string' ||
    typeof value === 'number' ||
    value instanceof Uint8Array
  );
}

/** The number that a turn's lock has in the database: 63 bits of a hash of its name. */
function turnNumber(turn: string): string {
  const hash = createHash('sha256').update(`granary turn ${turn}`).digest();
  return String(hash.readBigUInt64BE() >> 1n);
}

const names = new Map<string, string>();

/** A statement's name: what is of the same text is parsed once for a connection. */
function nameOf(text: string): string {
  let name = names.get(text);
  if (name === undefined) {
    name = createHash('sha256').update(text).digest('hex').slice(0, 32);
    if (names.size >= 1000) names.clear();
    names.set(text, name);
  }
  return name;
}

const INT8 = 20;
const NUMERIC = 1700;

/** Integers of 64 bits as numbers; all that is kept here fits, and sums that don't are told. */
function getTypeParser(oid: number, format?: 'text' | 'binary'): (text: string) => unknown {
  if (oid === INT8 || oid === NUMERIC) return toNumber;
  return pg.types.getTypeParser(oid, format as 'text') as (text: string) => unknown;
}

function toNumber(text: string): number {
  const n = Number(text);
  if (Number.isInteger(n) && !Number.isSafeInteger(n)) {
    throw new DatabaseError('DATABASE_REFUSED', `the database holds a number too large: ${text}`);
  }
  return n;
}

/** What an error means for the transaction that it ended. */
function kindOf(error: unknown): 'own' | 'overtaken' | 'lost' | 'refused' {
  if (error instanceof Overtaken) return 'overtaken';
  const { code } = error as { code?: unknown };
  if (error instanceof pg.DatabaseError && code !== undefined) {
    // serialization_failure, deadlock_detected; unique and foreign-key violations are races, since
    // work looks before it writes; waits that took too long; and so are things made twice when a new database is opened.
    if (/^(40001|40P01|23505|23503|55P03|57014|42710|42P07)$/.test(String(code)))
      return 'overtaken';
    // connection exceptions, shut down, starting up, too many connections; a standby not yet promoted.
    if (/^(08...|57P0[123]|53300|25006)$/.test(String(code))) return 'lost';
    return 'refused';
  }
  if (/^E(CONN|PIPE|HOST|NET|TIMEDOUT|AI_AGAIN)|^ENOTFOUND$|^ENOENT$/.test(String(code))) {
    return 'lost';
  }
  if (/terminated|not queryable|timeout|ended the connection|closed/i.test(messageOf(error))) {
    const name = (error as Error).name;
    if (name === 'Error') return 'lost';
  }
  return 'own';
}

function failure(kind: 'overtaken' | 'lost' | 'refused', error: unknown, committing: boolean) {
  const { code } = error as { code?: unknown };
  if (kind === 'refused') {
    const text = `the database refuses (${String(code)}): ${messageOf(error)}`;
    return new DatabaseError('DATABASE_REFUSED', text, { cause: error });
  }
  const text =
    kind === 'overtaken'
      ? 'the database is too busy: other transactions were always first'
      : committing
        ? 'the connection to the database was lost while a change was being committed; it may have happened'
        : `the database can't be reached: ${messageOf(error)}`;
  return new DatabaseError('DATABASE_UNAVAILABLE', text, { cause: error });
}
