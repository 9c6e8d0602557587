import {
  type Clock,
  type ExchangeOptions,
  Identity,
  KadError,
  KademliaNode,
  type MessageHandler,
  type NodeId,
  type Peer,
  type Plugin,
  type Transport,
  parseAddress,
} from '@granary/kad';

/** Where a host of the {@link FakeInternet} is, and who gets through to it. */
export interface FakeHost {
  /** Where others see it come from. */
  ip: string;
  /** The port it listens on. */
  readonly port: number;
  /** Ports outside at which it can be reached; null when nobody gets through. */
  open: readonly number[] | null;
}

interface Endpoint {
  readonly host: FakeHost;
  readonly nodeId: NodeId;
  readonly handler: MessageHandler;
}

/** Addresses, and who gets through to whom, in one process. Every dial is written down. */
export class FakeInternet {
  readonly endpoints: Endpoint[] = [];
  readonly dialled: string[] = [];

  at(address: string): Endpoint {
    const { host, port } = parseAddress(address);
    this.dialled.push(`${host}:${port}`);
    const found = this.endpoints.find(
      (one) => one.host.ip === host && one.host.open?.includes(port) === true,
    );
    if (found === undefined) throw new KadError('KAD_UNREACHABLE', `nobody is at ${address}`);
    return found;
  }
}

/** A node on a {@link FakeInternet}. */
export function fakeNode(
  internet: FakeInternet,
  host: FakeHost,
  plugins: readonly Plugin[],
  options: { clock?: Clock; announce?: readonly string[] } = {},
): KademliaNode {
  const identity = Identity.generate();
  const transport = new FakeTransport(internet, host, identity.nodeId, options.announce ?? []);
  return new KademliaNode({
    identity,
    transport,
    plugins,
    ...(options.clock !== undefined && { clock: options.clock }),
  });
}

class FakeTransport implements Transport {
  constructor(
    private readonly internet: FakeInternet,
    private readonly host: FakeHost,
    private readonly nodeId: NodeId,
    readonly addresses: readonly string[],
  ) {}

  async listen(handler: MessageHandler): Promise<void> {
    this.internet.endpoints.push({ host: this.host, nodeId: this.nodeId, handler });
  }

  async identify(address: string): Promise<NodeId> {
    const { nodeId } = this.internet.at(address);
    const expected = parseAddress(address).nodeId;
    if (expected !== undefined && expected !== nodeId) {
      throw new KadError('KAD_IDENTITY_MISMATCH', `${address} is node ${nodeId}`);
    }
    return nodeId;
  }

  async request(to: Peer, message: Uint8Array, _options?: ExchangeOptions): Promise<Uint8Array> {
    let failure: unknown = new KadError('KAD_UNREACHABLE', 'no address');
    for (const address of to.addresses) {
      try {
        const { handler } = this.internet.at(address);
        return await handler(message, { nodeId: this.nodeId, address: this.host.ip, port: 1 });
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async close(): Promise<void> {
    const at = this.internet.endpoints.findIndex(({ nodeId }) => nodeId === this.nodeId);
    if (at >= 0) this.internet.endpoints.splice(at, 1);
  }
}
