import { keyHandlers } from './key-handlers.js';
import type { AdminDeps, RestHandlers } from './rest-context.js';
import { sessionHandlers } from './session-handlers.js';
import { userHandlers } from './user-handlers.js';

/** Everything about users, their keys and sessions: it needs the database, and no network. */
export function adminHandlers(deps: AdminDeps): RestHandlers {
  return { ...sessionHandlers(deps), ...userHandlers(deps), ...keyHandlers(deps) };
}
