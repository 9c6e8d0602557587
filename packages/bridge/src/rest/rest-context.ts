import type { Clock, Logger, Random } from '@granary/kad';
import type { MetadataStore } from '../metadata/metadata-store.js';
import type { HeaderList } from '../s3/header-list.js';
import type { LoginThrottle } from '../users/login-throttle.js';
import type { Passwords } from '../users/passwords.js';
import type { Api, OperationId } from './api.js';
import { Problem } from './problem.js';
import type { RestCaller } from './rest-caller.js';
import type { RouteInput, RouteOutput } from './route.js';

/** One request, as far as every handler may need it. */
export interface RestContext {
  readonly id: string;
  readonly headers: HeaderList;
  readonly remoteAddress: string;
  readonly secure: boolean;
  /** Bytes of the body, to be read once; empty where it was a document. */
  readonly body: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  /** Who asks. `operator`: whoever runs the bridge, on its machine; null: anybody. */
  readonly caller: RestCaller | 'operator' | null;
}

/** Handlers of some operations. */
export type RestHandlers = {
  readonly [K in OperationId]?: (
    context: RestContext,
    input: RouteInput<Api[K]>,
  ) => Promise<RouteOutput<Api[K]>>;
};

/** What handlers that manage users work with. */
export interface AdminDeps {
  readonly metadata: MetadataStore;
  readonly passwords: Passwords;
  readonly throttle: LoginThrottle;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Who asks, where only users do. @throws Problem NotAuthenticated. */
export function callerIn({ caller }: RestContext): RestCaller {
  if (caller === null || caller === 'operator') throw Problem.of('NotAuthenticated');
  return caller;
}

/** Whether who asks is an admin. */
export function isAdmin({ caller }: RestContext): boolean {
  return caller === 'operator' || caller?.admin === true;
}

/** A time as the REST API writes it. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
