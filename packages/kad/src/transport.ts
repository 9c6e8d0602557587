import { KadError } from './errors.js';
import type { NodeId } from './node-id.js';

/** Where a message comes from, as far as the transport knows. */
export interface Remote {
  /** Proved by the connection, where the transport can. */
  readonly nodeId?: NodeId;
  /** For logs and limits: an IP address or the like. */
  readonly address: string;
  /** The port that it comes from, where the transport knows. */
  readonly port?: number;
}

/** Answers one message. What it throws never reaches the other side as it is. */
export type MessageHandler = (message: Uint8Array, remote: Remote) => Promise<Uint8Array>;

/** Limits of one exchange. */
export interface ExchangeOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole exchange. */
  readonly timeoutMs?: number;
}

/** Whom to send a message to. */
export interface Peer {
  readonly nodeId: NodeId;
  readonly addresses: readonly string[];
}

/**
 * Carries messages between nodes: one message there, one back. It knows nothing of what they say.
 * An implementation checks, where it can, that the other end is the node that was asked for.
 *
 * `docs/transports.md` has the rules that an implementation keeps, and `transportConformance` tests
 * them.
 */
export interface Transport {
  /** Where others can reach this node; empty for one that only asks, and before `listen`. */
  readonly addresses: readonly string[];
  /**
   * Begin to take messages. Called once; a transport that only asks keeps the handler for
   * connections over which it can be asked.
   *
   * @throws KadError KAD_STOPPED after `close`; KAD_PORT_IN_USE, KAD_LISTEN.
   */
  listen(handler: MessageHandler): Promise<void>;
  /**
   * The ID of the node at an address, proved as well as the transport can.
   *
   * @throws KadError KAD_IDENTITY_MISMATCH when the address names another; KAD_BAD_ADDRESS for one
   * that is not this transport's; and those of `request`.
   */
  identify(address: string, options?: ExchangeOptions): Promise<NodeId>;
  /**
   * Send a message to a node, trying its addresses in order. Addresses of other transports are
   * passed over.
   *
   * @throws KadError KAD_UNREACHABLE, KAD_TIMEOUT, KAD_ABORTED, KAD_IDENTITY_MISMATCH,
   * KAD_TOO_LARGE, KAD_BAD_ADDRESS when all addresses are those of other transports, KAD_REMOTE when the other side refused the message, KAD_STOPPED after `close`,
   * and others.
   */
  request(to: Peer, message: Uint8Array, options?: ExchangeOptions): Promise<Uint8Array>;
  /**
   * Whether the transport dials addresses like this one; not there when it dials any. A contact none
   * of whose addresses it dials is not dead: it just can't be asked from here.
   */
  dials?(address: string): boolean;
  /**
   * Whether a connection to the node is open over which it can be asked without being dialled, so
   * that even a node without addresses can be. Not there on transports without such connections.
   */
  isConnected?(nodeId: NodeId): boolean;
  /** Stop and free everything. Exchanges under way fail; a second call does nothing. */
  close(): Promise<void>;
}

/** The limit of an exchange when none is given, in milliseconds. */
export const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * That no address of a node can be dialled here. When it has some, of other transports, the node may
 * well be alive, which KAD_UNREACHABLE would put in doubt.
 */
export function noAddressError({ nodeId, addresses }: Peer, more = ''): KadError {
  return addresses.length === 0
    ? new KadError('KAD_UNREACHABLE', `node ${nodeId} has no address ${more}`.trim())
    : new KadError(
        'KAD_BAD_ADDRESS',
        `no address of node ${nodeId} can be dialled from here ${more}`.trim(),
      );
}

/** What a refusal that came back over a transport becomes for who asked. */
export function refusalError(where: string, code: unknown, message: unknown): KadError {
  return new KadError(
    'KAD_REMOTE',
    `${where} refused the message: ${String(code).slice(0, 64)}: ${String(message).slice(0, 256)}`,
  );
}

/** What a handler's failure says to the other side: ours in our words, anything else nothing. */
export function refusalOf(error: unknown): { code: string; message: string } {
  return error instanceof KadError
    ? { code: error.code, message: error.message.slice(0, 512) }
    : { code: 'KAD_INTERNAL', message: 'internal error' };
}
