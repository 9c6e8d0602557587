import type { Contact } from './contact.js';
import type { NodeId } from './node-id.js';
import type { ExchangeOptions, Remote } from './transport.js';

/** Whom to call: an ID, and where it may be. */
export interface Destination {
  readonly nodeId: NodeId;
  readonly addresses: readonly string[];
}

/** A request whose sender has been proved. */
export interface IncomingRequest {
  readonly method: string;
  /** What came over the network: not checked yet. */
  readonly params: unknown;
  /** Who asks: proved by its signature. */
  readonly sender: Contact;
  /** Where the message came from, as far as the transport knows. */
  readonly remote: Remote;
  /** Aborted when the node stops. */
  readonly signal: AbortSignal;
}

/** A result, and the contact of the node that gave it, proved by its signature. */
export interface RpcReply {
  readonly result: unknown;
  readonly contact: Contact;
}

/** What a channel asks of the node that it works for. */
export interface RpcHost {
  /** Our contact as it is now. */
  contact(): Contact;
  /**
   * A message is here, and nothing of it has been looked at yet.
   *
   * @throws KadError to refuse it as it is.
   */
  gate(remote: Remote, size: number): void;
  /** A message was refused: what {@link RpcHost.gate} threw, or what was wrong with the message. */
  refused(remote: Remote, error: unknown): void;
  /** A contact sent us a message that checked out. */
  met(contact: Contact, how: 'asked us' | 'answered us'): void;
  /** Answer a request. What it throws is told to the other side. */
  handle(request: IncomingRequest): Promise<unknown>;
}

/**
 * Carries calls between nodes and proves who made them. {@link SignedRpc} does it with signed
 * messages over a transport; the simulator has one that hands the same calls over in memory.
 */
export interface RpcChannel {
  /** Where others can reach this node; empty for one that only asks. */
  readonly addresses: readonly string[];
  /** Begin to take requests. */
  listen(host: RpcHost): Promise<void>;
  /** The ID that the node at an address says that it has; the next call proves it. */
  identify(address: string, options?: ExchangeOptions): Promise<NodeId>;
  /**
   * Ask a node.
   *
   * @throws RemoteError when it answered with an error; other KadErrors when it did not answer.
   */
  call(
    to: Destination,
    method: string,
    params: unknown,
    options?: ExchangeOptions,
  ): Promise<RpcReply>;
  /** Refuse everything from now on, and free what is held. */
  stop(): Promise<void>;
}
