import sql from 'sql-template-tag';
import { query, queryOne } from '../sql/sql-database.js';
import { badInput, checkedId } from './identifiers.js';
import { MetadataError } from './metadata-error.js';
import { MAX_SESSIONS, type SessionStore } from './metadata-store.js';
import type { Session } from './records.js';
import type { StoreContext } from './store-context.js';
import { type UserRow, openUser } from './user-store.js';

interface SessionRow {
  readonly session_id: Buffer;
  readonly user_id: Buffer;
  readonly expires: number;
  readonly session_sealed: Buffer;
}

const place = (id: Buffer) => `session/${id.toString('hex')}`;

function hashFrom(id: string): Buffer {
  if (!/^[0-9a-f]{64}$/.test(id)) throw badInput("a session's ID has 64 hex digits");
  return Buffer.from(id, 'hex');
}

/** Sessions in a database. */
export function createSessionStore({ sealer, clock, read, write }: StoreContext): SessionStore {
  const sessionOf = (row: SessionRow): Session => {
    const session = sealer.open(place(row.session_id), row.session_sealed) as Session;
    if (session.userId !== row.user_id.toString('hex') || session.expires !== row.expires) {
      throw new MetadataError('METADATA_DAMAGED', 'a session was altered in the database');
    }
    return session;
  };

  return {
    createSession: async (given) => {
      const session: Session = { ...given, created: clock.now() };
      const id = hashFrom(session.id);
      const user = checkedId(session.userId, "a user's ID");
      return write(function* () {
        if (!(yield* queryOne(sql`SELECT id FROM users WHERE id = ${user}`))) {
          throw new MetadataError('METADATA_NO_SUCH_USER', 'there is no such user');
        }
        yield* query(sql`DELETE FROM sessions
          WHERE user_id = ${user} AND expires <= ${session.created}`);
        yield* query(sql`DELETE FROM sessions WHERE id IN (
          SELECT id FROM sessions WHERE user_id = ${user}
          ORDER BY expires DESC, id LIMIT 1000 OFFSET ${MAX_SESSIONS - 1})`);
        yield* query(sql`INSERT INTO sessions (id, user_id, expires, sealed)
          VALUES (${id}, ${user}, ${session.expires}, ${sealer.seal(place(id), session)})`);
        return session;
      });
    },

    session: async (id) => {
      const hash = hashFrom(id);
      return read(function* () {
        const row = yield* queryOne<UserRow & SessionRow>(
          sql`SELECT u.*, s.id AS session_id, s.user_id, s.expires, s.sealed AS session_sealed
            FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = ${hash}`,
        );
        return row && { session: sessionOf(row), user: openUser(sealer, row) };
      });
    },

    deleteSession: async (id) => {
      const hash = hashFrom(id);
      await write(() => query(sql`DELETE FROM sessions WHERE id = ${hash}`));
    },

    deleteSessions: async (userId) => {
      const user = checkedId(userId, "a user's ID");
      await write(() => query(sql`DELETE FROM sessions WHERE user_id = ${user}`));
    },
  };
}
