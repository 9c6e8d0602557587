// How a renter's node speaks to others, in browsers: by WebSockets. See node-transport.ts.
import { type Clock, type Identity, type Logger, WebSocketTransport } from '@granary/kad';
import type { NodeTransport } from './node-transport.js';

/** Make a transport. */
export async function openNodeTransport({
  identity,
  clock,
  logger,
}: {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly logger: Logger;
}): Promise<NodeTransport> {
  return { transport: new WebSocketTransport({ identity, clock, logger }) };
}
