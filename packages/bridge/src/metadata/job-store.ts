import sql, { raw } from 'sql-template-tag';
import { type SqlWork, execute, query, queryOne } from '../sql/sql-database.js';
import { checkLimit, checkName, newId } from './identifiers.js';
import { MetadataError } from './metadata-error.js';
import type { JobStore } from './metadata-store.js';
import type { Job } from './records.js';
import type { StoreContext } from './store-context.js';

interface JobRow {
  readonly queue: string;
  readonly id: string;
  readonly due: number;
  readonly attempts: number;
  readonly sealed: Buffer;
  readonly error: Buffer | null;
}

const place = (queue: string, id: string) => `job/${queue}\0${id}`;
/** Characters of an error that are kept. */
const ERROR_LENGTH = 1000;

/**
 * Jobs in a database. A job that is leased is due when its lease ends: so nothing has to look for
 * leases whose holder was killed. The clocks of the machines must agree to within a few seconds.
 */
export function createJobStore(context: StoreContext): JobStore {
  const { sealer, clock, random, dialect } = context;

  const tokenOf = ({ token }: Job) => Buffer.from(token, 'hex');
  const lease = (job: Job) =>
    sql`queue = ${job.queue} AND id = ${job.id} AND token = ${tokenOf(job)}`;

  function* change(statement: ReturnType<typeof sql>): SqlWork<void> {
    if ((yield* query(statement)).length === 0) {
      throw new MetadataError('METADATA_LEASE_LOST', 'the lease has run out and passed to another');
    }
  }

  return {
    addJob: async ({ queue, id, payload, due }) => {
      checkName(queue, "a queue's name", 128);
      checkName(id, "a job's ID", 1024);
      return context.write(function* () {
        const known = yield* queryOne(
          sql`SELECT id FROM jobs WHERE queue = ${queue} AND id = ${id}`,
        );
        if (known !== undefined) return false;
        yield* execute(sql`INSERT INTO jobs (queue, id, due, token, attempts, failed, sealed, error)
          VALUES (${queue}, ${id}, ${due}, NULL, 0, 0, ${sealer.seal(place(queue, id), payload)}, NULL)`);
        return true;
      });
    },

    takeJobs: async (queue, limit, forMs) => {
      checkLimit(limit);
      return context.write(function* () {
        const now = clock.now();
        const expires = now + forMs;
        const token = newId(clock, random);
        // Those that another is just taking are passed over, where that can happen.
        const skip = raw(dialect === 'postgres' ? 'FOR UPDATE SKIP LOCKED' : '');
        const rows = yield* query<JobRow>(sql`UPDATE jobs
          SET due = ${expires}, token = ${token}, attempts = attempts + 1
          WHERE queue = ${queue} AND id IN (SELECT id FROM jobs
            WHERE queue = ${queue} AND due <= ${now} ORDER BY due LIMIT ${limit} ${skip})
          RETURNING queue, id, due, attempts, sealed, error`);
        return rows.map((row) => ({
          queue,
          id: row.id,
          payload: sealer.open(place(queue, row.id), row.sealed),
          attempts: row.attempts - 1,
          lastError:
            row.error && (sealer.open(`error/${place(queue, row.id)}`, row.error) as string),
          token: token.toString('hex'),
          expires,
        }));
      });
    },

    renewJob: async (job, forMs) =>
      context.write(function* () {
        const expires = clock.now() + forMs;
        yield* change(sql`UPDATE jobs SET due = ${expires} WHERE ${lease(job)} RETURNING id`);
        return { ...job, expires };
      }),

    finishJob: async (job, again) =>
      context.write(function* () {
        if (again === undefined) {
          yield* change(sql`DELETE FROM jobs WHERE ${lease(job)} RETURNING id`);
          return;
        }
        const payload = 'payload' in again ? again.payload : job.payload;
        const sealed = sealer.seal(place(job.queue, job.id), payload);
        yield* change(sql`UPDATE jobs SET due = ${again.due}, token = NULL, attempts = 0, failed = 0,
          sealed = ${sealed}, error = NULL WHERE ${lease(job)} RETURNING id`);
      }),

    failJob: async (job, error, due) =>
      context.write(function* () {
        const text = error.slice(0, ERROR_LENGTH);
        const sealed = sealer.seal(`error/${place(job.queue, job.id)}`, text);
        yield* change(sql`UPDATE jobs SET due = ${due}, token = NULL, failed = failed + 1,
          error = ${sealed} WHERE ${lease(job)} RETURNING id`);
      }),

    countJobs: async (queue) =>
      context.read(function* () {
        const row = yield* queryOne<{ waiting: number; leased: number; failing: number }>(
          sql`SELECT
            COALESCE(SUM(CASE WHEN token IS NULL OR due <= ${clock.now()} THEN 1 ELSE 0 END), 0) AS waiting,
            COALESCE(SUM(CASE WHEN token IS NOT NULL AND due > ${clock.now()} THEN 1 ELSE 0 END), 0) AS leased,
            COALESCE(SUM(CASE WHEN failed > 0 THEN 1 ELSE 0 END), 0) AS failing
            FROM jobs WHERE queue = ${queue}`,
        );
        return row!;
      }),
  };
}
