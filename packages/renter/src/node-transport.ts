// How a renter's node speaks to others, in Node. `#renter/node-transport` in package.json chooses between
// this file and node-transport.browser.ts; both export the same names.
import {
  type Clock,
  type Dialer,
  HttpsTransport,
  type Identity,
  type Logger,
  type TlsCredentials,
  type Transport,
  createTlsCredentials,
  directDialer,
} from '@granary/kad';

/** A transport that asks, and what connections of the renter's are made with. */
export interface NodeTransport {
  readonly transport: Transport;
  readonly credentials?: TlsCredentials;
  readonly dialer?: Dialer;
}

/** Make a transport. */
export async function openNodeTransport({
  identity,
  clock,
  logger,
  dialer = directDialer,
}: {
  readonly identity: Identity;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly dialer?: Dialer;
}): Promise<NodeTransport> {
  const credentials = await createTlsCredentials(identity, clock);
  return {
    transport: new HttpsTransport({ credentials, dialer, logger }),
    credentials,
    dialer,
  };
}
