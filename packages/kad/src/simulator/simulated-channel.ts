import { KadError, messageOf } from '../errors.js';
import { RemoteError } from '../json-rpc.js';
import { publicCode } from '../rpc.js';
import type { Destination, RpcChannel, RpcHost, RpcReply } from '../rpc-channel.js';
import type { Contact } from '../contact.js';
import type { ExchangeOptions } from '../transport.js';
import type { SimulatedHost, SimulatedNetwork } from './simulated-network.js';

/** Bytes that a message is taken to have, for plugins that look at sizes. */
const NOMINAL_SIZE = 1024;

/** What comes back: a result and whose it is, or an error as it would travel. */
interface Answer {
  readonly contact: Contact;
  readonly result?: unknown;
  readonly error?: RemoteError;
}

/**
 * Carries calls over a {@link SimulatedNetwork}. They are handed over as they are, without being
 * encoded and signed: what a signature would prove is true here by construction, since a channel
 * can speak for its own node alone.
 */
export class SimulatedChannel implements RpcChannel {
  private readonly host: SimulatedHost;
  private readonly stopping = new AbortController();
  private readonly address: string;
  private node: RpcHost | undefined;

  constructor(
    private readonly network: SimulatedNetwork,
    nodeId: string,
    ip: string,
    private readonly options: { reachable: boolean; announces: boolean; timeoutMs: number },
  ) {
    this.address = `https://${ip}:1`;
    this.host = {
      address: this.address,
      ip,
      nodeId,
      alive: true,
      reachable: options.reachable,
      contact: () => this.node!.contact(),
      receive: () => undefined,
    };
  }

  /** A node behind a NAT that knows of it says that it has no address: it is a client. */
  get addresses(): readonly string[] {
    return this.options.announces ? [this.address] : [];
  }

  listen(node: RpcHost): Promise<void> {
    this.node = node;
    const { host } = this;
    const { signal } = this.stopping;
    host.receive = async (request) => {
      node.gate(request.remote, NOMINAL_SIZE);
      node.met(request.sender, 'asked us');
      return node.handle({ ...request, signal });
    };
    this.network.attach(host);
    return Promise.resolve();
  }

  async identify(address: string, options: ExchangeOptions = {}): Promise<string> {
    const host = this.network.at(address);
    if (host !== undefined) return host.nodeId;
    await new Promise((resolve) =>
      this.network.clock.setTimeout(() => resolve(undefined), this.timeout(options)),
    );
    throw new KadError('KAD_TIMEOUT', `${address} did not answer`);
  }

  call(
    to: Destination,
    method: string,
    params: unknown,
    options: ExchangeOptions = {},
  ): Promise<RpcReply> {
    const { network, node, host } = this;
    const { signal } = options;
    if (node === undefined || !host.alive) {
      return Promise.reject(new KadError('KAD_ABORTED', 'the node is not running'));
    }
    const address = to.addresses[0];
    if (address === undefined) {
      return Promise.reject(new KadError('KAD_UNREACHABLE', `node ${to.nodeId} has no address`));
    }
    network.count(method);
    return new Promise((resolve, reject) => {
      const timeoutMs = this.timeout(options);
      let over = false;
      const end = () => {
        over = true;
        network.clock.clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const timer = network.clock.setTimeout(() => {
        end();
        reject(new KadError('KAD_TIMEOUT', `${address} did not answer in ${timeoutMs} ms`));
      }, timeoutMs);
      const onAbort = () => {
        end();
        reject(new KadError('KAD_ABORTED', 'the call was aborted'));
      };
      if (signal?.aborted === true) return onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });

      const back = (answer: Answer) => {
        if (over || !host.alive) return;
        end();
        node.met(answer.contact, 'answered us');
        if (answer.error !== undefined) reject(answer.error);
        else resolve({ result: answer.result ?? null, contact: answer.contact });
      };
      network.carry(host.address, address, () => {
        const other = network.at(address);
        if (other === undefined || other.nodeId !== to.nodeId) return;
        const sender = node.contact();
        const remote = { nodeId: host.nodeId, address: host.ip };
        const working = other.receive({ method, params, sender, remote, signal: never });
        if (working === undefined) return;
        const reply = (answer: Answer) => {
          if (other.alive) network.carry(address, host.address, () => back(answer));
        };
        working.then(
          (result) => reply({ contact: other.contact(), result }),
          (error: unknown) => {
            const code = publicCode(error) ?? 'KAD_INTERNAL';
            reply({ contact: other.contact(), error: new RemoteError(code, messageOf(error)) });
          },
        );
      });
    });
  }

  stop(): Promise<void> {
    this.stopping.abort();
    this.host.alive = false;
    this.network.detach(this.address);
    return Promise.resolve();
  }

  private timeout({ timeoutMs }: ExchangeOptions): number {
    return timeoutMs ?? this.options.timeoutMs;
  }
}

const never = new AbortController().signal;
