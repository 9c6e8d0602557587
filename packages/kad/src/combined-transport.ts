import { parseAddress } from './address.js';
import { type AddressScheme } from './address.js';
import { type Clock, systemClock } from './clock.js';
import { KadError, throwIfAborted } from './errors.js';
import type { NodeId } from './node-id.js';
import {
  DEFAULT_TIMEOUT_MS,
  type ExchangeOptions,
  type MessageHandler,
  type Peer,
  type Transport,
} from './transport.js';

/** One of the transports under a {@link CombinedTransport}. */
export interface TransportRoute {
  readonly transport: Transport;
  /** The schemes of the addresses that it dials. */
  readonly schemes: readonly AddressScheme[];
}

/**
 * Several transports under one node. It announces the addresses of all, in their order, and sends a
 * message over a connection that is open already, or else by the first address that works.
 */
export class CombinedTransport implements Transport {
  private readonly clock: Clock;

  /** @param routes - in the order in which they listen */
  constructor(
    private readonly routes: readonly TransportRoute[],
    { clock = systemClock }: { readonly clock?: Clock } = {},
  ) {
    this.clock = clock;
  }

  get addresses(): readonly string[] {
    return this.routes.flatMap(({ transport }) => transport.addresses);
  }

  /** One after the other; when one can't, those that could are closed. */
  async listen(handler: MessageHandler): Promise<void> {
    try {
      for (const { transport } of this.routes) await transport.listen(handler);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  isConnected(nodeId: NodeId): boolean {
    return this.routes.some(({ transport }) => transport.isConnected?.(nodeId) === true);
  }

  async identify(address: string, options?: ExchangeOptions): Promise<NodeId> {
    const { scheme } = parseAddress(address);
    const route = this.routes.find(({ schemes }) => schemes.includes(scheme));
    if (route === undefined) {
      throw new KadError('KAD_BAD_ADDRESS', `${address}: no transport dials ${scheme}: addresses`);
    }
    return route.transport.identify(address, options);
  }

  async request(
    to: Peer,
    message: Uint8Array,
    { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: ExchangeOptions = {},
  ): Promise<Uint8Array> {
    throwIfAborted(signal);
    const deadline = this.clock.now() + timeoutMs;
    const ways = this.waysTo(to);
    let failure: unknown = new KadError(
      'KAD_UNREACHABLE',
      `node ${to.nodeId} has no address that a transport here dials`,
    );
    for (const [i, { transport, addresses }] of ways.entries()) {
      // A way that says nothing must not use up the time of the others.
      const share = Math.max(0, deadline - this.clock.now()) / (ways.length - i);
      try {
        return await transport.request({ nodeId: to.nodeId, addresses }, message, {
          ...(signal !== undefined && { signal }),
          timeoutMs: share,
        });
      } catch (error) {
        failure = error;
        if (signal?.aborted === true || !(error instanceof KadError) || !isSilence(error)) break;
      }
    }
    throw failure;
  }

  async close(): Promise<void> {
    // Last in, first out: one may stand on the server of another before it.
    for (const { transport } of [...this.routes].reverse()) await transport.close();
  }

  /** Open connections first, then runs of addresses for one transport, in the order of the contact. */
  private waysTo({ nodeId, addresses }: Peer): { transport: Transport; addresses: string[] }[] {
    const ways: { transport: Transport; addresses: string[] }[] = [];
    const open = this.routes.find(({ transport }) => transport.isConnected?.(nodeId) === true);
    if (open !== undefined) {
      ways.push({
        transport: open.transport,
        addresses: addresses.filter((address) => dials(open, address)),
      });
    }
    for (const address of addresses) {
      const route = this.routes.find((candidate) => dials(candidate, address));
      if (route === undefined || route === open) continue;
      const last = ways.at(-1);
      if (last?.transport === route.transport) last.addresses.push(address);
      else ways.push({ transport: route.transport, addresses: [address] });
    }
    return ways;
  }
}

function dials({ schemes }: TransportRoute, address: string): boolean {
  return schemes.includes(parseAddress(address).scheme);
}

/** Whether an error leaves open that the node is there, and can be reached in another way. */
function isSilence({ code }: KadError): boolean {
  return [
    'KAD_UNREACHABLE',
    'KAD_TIMEOUT',
    'KAD_IDENTITY_MISMATCH',
    'KAD_BAD_CERTIFICATE',
    'KAD_BUSY',
  ].includes(code);
}
