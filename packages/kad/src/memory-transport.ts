import { type Clock, systemClock } from './clock.js';
import { MAX_MESSAGE_SIZE } from './envelope.js';
import { KadError, throwIfAborted } from './errors.js';
import type { NodeId } from './node-id.js';
import {
  DEFAULT_TIMEOUT_MS,
  type ExchangeOptions,
  type MessageHandler,
  type Peer,
  type Transport,
  refusalError,
  refusalOf,
} from './transport.js';

interface MemoryNode {
  readonly nodeId: NodeId;
  readonly handler: MessageHandler;
  /** What to do with exchanges in work when the node goes. */
  readonly gone: Set<() => void>;
}

/** Nodes in one process, wired together by hand: for tests and simulations. */
export class MemoryNetwork {
  private readonly nodes = new Map<string, MemoryNode>();
  /** Messages carried so far, there and back counted once. */
  exchanges = 0;

  /**
   * @param deliver - called for every message; throws or delays to play loss, latency, partitions
   * @param clock - runs out the time that an exchange has
   */
  constructor(
    private readonly deliver: (from: string, to: string) => Promise<void> = () => Promise.resolve(),
    readonly clock: Clock = systemClock,
  ) {}

  /** @throws KadError KAD_PORT_IN_USE. */
  attach(address: string, nodeId: NodeId, handler: MessageHandler): void {
    if (this.nodes.has(address)) {
      throw new KadError('KAD_PORT_IN_USE', `${address} is taken`);
    }
    this.nodes.set(address, { nodeId, handler, gone: new Set() });
  }

  detach(address: string): void {
    const node = this.nodes.get(address);
    this.nodes.delete(address);
    for (const gone of [...(node?.gone ?? [])]) gone();
  }

  /** @throws KadError KAD_UNREACHABLE. */
  idAt(address: string): NodeId {
    const node = this.nodes.get(address);
    if (node === undefined) throw new KadError('KAD_UNREACHABLE', `nobody is at ${address}`);
    return node.nodeId;
  }

  /** Carry one message and its answer, whatever time it takes. */
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
    return new Promise((resolve, reject) => {
      const gone = () =>
        reject(new KadError('KAD_UNREACHABLE', `${address} went away before it answered`));
      node.gone.add(gone);
      invoke(node.handler, message, { nodeId: from.nodeId, address: from.address })
        .then(
          (answer) => {
            if (answer.length <= MAX_MESSAGE_SIZE) resolve(answer);
            else reject(tooLarge());
          },
          (error: unknown) => {
            const { code, message: why } = refusalOf(error);
            // In one process the refusal keeps its code, unless it would look like nobody's answer.
            const silent = code === 'KAD_UNREACHABLE' || code === 'KAD_TIMEOUT';
            const own = error instanceof KadError && !silent;
            reject(own ? error : refusalError(address, code, why));
          },
        )
        .finally(() => node.gone.delete(gone));
    });
  }
}

/** Whether nobody, or somebody else, was at an address. */
function isSilence(error: KadError): boolean {
  return ['KAD_UNREACHABLE', 'KAD_TIMEOUT', 'KAD_IDENTITY_MISMATCH'].includes(error.code);
}

/** A handler that throws at once is like one that rejects. */
async function invoke(
  handler: MessageHandler,
  ...[message, remote]: Parameters<MessageHandler>
): Promise<Uint8Array> {
  return handler(message, remote);
}

function tooLarge(): KadError {
  return new KadError('KAD_TOO_LARGE', `a message has at most ${MAX_MESSAGE_SIZE} bytes`);
}

/** A transport over a {@link MemoryNetwork}. It takes any text for an address. */
export class MemoryTransport implements Transport {
  readonly addresses: readonly string[];
  private readonly stopping = new Set<(error: KadError) => void>();
  private closed = false;

  /** @param address - where the node is; undefined for one that only asks */
  constructor(
    private readonly network: MemoryNetwork,
    private readonly nodeId: NodeId,
    private readonly address: string | undefined,
  ) {
    this.addresses = address === undefined ? [] : [address];
  }

  async listen(handler: MessageHandler): Promise<void> {
    if (this.closed) throw stopped();
    if (this.address !== undefined) this.network.attach(this.address, this.nodeId, handler);
  }

  async identify(address: string, options: ExchangeOptions = {}): Promise<NodeId> {
    if (this.closed) throw stopped();
    throwIfAborted(options.signal);
    // An address may end in a node ID, as everywhere.
    const [, plain = address, expected] = /^(.*)\/([0-9a-f]{64})$/.exec(address) ?? [];
    const nodeId = this.network.idAt(plain);
    if (expected !== undefined && nodeId !== expected) {
      throw new KadError('KAD_IDENTITY_MISMATCH', `${plain} is node ${nodeId}, not ${expected}`);
    }
    return nodeId;
  }

  async request(
    to: Peer,
    message: Uint8Array,
    { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: ExchangeOptions = {},
  ): Promise<Uint8Array> {
    if (this.closed) throw stopped();
    throwIfAborted(signal);
    if (message.length > MAX_MESSAGE_SIZE) throw tooLarge();
    const { clock } = this.network;
    return new Promise((resolve, reject) => {
      const finish = () => {
        clock.clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.stopping.delete(fail);
      };
      const fail = (error: unknown) => {
        finish();
        reject(error as Error);
      };
      const onAbort = () =>
        fail(new KadError('KAD_ABORTED', 'the call was aborted', { cause: signal?.reason }));
      const timer = clock.setTimeout(
        () => fail(new KadError('KAD_TIMEOUT', `${to.nodeId} did not answer in ${timeoutMs} ms`)),
        timeoutMs,
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      this.stopping.add(fail);
      this.tryAddresses(to, message).then((answer) => {
        finish();
        resolve(answer);
      }, fail);
    });
  }

  close(): Promise<void> {
    if (!this.closed) {
      this.closed = true;
      if (this.address !== undefined) this.network.detach(this.address);
      for (const stop of [...this.stopping]) stop(stopped());
    }
    return Promise.resolve();
  }

  private async tryAddresses(to: Peer, message: Uint8Array): Promise<Uint8Array> {
    const from = { nodeId: this.nodeId, address: this.address ?? '' };
    let failure: unknown = new KadError('KAD_UNREACHABLE', `node ${to.nodeId} has no address`);
    for (const address of to.addresses) {
      try {
        return await this.network.exchange(from, to.nodeId, address, message);
      } catch (error) {
        failure = error;
        // It got there: another way to the same node makes nothing better.
        if (error instanceof KadError && !isSilence(error)) break;
      }
    }
    throw failure;
  }
}

function stopped(): KadError {
  return new KadError('KAD_STOPPED', 'the transport was closed');
}
