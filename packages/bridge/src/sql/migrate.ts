import sql, { raw } from 'sql-template-tag';
import { DatabaseError } from './database-error.js';
import { type Dialect, type SqlDatabase, type SqlWork, query, queryOne } from './sql-database.js';

/** A step from one form of a database to the next: statements in the dialect that is named. */
export type Migration = (dialect: Dialect) => readonly string[];

/**
 * Bring a part of a database to its newest form. Several processes may do so at one time: each step is
 * made by one of them, in one transaction with its number.
 *
 * @param part - the name that the form's number is kept under
 * @throws DatabaseError DATABASE_NEWER when a newer Granary was here.
 */
export async function migrate(
  database: SqlDatabase,
  part: string,
  migrations: readonly Migration[],
): Promise<void> {
  await database.write(function* () {
    yield* query(
      sql`CREATE TABLE IF NOT EXISTS granary_form (part VARCHAR(64) PRIMARY KEY, version INTEGER NOT NULL)`,
    );
  });
  await database.write(function* () {
    const known = yield* formOf(part);
    if (known === undefined) {
      yield* query(sql`INSERT INTO granary_form (part, version) VALUES (${part}, 0)`);
    }
  });
  for (let done = false; !done;) {
    done = await database.write(function* (): SqlWork<boolean> {
      // Whoever is second at this row waits, and then finds that it has nothing to do.
      const locked = yield* query(
        sql`UPDATE granary_form SET version = version WHERE part = ${part} RETURNING version`,
      );
      const { version } = locked[0] as { version: number };
      if (version > migrations.length) {
        throw new DatabaseError(
          'DATABASE_NEWER',
          `the database has form ${version} of "${part}", this Granary knows ${migrations.length}: use a newer one`,
        );
      }
      const migration = migrations[version];
      if (migration === undefined) return true;
      for (const statement of migration(database.dialect)) yield* query(raw(statement));
      yield* query(sql`UPDATE granary_form SET version = ${version + 1} WHERE part = ${part}`);
      return version + 1 === migrations.length;
    });
  }
}

function formOf(part: string): SqlWork<{ version: number } | undefined> {
  return queryOne(sql`SELECT version FROM granary_form WHERE part = ${part}`);
}
