import { KadError } from './errors.js';
import type { NodeId } from './node-id.js';
import type { ExchangeOptions, MessageHandler, Transport } from './transport.js';

/** Nodes in one process, wired together by hand: for tests and simulations. */
export class MemoryNetwork {
  private readonly nodes = new Map<string, { nodeId: NodeId; handler: MessageHandler }>();
  /** Messages carried so far, there and back counted once. */
  exchanges = 0;

  /**
   * @param deliver - called for every message; throws or delays to play loss, latency, partitions
   */
  constructor(
    private readonly deliver: (from: string, to: string) => Promise<void> = () => Promise.resolve(),
  ) {}

  attach(address: string, nodeId: NodeId, handler: MessageHandler): void {
    if (this.nodes.has(address)) {
      throw new KadError('KAD_PORT_IN_USE', `${address} is taken`);
    }
    this.nodes.set(address, { nodeId, handler });
  }

  detach(address: string): void {
    this.nodes.delete(address);
  }

  idAt(address: string): NodeId {
    const node = this.nodes.get(address);
    if (node === undefined) throw new KadError('KAD_UNREACHABLE', `nobody is at ${address}`);
    return node.nodeId;
  }

  async exchange(
    from: { nodeId: NodeId; address: string },
    to: NodeId,
    address: string,
    message: Uint8Array,
  ): Promise<Uint8Array> {
    await this.deliver(from.address, address);
    const node = this.nodes.get(address);
    if (node === undefined) throw new KadError('KAD_UNREACHABLE', `nobody is at ${address}`);
    if (node.nodeId !== to) {
      throw new KadError('KAD_IDENTITY_MISMATCH', `${address} is node ${node.nodeId}, not ${to}`);
    }
    this.exchanges += 1;
    return node.handler(message, { nodeId: from.nodeId, address: from.address });
  }
}

/** A transport over a {@link MemoryNetwork}. */
export class MemoryTransport implements Transport {
  readonly addresses: readonly string[];

  constructor(
    private readonly network: MemoryNetwork,
    private readonly nodeId: NodeId,
    private readonly address: string,
  ) {
    this.addresses = [address];
  }

  listen(handler: MessageHandler): Promise<void> {
    this.network.attach(this.address, this.nodeId, handler);
    return Promise.resolve();
  }

  identify(address: string): Promise<NodeId> {
    return Promise.resolve().then(() => this.network.idAt(address));
  }

  async request(
    to: { nodeId: NodeId; addresses: readonly string[] },
    message: Uint8Array,
    options: ExchangeOptions = {},
  ): Promise<Uint8Array> {
    if (options.signal?.aborted === true) throw new KadError('KAD_ABORTED', 'aborted');
    const address = to.addresses[0];
    if (address === undefined) {
      throw new KadError('KAD_UNREACHABLE', `node ${to.nodeId} has no address`);
    }
    return this.network.exchange(
      { nodeId: this.nodeId, address: this.address },
      to.nodeId,
      address,
      message,
    );
  }

  close(): Promise<void> {
    this.network.detach(this.address);
    return Promise.resolve();
  }
}
