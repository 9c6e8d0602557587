import sql from 'sql-template-tag';
import { type SqlWork, execute, query, queryOne } from '../sql/sql-database.js';
import {
  badInput,
  checkAfter,
  checkLimit,
  checkName,
  checkedId,
  idFrom,
  newId,
} from './identifiers.js';
import { MetadataError } from './metadata-error.js';
import type { UserStore } from './metadata-store.js';
import type { AccessKey, User } from './records.js';
import type { Sealer } from './sealer.js';
import type { StoreContext } from './store-context.js';
import { usageOfUser } from './usage.js';

/** A user's row. */
export interface UserRow {
  readonly id: Buffer;
  readonly name: string;
  readonly created: number;
  readonly quota_bytes: number | null;
  readonly quota_objects: number | null;
  readonly quota_buckets: number | null;
  readonly sealed: Buffer;
}

interface KeyRow {
  readonly key_id: string;
  readonly user_id: Buffer;
  readonly key_sealed: Buffer;
}

const userPlace = (id: Buffer) => `user/${id.toString('hex')}`;
const keyPlace = (id: string) => `access-key/${id}`;
const noSuchUser = () => new MetadataError('METADATA_NO_SUCH_USER', 'there is no such user');
const noSuchKey = () =>
  new MetadataError('METADATA_NO_SUCH_ACCESS_KEY', 'there is no such access key');

/** A user from its row. @throws MetadataError METADATA_DAMAGED. */
export function openUser(sealer: Sealer, row: UserRow): User {
  const user = sealer.open(userPlace(row.id), row.sealed) as User;
  const { bytes, objects, buckets } = user.quota;
  const same =
    user.name === row.name &&
    bytes === row.quota_bytes &&
    objects === row.quota_objects &&
    buckets === row.quota_buckets;
  if (!same) throw new MetadataError('METADATA_DAMAGED', 'a user was altered in the database');
  return user;
}

/** Users and access keys in a database. */
export function createUserStore(context: StoreContext): UserStore {
  const { sealer, clock, random } = context;

  const sealUser = (id: Buffer, user: User) => sealer.seal(userPlace(id), user);

  const userOf = (row: UserRow): User => openUser(sealer, row);

  const sealKey = ({ id, userId, ...rest }: AccessKey) =>
    sealer.seal(keyPlace(id), { ...rest, user: userId });

  const keyOf = (row: KeyRow): AccessKey => {
    const { user, ...rest } = sealer.open(keyPlace(row.key_id), row.key_sealed) as Omit<
      AccessKey,
      'id' | 'userId'
    > & { user: string };
    if (user !== row.user_id.toString('hex')) {
      throw new MetadataError('METADATA_DAMAGED', 'an access key was moved to another user');
    }
    return { id: row.key_id, userId: user, ...rest };
  };

  function* keyRow(id: string): SqlWork<AccessKey> {
    const row = yield* queryOne<KeyRow>(
      sql`SELECT id AS key_id, user_id, sealed AS key_sealed FROM access_keys WHERE id = ${id}`,
    );
    if (row === undefined) throw noSuchKey();
    return keyOf(row);
  }

  return {
    createUser: async (given) => {
      checkUser(given);
      const id = newId(clock, random);
      const user: User = { ...given, id: id.toString('hex'), created: clock.now() };
      return context.write(function* () {
        yield* nameIsFree(user.name);
        const { bytes, objects, buckets } = user.quota;
        yield* execute(sql`INSERT INTO users
          (id, name, created, quota_bytes, quota_objects, quota_buckets, sealed) VALUES
          (${id}, ${user.name}, ${user.created}, ${bytes}, ${objects}, ${buckets}, ${sealUser(id, user)})`);
        return user;
      });
    },

    user: async (id) =>
      context.read(function* () {
        const bytes = idFrom(id);
        if (bytes === undefined) return undefined;
        const row = yield* queryOne<UserRow>(sql`SELECT * FROM users WHERE id = ${bytes}`);
        return row && userOf(row);
      }),

    userByName: async (name) =>
      context.read(function* () {
        if (name.includes('\0')) return undefined;
        const row = yield* queryOne<UserRow>(sql`SELECT * FROM users WHERE name = ${name}`);
        return row && userOf(row);
      }),

    listUsers: async ({ after = '', limit }) => {
      checkLimit(limit);
      checkAfter(after);
      return context.read(function* () {
        const rows = yield* query<UserRow>(
          sql`SELECT * FROM users WHERE name > ${after} ORDER BY name LIMIT ${limit}`,
        );
        return rows.map(userOf);
      });
    },

    changeUser: async (id, change) => {
      const bytes = checkedId(id, "a user's ID");
      return context.write(function* () {
        const row = yield* queryOne<UserRow>(sql`SELECT * FROM users WHERE id = ${bytes}`);
        if (row === undefined) throw noSuchUser();
        const user: User = { ...userOf(row), ...change };
        checkUser(user);
        if (user.name !== row.name) yield* nameIsFree(user.name);
        const { quota } = user;
        yield* execute(sql`UPDATE users SET name = ${user.name}, quota_bytes = ${quota.bytes},
          quota_objects = ${quota.objects}, quota_buckets = ${quota.buckets},
          sealed = ${sealUser(bytes, user)} WHERE id = ${bytes}`);
        return user;
      });
    },

    deleteUser: async (id) => {
      const bytes = checkedId(id, "a user's ID");
      return context.write(function* () {
        const bucket = yield* queryOne<{ name: string }>(
          sql`SELECT name FROM buckets WHERE owner = ${bytes} LIMIT 1`,
        );
        if (bucket !== undefined) {
          throw new MetadataError(
            'METADATA_USER_IN_USE',
            `the user still owns buckets ("${bucket.name}"): delete them first`,
          );
        }
        yield* execute(sql`DELETE FROM access_keys WHERE user_id = ${bytes}`);
        yield* execute(sql`DELETE FROM sessions WHERE user_id = ${bytes}`);
        const gone = yield* query(sql`DELETE FROM users WHERE id = ${bytes} RETURNING id`);
        if (gone.length === 0) throw noSuchUser();
      });
    },

    userUsage: async (id) => {
      const bytes = checkedId(id, "a user's ID");
      return context.read(() => usageOfUser(bytes));
    },

    createAccessKey: async (given) => {
      const key: AccessKey = { ...given, created: clock.now() };
      if (!/^[\w-]{3,128}$/.test(key.id)) {
        throw badInput('an access key ID has 3 to 128 of A-Z, a-z, 0-9, "_" and "-"');
      }
      const user = checkedId(key.userId, "a user's ID");
      return context.write(function* () {
        if (!(yield* queryOne(sql`SELECT id FROM users WHERE id = ${user}`))) throw noSuchUser();
        if (yield* queryOne(sql`SELECT id FROM access_keys WHERE id = ${key.id}`)) {
          throw new MetadataError(
            'METADATA_ACCESS_KEY_EXISTS',
            'an access key of this ID is there already',
          );
        }
        yield* execute(sql`INSERT INTO access_keys (id, user_id, sealed)
          VALUES (${key.id}, ${user}, ${sealKey(key)})`);
        return key;
      });
    },

    accessKey: async (id) =>
      context.read(function* () {
        // Who asks is not known yet: it may be anything.
        if (!/^[\w-]{3,128}$/.test(id)) return undefined;
        const row = yield* queryOne<UserRow & KeyRow>(
          sql`SELECT u.*, k.id AS key_id, k.user_id, k.sealed AS key_sealed
            FROM access_keys k JOIN users u ON u.id = k.user_id WHERE k.id = ${id}`,
        );
        return row && { key: keyOf(row), user: userOf(row) };
      }),

    listAccessKeys: async (userId, { after = '', limit }) => {
      checkLimit(limit);
      checkAfter(after);
      const user = checkedId(userId, "a user's ID");
      return context.read(function* () {
        const rows = yield* query<KeyRow>(
          sql`SELECT id AS key_id, user_id, sealed AS key_sealed FROM access_keys
            WHERE user_id = ${user} AND id > ${after} ORDER BY id LIMIT ${limit}`,
        );
        return rows.map(keyOf);
      });
    },

    changeAccessKey: async (id, change) =>
      context.write(function* () {
        const key: AccessKey = { ...(yield* keyRow(id)), ...change };
        yield* execute(sql`UPDATE access_keys SET sealed = ${sealKey(key)} WHERE id = ${id}`);
        return key;
      }),

    deleteAccessKey: async (id) =>
      context.write(function* () {
        const gone = yield* query(sql`DELETE FROM access_keys WHERE id = ${id} RETURNING id`);
        if (gone.length === 0) throw noSuchKey();
      }),
  };
}

function* nameIsFree(name: string): SqlWork<void> {
  if (yield* queryOne(sql`SELECT id FROM users WHERE name = ${name}`)) {
    throw new MetadataError('METADATA_USER_EXISTS', `a user "${name}" is there already`);
  }
}

function checkUser({ name, quota }: Pick<User, 'name' | 'quota'>): void {
  checkName(name, "a user's name", 128);
  for (const most of [quota.bytes, quota.objects, quota.buckets]) {
    if (most !== null && (!Number.isSafeInteger(most) || most < 0)) {
      throw badInput('a quota is a whole number from 0 on, or null');
    }
  }
}
