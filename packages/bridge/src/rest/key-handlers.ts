import { type KeyScope, keyScopeSchema } from '../s3/access/key-scope.js';
import { generateAccessKey } from '../users/generate-key.js';
import type { AccessKey } from '../metadata/records.js';
import { Problem } from './problem.js';
import { isUnlimited } from './rest-caller.js';
import {
  type AdminDeps,
  type RestContext,
  type RestHandlers,
  isAdmin,
  isoTime,
} from './rest-context.js';
import { findUser } from './user-handlers.js';

function showKey({ id, userId, created, expires, disabled, description, scope }: AccessKey) {
  const known = keyScopeSchema.safeParse(scope);
  return {
    id,
    userId,
    created: isoTime(created),
    expires: expires === null ? null : isoTime(expires),
    disabled,
    description,
    // One that can't be read is good for nothing.
    scope:
      scope === null || scope === undefined ? null : known.success ? known.data : { rights: [] },
  };
}

/**
 * Access keys. Who has a key that is limited may not get by it what the limits are to keep from them, so
 * it takes a session, a key without limits, or an admin.
 */
export function keyHandlers({ metadata, clock, random }: AdminDeps): RestHandlers {
  /** The key that a path names. @throws Problem NoSuchAccessKey, Forbidden. */
  async function findKey(context: RestContext, id: string): Promise<AccessKey> {
    const found = await metadata.accessKey(id);
    const { caller } = context;
    const own = caller !== null && caller !== 'operator' && found?.user.id === caller.user.id;
    // Who is no admin does not learn which keys others have.
    if (found === undefined || !(own || isAdmin(context))) throw Problem.of('NoSuchAccessKey');
    return found.key;
  }

  return {
    async listAccessKeys(context, { params, query }) {
      const user = await findUser(metadata, context, params.user);
      checkUnlimited(context);
      const { after, limit } = query;
      const keys = await metadata.listAccessKeys(user.id, {
        limit,
        ...(after !== undefined && { after }),
      });
      return {
        accessKeys: keys.map(showKey),
        next: keys.length === limit ? keys.at(-1)!.id : null,
      };
    },

    async createAccessKey(context, { params, body }) {
      const user = await findUser(metadata, context, params.user);
      checkUnlimited(context);
      const expires = ending(context, body.expires, clock.now());
      const key = await metadata.createAccessKey({
        ...generateAccessKey(random),
        userId: user.id,
        expires,
        disabled: false,
        description: body.description ?? '',
        scope: scopeFrom(body.scope ?? null),
      });
      return { ...showKey(key), secret: key.secret };
    },

    async getAccessKey(context, { params }) {
      const key = await findKey(context, params.id);
      checkUnlimited(context);
      return showKey(key);
    },

    async changeAccessKey(context, { params, body }) {
      const key = await findKey(context, params.id);
      checkUnlimited(context);
      const { scope, expires, disabled, description } = body;
      const changed = await metadata.changeAccessKey(key.id, {
        ...(scope !== undefined && { scope: scopeFrom(scope) }),
        ...(expires !== undefined && { expires: ending(context, expires, null) }),
        ...(disabled !== undefined && { disabled }),
        ...(description !== undefined && { description }),
      });
      return showKey(changed);
    },

    async deleteAccessKey(context, { params }) {
      const key = await findKey(context, params.id);
      checkUnlimited(context);
      await metadata.deleteAccessKey(key.id);
    },
  };
}

function checkUnlimited(context: RestContext): void {
  const { caller } = context;
  if (isAdmin(context) || caller === 'operator' || caller === null) return;
  if (isUnlimited(caller.caller.scope)) return;
  throw Problem.of('Forbidden', 'A key that is limited can not manage keys.');
}

/** When a key is to end: no later than what makes it. @throws Problem Forbidden, InvalidDocument. */
function ending(
  { caller }: RestContext,
  asked: string | null | undefined,
  now: number | null,
): number | null {
  const expires = asked === null || asked === undefined ? null : Date.parse(asked);
  if (expires !== null && now !== null && expires <= now) {
    throw Problem.of('InvalidDocument', 'A key that has ended already is good for nothing.', {
      errors: [{ in: 'body', at: '/expires', detail: 'It is in the past.' }],
    });
  }
  const most = caller === null || caller === 'operator' ? null : caller.expires;
  if (most !== null && (expires === null || expires > most)) {
    throw Problem.of(
      'Forbidden',
      `A key can end no later than the one that makes it: ${isoTime(most)}.`,
    );
  }
  return expires;
}

/** A scope to be kept. @throws Problem InvalidDocument. */
function scopeFrom(scope: KeyScope | null): KeyScope | null {
  if (scope === null) return null;
  const { buckets, prefixes, rights } = scope;
  if (rights?.includes('admin') === true && (buckets ?? prefixes) !== undefined) {
    throw Problem.of('InvalidDocument', 'The right "admin" is for no bucket and no prefix.', {
      errors: [{ in: 'body', at: '/scope/rights', detail: 'admin goes with no limit of place.' }],
    });
  }
  return {
    ...(buckets !== undefined && { buckets }),
    ...(prefixes !== undefined && { prefixes }),
    ...(rights !== undefined && { rights }),
  };
}
