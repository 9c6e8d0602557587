import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock, Logger, Random } from '@granary/kad';
import { DatabaseError } from './database-error.js';
import { PostgresDatabase } from './postgres-database.js';
import type { SqlDatabase } from './sql-database.js';
import { SqliteDatabase } from './sqlite-database.js';

/**
 * Open a database by name: `postgres://…`, or the path or `file:` URL of an SQLite file.
 *
 * @throws DatabaseError
 */
export async function openDatabase(
  name: string,
  parts: { clock: Clock; random: Random; logger: Logger; connections?: number },
): Promise<SqlDatabase> {
  if (/^postgres(ql)?:/.test(name)) return new PostgresDatabase({ ...parts, url: name });
  if (name.startsWith('file:')) return SqliteDatabase.open({ ...parts, file: fileURLToPath(name) });
  if (/^[a-z][a-z0-9+.-]+:\/\//.test(name)) {
    // The rest of a URL may hold a password.
    const scheme = name.slice(0, name.indexOf(':'));
    throw new DatabaseError(
      'DATABASE_REFUSED',
      `no database goes by "${scheme}://": name a PostgreSQL by postgres://user@host/database, or a file`,
    );
  }
  return SqliteDatabase.open({ ...parts, file: resolve(name) });
}
