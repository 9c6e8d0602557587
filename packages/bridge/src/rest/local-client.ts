import type { Clock, Logger, Random } from '@granary/kad';
import type { RawRequest } from '../s3/s3-request.js';
import { type BridgeClient, createBridgeClient } from '../client/index.js';
import type { MetadataStore } from '../metadata/metadata-store.js';
import { DEFAULT_PACE } from '../s3/body/paced-body.js';
import { LoginThrottle } from '../users/login-throttle.js';
import { Passwords } from '../users/passwords.js';
import { RateLimiter } from '../users/rate-limiter.js';
import { adminHandlers } from './admin-handlers.js';
import { RestService } from './rest-service.js';

/** What stands in front of the API's paths where nothing is dialled. */
const NOWHERE = 'http://bridge.invalid';

/**
 * A client of the REST API that speaks to no bridge but to its database: for whoever runs the bridge, on
 * its machine. Only what is about users and their keys is there, and `me` is nobody.
 */
export function createLocalClient(parts: {
  readonly metadata: MetadataStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}): BridgeClient {
  const { metadata, clock, random, logger } = parts;
  const service = new RestService({
    handlers: adminHandlers({
      ...parts,
      passwords: new Passwords(),
      throttle: new LoginThrottle(clock),
    }),
    metadata,
    limiter: new RateLimiter(clock),
    operator: true,
    pace: DEFAULT_PACE,
    clock,
    logger,
  });
  return createBridgeClient({
    url: NOWHERE,
    fetch: async (request) => {
      const id = Buffer.from(random(8)).toString('hex').toUpperCase();
      const outcome = await service.handle(rawOf(request, id));
      const { status, headers, body } = outcome.response;
      // Here nobody else writes down why.
      if (status >= 500 && outcome.error?.cause !== undefined) throw outcome.error.cause;
      return new Response(typeof body === 'string' ? body : null, {
        status,
        headers: { ...headers },
      });
    },
  });
}

function rawOf(request: Request, id: string): RawRequest {
  const { method, url, headers, body, signal } = request;
  return {
    id,
    method,
    url: url.slice(NOWHERE.length),
    rawHeaders: [...headers].flat(),
    remoteAddress: '',
    secure: true,
    body: (body ?? []) as AsyncIterable<Uint8Array>,
    signal,
  };
}
