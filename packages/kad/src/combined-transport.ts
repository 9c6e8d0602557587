import { type Clock, systemClock } from './clock.js';
import { KadError, throwIfAborted } from './errors.js';
import type { NodeId } from './node-id.js';
import { isSilence } from './silence.js';
import {
  DEFAULT_TIMEOUT_MS,
  type ExchangeOptions,
  type MessageHandler,
  type Peer,
  type Transport,
  noAddressError,
} from './transport.js';

/**
 * Several transports under one node. It announces the addresses of all, in their order, and sends a
 * message over a connection that is open already, or else by the first address that works.
 */
export class CombinedTransport implements Transport {
  private readonly clock: Clock;

  /** @param transports - in the order in which they listen; each says which addresses it dials */
  constructor(
    private readonly transports: readonly Transport[],
    { clock = systemClock }: { readonly clock?: Clock } = {},
  ) {
    this.clock = clock;
  }

  get addresses(): readonly string[] {
    return this.transports.flatMap(({ addresses }) => addresses);
  }

  /** One after the other; when one can't, those that could are closed. */
  async listen(handler: MessageHandler): Promise<void> {
    try {
      for (const transport of this.transports) await transport.listen(handler);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  isConnected(nodeId: NodeId): boolean {
    return this.transports.some((transport) => transport.isConnected?.(nodeId) === true);
  }

  dials(address: string): boolean {
    return this.transports.some((transport) => dials(transport, address));
  }

  async identify(address: string, options?: ExchangeOptions): Promise<NodeId> {
    const transport = this.transports.find((candidate) => dials(candidate, address));
    if (transport === undefined) {
      throw new KadError('KAD_BAD_ADDRESS', `${address}: no transport here dials such addresses`);
    }
    return transport.identify(address, options);
  }

  async request(
    to: Peer,
    message: Uint8Array,
    { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: ExchangeOptions = {},
  ): Promise<Uint8Array> {
    throwIfAborted(signal);
    const deadline = this.clock.now() + timeoutMs;
    const ways = this.waysTo(to);
    let failure: unknown;
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
        if (signal?.aborted === true || !mayBeThere(error)) break;
      }
    }
    throw failure ?? noAddressError(to);
  }

  async close(): Promise<void> {
    // Last in, first out: one may stand on the server of another before it.
    for (const transport of [...this.transports].reverse()) await transport.close();
  }

  /** Open connections first, then runs of addresses for one transport, in the order of the contact. */
  private waysTo({ nodeId, addresses }: Peer): { transport: Transport; addresses: string[] }[] {
    const ways: { transport: Transport; addresses: string[] }[] = [];
    const open = this.transports.find((transport) => transport.isConnected?.(nodeId) === true);
    if (open !== undefined) {
      ways.push({
        transport: open,
        addresses: addresses.filter((address) => dials(open, address)),
      });
    }
    for (const address of addresses) {
      const transport = this.transports.find((candidate) => dials(candidate, address));
      if (transport === undefined || transport === open) continue;
      const last = ways.at(-1);
      if (last?.transport === transport) last.addresses.push(address);
      else ways.push({ transport, addresses: [address] });
    }
    return ways;
  }
}

function dials(transport: Transport, address: string): boolean {
  return transport.dials?.(address) ?? true;
}

/** Whether an error leaves open that the node is there, and can be reached in another way. */
function mayBeThere(error: unknown): boolean {
  return isSilence(error) || (error instanceof KadError && error.code === 'KAD_BUSY');
}
