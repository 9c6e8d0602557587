import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '@granary/kad';
import type { SessionStore, UserStore } from '../metadata/metadata-store.js';
import type { User } from '../metadata/records.js';
import type { Caller } from '../s3/access/decision.js';
import type { KeyScope } from '../s3/access/key-scope.js';
import { callerOf, whyUnusable } from '../s3/authenticator.js';
import type { HeaderList } from '../s3/header-list.js';
import { Problem } from './problem.js';

/** Who asks, by a session or an access key. */
export interface RestCaller {
  readonly user: User;
  /** As the operations of S3 see it. */
  readonly caller: Caller;
  /** The session's ID; null: an access key. */
  readonly sessionId: string | null;
  /** May manage users. */
  readonly admin: boolean;
  /** When the credentials end; null: never. */
  readonly expires: number | null;
}

/** What tokens of sessions begin with. An access key's ID begins otherwise. */
export const SESSION_PREFIX = 'gs_';

/** What is kept of a token. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token, 'utf8').digest('hex');
}

/** Whether a scope limits nothing. */
export function isUnlimited(scope: KeyScope | null): boolean {
  return scope === null || (!isConfined(scope) && scope.rights === undefined);
}

/** Whether a key of an admin may do what admins may: one that is limited must name the right. */
function mayAdminister(scope: KeyScope | null): boolean {
  if (scope === null) return true;
  return !isConfined(scope) && (scope.rights === undefined || scope.rights.includes('admin'));
}

function isConfined({ buckets, prefixes }: KeyScope): boolean {
  return buckets !== undefined || prefixes !== undefined;
}

/**
 * Find out who asks: `Bearer` with a session's token or `ID.SECRET` of an access key, or `Basic` with
 * `ID:SECRET`.
 *
 * @throws Problem NotAuthenticated, BadCredentials.
 */
export async function findCaller(
  headers: HeaderList,
  users: Pick<UserStore, 'accessKey'> & Pick<SessionStore, 'session'>,
  clock: Clock,
): Promise<RestCaller> {
  const field = headers.get('authorization');
  if (field === undefined) {
    throw unauthenticated(
      'NotAuthenticated',
      'Send an access key (Authorization: Basic, ID:SECRET) or the token of a session (Bearer).',
    );
  }
  const [, scheme, rest] = /^(Basic|Bearer) +([\x21-\x7e]{1,4096})$/i.exec(field) ?? [];
  if (scheme === undefined || rest === undefined) {
    throw unauthenticated('BadCredentials', 'Authorization is neither Basic nor Bearer.');
  }
  const basic = scheme.toLowerCase() === 'basic';
  if (!basic && rest.startsWith(SESSION_PREFIX)) return bySession(rest, users, clock);
  const pair = basic ? Buffer.from(rest, 'base64').toString('utf8') : rest;
  const mark = pair.indexOf(basic ? ':' : '.');
  if (mark < 0) throw refused();
  return byKey(pair.slice(0, mark), pair.slice(mark + 1), users, clock);
}

async function bySession(
  token: string,
  users: Pick<SessionStore, 'session'>,
  clock: Clock,
): Promise<RestCaller> {
  const found = await users.session(tokenHash(token));
  if (found === undefined || clock.now() >= found.session.expires) {
    throw unauthenticated('BadCredentials', 'This session has ended: log in again.');
  }
  const { user, session } = found;
  if (user.disabled) throw unauthenticated('BadCredentials', 'This user is disabled.');
  return {
    user,
    caller: { userId: user.id, userName: user.name, accessKeyId: 'session', scope: null },
    sessionId: session.id,
    admin: user.admin,
    // A password may be shown again at any time.
    expires: null,
  };
}

async function byKey(
  id: string,
  secret: string,
  users: Pick<UserStore, 'accessKey'>,
  clock: Clock,
): Promise<RestCaller> {
  const found = await users.accessKey(id);
  if (found === undefined || !same(secret, found.key.secret)) throw refused();
  const { key, user } = found;
  const why = whyUnusable(key, user, clock.now());
  if (why !== undefined) throw unauthenticated('BadCredentials', why);
  const caller = callerOf(key, user);
  return {
    user,
    caller,
    sessionId: null,
    admin: user.admin && mayAdminister(caller.scope),
    expires: key.expires,
  };
}

/** Whether two secrets are the same, in a time that does not tell how far they are. */
function same(a: string, b: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text, 'utf8').digest();
  return timingSafeEqual(hash(a), hash(b));
}

function refused(): Problem {
  return unauthenticated(
    'BadCredentials',
    'There is no such access key, or its secret is another.',
  );
}

function unauthenticated(code: 'BadCredentials' | 'NotAuthenticated', detail: string): Problem {
  // Not Basic: a browser would ask for it, keep it, and send it with what other sites make it ask.
  return Problem.of(code, detail, { headers: { 'www-authenticate': 'Bearer realm="granary"' } });
}
