import type { Address } from './address.js';
import type { TlsCredentials } from './certificate.js';
import type { Dialer } from './dialer.js';
import type { NodeId } from './node-id.js';

/** What is needed of a WebSocket. Those of browsers and those of `ws` have it. */
export interface MessageSocket {
  binaryType: string;
  /** Bytes that were sent and are not yet with the operating system. */
  readonly bufferedAmount: number;
  /** 1 while it is open (RFC 6455 by way of the WebSocket API). */
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: { message?: string }) => void) | null;
  send(data: Uint8Array | string): void;
  close(code?: number, reason?: string): void;
  /** End it at once. Browsers have no such thing. */
  terminate?(): void;
  /** Read no more until `resume`. Browsers have no such thing. */
  pause?(): void;
  resume?(): void;
}

/** A WebSocket and who is at its other end, as far as that is known before anything is said. */
export interface MadeSocket {
  readonly socket: MessageSocket;
  /** For logs and limits: an IP address or a host name. */
  readonly remoteAddress: string;
  /** Proved by a TLS certificate that is bound to an identity. */
  readonly provedNodeId?: NodeId;
}

/** What a {@link SocketDialer} is told. */
export interface DialSocketOptions {
  /** Whom to expect, where TLS can tell. */
  readonly expectedNodeId?: NodeId;
  /** To show who we are in TLS; not needed. */
  readonly credentials?: TlsCredentials;
  /** How to get there; directly when not given. */
  readonly dialer?: Dialer;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** What is spoken on it; the DHT's messages when not given. */
  readonly protocol?: SocketProtocol;
}

/** What is spoken on a WebSocket. */
export interface SocketProtocol {
  readonly path: string;
  /** That both sides must name (RFC 6455, section 1.9). */
  readonly subprotocol: string;
  /** The most bytes in a message. */
  readonly maxMessage: number;
}

/**
 * Makes a WebSocket to an address; it need not be open yet.
 *
 * @throws KadError KAD_UNREACHABLE, KAD_TIMEOUT, KAD_ABORTED, KAD_BAD_CERTIFICATE or
 * KAD_IDENTITY_MISMATCH.
 */
export type SocketDialer = (address: Address, options: DialSocketOptions) => Promise<MadeSocket>;

/** Takes WebSockets that others open. */
export interface SocketListener {
  /** Where they are taken; empty before `listen`. */
  readonly addresses: readonly string[];
  /**
   * Begin to take them.
   *
   * @param accept - called with each open socket, at once
   * @throws KadError KAD_PORT_IN_USE or KAD_LISTEN.
   */
  listen(accept: (made: MadeSocket) => void): Promise<void>;
  /** Take no more, and free what there is. */
  close(): Promise<void>;
}

/** The path of WebSockets for the DHT's messages. */
export const WEBSOCKET_PATH = '/dht';
/** The subprotocol that both sides must name (RFC 6455, section 1.9). */
export const WEBSOCKET_SUBPROTOCOL = 'granary.dht.v1';
