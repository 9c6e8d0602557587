import { Problem } from './problem.js';
import { SESSION_PREFIX, tokenHash } from './rest-caller.js';
import { type AdminDeps, type RestHandlers, callerIn, isoTime } from './rest-context.js';
import { showUser } from './user-handlers.js';

/** How long a session is good. */
const SESSION_MS = 12 * 60 * 60 * 1000;

/** Logging in and out. */
export function sessionHandlers(deps: AdminDeps): RestHandlers {
  const { metadata, passwords, throttle, clock, random, logger } = deps;
  return {
    async login({ id, remoteAddress, signal }, { body }) {
      const { name, password } = body;
      const succeeded = throttle.attempt(name, remoteAddress);
      const user = await metadata.userByName(name);
      const right = await passwords.fits(password, user?.passwordHash ?? null, signal);
      // Who has no password does not learn whether there is such a user, or a disabled one.
      if (!right || user === undefined || user.disabled) {
        logger.warn({ requestId: id, remote: remoteAddress, user: name }, 'a login failed');
        throw Problem.of('WrongPassword', undefined, {
          headers: { 'www-authenticate': 'Bearer realm="granary"' },
        });
      }
      succeeded();
      const token = `${SESSION_PREFIX}${Buffer.from(random(32)).toString('base64url')}`;
      const session = await metadata.createSession({
        id: tokenHash(token),
        userId: user.id,
        expires: clock.now() + SESSION_MS,
      });
      return { token, expires: isoTime(session.expires), user: showUser(user) };
    },

    getSession(context) {
      const { user, caller, sessionId, admin } = callerIn(context);
      return Promise.resolve({
        user: showUser(user),
        by: sessionId === null ? ('access-key' as const) : ('session' as const),
        accessKeyId: sessionId === null ? caller.accessKeyId : null,
        scope: caller.scope,
        admin,
      });
    },

    async logout(context) {
      const { sessionId } = callerIn(context);
      if (sessionId === null) {
        throw Problem.of('Forbidden', 'An access key has no session: delete or disable it.');
      }
      await metadata.deleteSession(sessionId);
    },
  };
}
