import type { NodeId } from './node-id.js';

/** Where a message comes from, as far as the transport knows. */
export interface Remote {
  /** Proved by the connection, where the transport can. */
  readonly nodeId?: NodeId;
  /** For logs and limits: an IP address or the like. */
  readonly address: string;
}

/** Answers one message. What it throws never reaches the other side as it is. */
export type MessageHandler = (message: Uint8Array, remote: Remote) => Promise<Uint8Array>;

/** Limits of one exchange. */
export interface ExchangeOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole exchange. */
  readonly timeoutMs?: number;
}

/**
 * Carries messages between nodes: one message there, one back. It knows nothing of what they say.
 * An implementation checks, where it can, that the other end is the node that was asked for.
 */
export interface Transport {
  /** Where others can reach this node; empty for one that only asks. */
  readonly addresses: readonly string[];
  /** Begin to take messages. */
  listen(handler: MessageHandler): Promise<void>;
  /** The ID of the node at an address. */
  identify(address: string, options?: ExchangeOptions): Promise<NodeId>;
  /**
   * Send a message to a node, trying its addresses in order.
   *
   * @throws KadError KAD_UNREACHABLE, KAD_TIMEOUT, KAD_IDENTITY_MISMATCH and others.
   */
  request(
    to: { readonly nodeId: NodeId; readonly addresses: readonly string[] },
    message: Uint8Array,
    options?: ExchangeOptions,
  ): Promise<Uint8Array>;
  /** Stop and free everything. */
  close(): Promise<void>;
}
