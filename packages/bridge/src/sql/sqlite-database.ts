import { chmod } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSyncInstance } from '@photostructure/sqlite';
import { type Clock, makeDirectory, messageOf, type Random } from '@granary/kad';
import type { Sql } from 'sql-template-tag';
import { backOff } from './backoff.js';
import { DatabaseError, Overtaken } from './database-error.js';
import { type Row, type SqlDatabase, type SqlWork, Unwatched } from './sql-database.js';
import { SqliteCheckpointer } from './sqlite-checkpointer.js';
import { SqliteLogSync } from './sqlite-log-sync.js';

/** How long a transaction waits for those of other processes, in milliseconds. */
const PATIENCE_MS = 20_000;
/** Statements kept ready. */
const MAX_STATEMENTS = 300;

/** How long a batch of transactions goes on, in milliseconds: nothing else runs meanwhile. */
const BATCH_MS = 10;
/** Attempts of work that says that it was overtaken; here nothing overtakes it, so it is at fault. */
const MAX_ATTEMPTS = 10;

/** Work that waits. */
interface Waiting {
  attempts: number;
  /** Do it; what is returned tells its caller. */
  run(): () => void;
  reject(error: unknown): void;
}

/** Work that was done, and is not yet on the disk. */
interface Done {
  resolve(): void;
  reject(error: unknown): void;
}

/** What an {@link SqliteDatabase} is made of. */
export interface SqliteParts {
  /** Its file. */
  readonly file: string;
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * SQLite in a file of this machine.
 *
 * Transactions of one moment are committed together, which takes microseconds each. What makes them durable,
 * a sync of the write-ahead log, is done by a thread of the pool, once for all of them; moving the log into the
 * database is done by a thread of its own. So nothing holds up the event loop for long.
 */
export class SqliteDatabase implements SqlDatabase {
  readonly dialect = 'sqlite';
  private readonly statements = new Map<string, StatementSyncInstance>();
  private readonly waiting: Waiting[] = [];
  private draining: Promise<void> | undefined;

  private constructor(
    private readonly db: InstanceType<typeof DatabaseSync>,
    private readonly log: SqliteLogSync,
    private readonly checkpointer: SqliteCheckpointer,
    private readonly parts: SqliteParts,
  ) {}

  /** @throws DatabaseError when the file can't be used. */
  static async open(parts: SqliteParts): Promise<SqliteDatabase> {
    const { file, clock, random } = parts;
    try {
      await makeDirectory(dirname(file));
      const db = new DatabaseSync(file, { timeout: 0, enableForeignKeyConstraints: true });
      // Two that open a new file at one time are in each other's way.
      await patiently(parts, () => db.exec('PRAGMA journal_mode = WAL'));
      db.exec('PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0');
      db.exec('PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY');
      await patiently(parts, () => db.exec('BEGIN IMMEDIATE; COMMIT'));
      await chmod(file, 0o600);
      const log = await SqliteLogSync.open(`${file}-wal`);
      return new SqliteDatabase(db, log, new SqliteCheckpointer(file), { file, clock, random });
    } catch (error) {
      if (error instanceof DatabaseError) throw error;
      throw refused(error, `the database ${file} can't be opened`);
    }
  }

  async read<T>(work: () => SqlWork<T>): Promise<T> {
    return patiently(this.parts, () => {
      this.do('BEGIN');
      try {
        return this.run(work());
      } finally {
        if (this.db.isTransaction) this.do('COMMIT');
      }
    });
  }

  write<T>(work: () => SqlWork<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.waiting.push({
        attempts: 0,
        run: () => {
          const result = this.run(work());
          return () => resolve(result);
        },
        reject,
      });
      this.draining ??= this.drain();
    });
  }

  async close(): Promise<void> {
    await this.draining;
    await this.checkpointer.close();
    await this.log.close();
    this.statements.clear();
    if (this.db.isOpen) this.db.close();
  }

  /** Do what waits, as long as there is something: who comes during a sync goes into the next batch. */
  private async drain(): Promise<void> {
    while (this.waiting.length > 0) {
      // Whoever else writes in this turn of the event loop goes along.
      await new Promise((resolve) => setImmediate(resolve));
      await this.commitWaiting();
    }
    this.draining = undefined;
  }

  private async commitWaiting(): Promise<void> {
    let done: readonly Done[];
    try {
      done = await patiently(this.parts, () => this.batch());
    } catch (error) {
      for (const { reject } of this.waiting.splice(0)) reject(error);
      return;
    }
    try {
      const size = await this.log.sync();
      for (const { resolve } of done) resolve();
      this.checkpointer.grown(size);
    } catch (error) {
      const failed = refused(error, 'the database did not get onto the disk');
      for (const { reject } of done) reject(failed);
    }
  }

  /** Several transactions as one: pages that all of them change are written once. */
  private batch(): readonly Done[] {
    const { clock } = this.parts;
    const begun = clock.now();
    const done: Done[] = [];
    this.do('BEGIN IMMEDIATE');
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      try {
        this.do('SAVEPOINT one');
        const resolve = next.run();
        this.do('RELEASE one');
        done.push({ resolve, reject: next.reject });
      } catch (error) {
        if (!this.db.isTransaction) {
          // The database gave the whole transaction up: its disk is full, or broken.
          next.reject(error);
          for (const { reject } of done) reject(error);
          return [];
        }
        this.do('ROLLBACK TO one');
        this.do('RELEASE one');
        const again = error instanceof Overtaken && (next.attempts += 1) < MAX_ATTEMPTS;
        if (again) this.waiting.push(next);
        else next.reject(error);
        if (again) break;
      }
      if (clock.now() - begun >= BATCH_MS) break;
    }
    try {
      this.do('COMMIT');
    } catch (error) {
      if (this.db.isTransaction) this.do('ROLLBACK');
      const failed = refused(error, 'the database did not take a change');
      for (const { reject } of done) reject(failed);
      return [];
    }
    return done;
  }

  private do(statement: string): void {
    this.prepared(statement).run();
  }

  private run<T>(work: SqlWork<T>): T {
    let step = work.next();
    while (!step.done) {
      const { value } = step;
      step = work.next(this.rows(value instanceof Unwatched ? value.statement : value));
    }
    return step.value;
  }

  private rows(statement: Sql): Row[] {
    try {
      const rows = this.prepared(statement.sql).all(
        ...(statement.values as (string | number | Uint8Array | null)[]),
      ) as Record<string, unknown>[];
      for (const row of rows) {
        for (const [column, value] of Object.entries(row)) {
          if (value instanceof Uint8Array) {
            row[column] = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
          }
        }
      }
      return rows;
    } catch (error) {
      if (isBusy(error)) throw error;
      throw refused(error, 'the database does not take a statement');
    }
  }

  private prepared(text: string): StatementSyncInstance {
    const known = this.statements.get(text);
    if (known !== undefined) return known;
    if (this.statements.size >= MAX_STATEMENTS) {
      this.statements.delete(this.statements.keys().next().value!);
    }
    const statement = this.db.prepare(text);
    this.statements.set(text, statement);
    return statement;
  }
}

/** Do something again as long as another process is in the way. */
async function patiently<T>({ clock, random }: SqliteParts, work: () => T): Promise<T> {
  const begun = clock.now();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return work();
    } catch (error) {
      if (!isBusy(error) && !(error instanceof Overtaken)) throw error;
      if (clock.now() - begun > PATIENCE_MS) {
        const text = 'the database is held by another process for too long';
        throw new DatabaseError('DATABASE_UNAVAILABLE', text, { cause: error });
      }
    }
    await backOff(clock, random, attempt);
  }
}

/** SQLITE_BUSY and its extended codes. */
function isBusy(error: unknown): boolean {
  return ((error as { errcode?: number }).errcode ?? 0) % 256 === 5;
}

function refused(error: unknown, what: string): Error {
  const { errcode } = error as { errcode?: number };
  if (errcode === undefined && !(error as { code?: string }).code) return error as Error;
  return new DatabaseError('DATABASE_REFUSED', `${what}: ${messageOf(error)}`, { cause: error });
}
