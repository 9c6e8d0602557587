import type { MetadataStore } from '../metadata/metadata-store.js';
import type { User } from '../metadata/records.js';
import { NO_RATE_LIMITS, rateLimitsOf, withRateLimits } from '../users/rate-limits.js';
import { Problem } from './problem.js';
import {
  type AdminDeps,
  type RestContext,
  type RestHandlers,
  isAdmin,
  isoTime,
} from './rest-context.js';

const NO_QUOTA = { bytes: null, objects: null, buckets: null };

/** A user as the REST API shows it. */
export function showUser(user: User) {
  const { id, name, created, disabled, admin, passwordHash, quota } = user;
  return {
    id,
    name,
    created: isoTime(created),
    disabled,
    admin,
    hasPassword: passwordHash !== null,
    quota: { ...quota },
    rateLimits: rateLimitsOf(user),
  };
}

/**
 * The user that a path names, if who asks may ask about it: oneself, or anybody for admins. Others don't
 * learn which users there are.
 *
 * @throws Problem Forbidden, NoSuchUser.
 */
export async function findUser(
  metadata: MetadataStore,
  { caller, ...context }: RestContext,
  id: string,
): Promise<User> {
  if (caller !== null && caller !== 'operator' && (id === 'me' || id === caller.user.id)) {
    return caller.user;
  }
  if (!isAdmin({ caller, ...context })) {
    throw Problem.of('Forbidden', 'Only admins may ask about others.');
  }
  const user = id === 'me' ? undefined : await metadata.user(id);
  if (user === undefined) throw Problem.of('NoSuchUser');
  return user;
}

/** Users: for admins, and what everybody may know and change of oneself. */
export function userHandlers(deps: AdminDeps): RestHandlers {
  const { metadata, passwords, throttle } = deps;
  return {
    async listUsers(_context, { query }) {
      const { after, limit, name } = query;
      if (name !== undefined) {
        const user = await metadata.userByName(name);
        return { users: user === undefined ? [] : [showUser(user)], next: null };
      }
      const found = await metadata.listUsers({
        limit: Math.min(limit, 1000),
        ...(after !== undefined && { after }),
      });
      const users = found.map(showUser);
      return { users, next: users.length === limit ? users.at(-1)!.name : null };
    },

    async createUser({ signal }, { body }) {
      const { name, admin = false, password, quota = NO_QUOTA } = body;
      const passwordHash = password === undefined ? null : await passwords.hash(password, signal);
      const user = await metadata.createUser({
        name,
        admin,
        disabled: false,
        passwordHash,
        quota,
        attributes: withRateLimits({}, body.rateLimits ?? NO_RATE_LIMITS),
      });
      return showUser(user);
    },

    async getUser(context, { params }) {
      return showUser(await findUser(metadata, context, params.user));
    },

    async changeUser(context, { params, body }) {
      const user = await findUser(metadata, context, params.user);
      const { name, disabled, admin, quota, rateLimits } = body;
      const own = isOneself(context, user);
      if (own && (disabled === true || admin === false)) {
        throw Problem.of('WouldLockOut', 'Have another admin do it.');
      }
      const changed = await metadata.changeUser(user.id, {
        ...(name !== undefined && { name }),
        ...(disabled !== undefined && { disabled }),
        ...(admin !== undefined && { admin }),
        ...(quota !== undefined && { quota: { ...user.quota, ...defined(quota) } }),
        ...(rateLimits !== undefined && {
          attributes: withRateLimits(user.attributes, {
            ...rateLimitsOf(user),
            ...defined(rateLimits),
          }),
        }),
      });
      if (disabled === true) await metadata.deleteSessions(user.id);
      return showUser(changed);
    },

    async deleteUser(context, { params }) {
      const user = await findUser(metadata, context, params.user);
      if (isOneself(context, user)) throw Problem.of('WouldLockOut', 'Have another admin do it.');
      await metadata.deleteUser(user.id);
    },

    async setPassword(context, { params, body }) {
      const user = await findUser(metadata, context, params.user);
      const { password, current } = body;
      const { caller, signal } = context;
      if (!isAdmin(context) || current !== undefined) {
        // A key that was stolen is not to become a password, nor is a session to outlive its own.
        if (caller !== 'operator' && caller?.sessionId === null) {
          throw Problem.of('Forbidden', 'A password is changed in a session: log in first.');
        }
        const succeeded = throttle.attempt(user.name, context.remoteAddress);
        if (!(await passwords.fits(current ?? '', user.passwordHash, signal))) {
          throw Problem.of('WrongPassword', 'The password until now is another.', {
            headers: { 'www-authenticate': 'Bearer realm="granary"' },
          });
        }
        succeeded();
      }
      const passwordHash = password === null ? null : await passwords.hash(password, signal);
      await metadata.changeUser(user.id, { passwordHash });
      await metadata.deleteSessions(user.id);
    },

    async getUsage(context, { params }) {
      const user = await findUser(metadata, context, params.user);
      const usage = await metadata.userUsage(user.id);
      return { ...usage, buckets: await countBuckets(metadata, user.id) };
    },
  };
}

async function countBuckets(metadata: MetadataStore, owner: string): Promise<number> {
  let count = 0;
  for (let after: string | undefined; ;) {
    const page = await metadata.listBuckets({
      owner,
      limit: 1000,
      ...(after !== undefined && { after }),
    });
    count += page.length;
    if (page.length < 1000) return count;
    after = page.at(-1)!.name;
  }
}

function isOneself({ caller }: RestContext, user: User): boolean {
  return caller !== null && caller !== 'operator' && caller.user.id === user.id;
}

/** What was given, without what was not. */
export function defined<T extends object>(given: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
