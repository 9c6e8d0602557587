/** Bounds of a {@link WebSocketTransport}. Times are milliseconds. */
export interface WebSocketLimits {
  /** For both sides to prove who they are, from the moment that the WebSocket is made. */
  readonly helloMs: number;
  /** A connection is looked after this often; one that has been quiet is pinged. */
  readonly pingMs: number;
  /** A connection from which nothing came for this long is closed. */
  readonly silenceMs: number;
  /**
   * A connection that we dialled and that carried no message for this long is closed. Infinity
   * keeps it: a node without addresses can be asked only over connections that it opened.
   */
  readonly idleMs: number;
  /** A peer that takes nothing of what waits for it for this long is cut off. */
  readonly stallMs: number;
  /** Questions of ours under way on one connection; more wait. */
  readonly maxInFlight: number;
  /** Questions of ours that wait on one connection; more are refused with KAD_BUSY. */
  readonly maxQueued: number;
  /** Questions of the peer in work on one connection; more are answered with KAD_BUSY. */
  readonly maxInWork: number;
  /** Bytes of questions in work on all connections together; more are answered with KAD_BUSY. */
  readonly maxWorkBytes: number;
  /** Bytes waiting to be sent on one connection before nothing more is read from it. */
  readonly maxBuffered: number;
  /** Bytes waiting to be sent on all connections together before the next slow one is cut off. */
  readonly maxTotalBuffered: number;
  /** Frames in the time of `pingMs` that are neither a question nor an expected answer. */
  readonly maxIdleFrames: number;
  /** Connections that we dialled; the one unused for longest makes room. */
  readonly maxDialed: number;
  /** Connections that others opened and that have not proved yet who they are; the oldest goes. */
  readonly maxUnproven: number;
  /** Connections with one peer; the oldest makes room. */
  readonly maxPerPeer: number;
}

/** The defaults of {@link WebSocketLimits}; `idleMs` is Infinity for a transport without a listener. */
export const defaultWebSocketLimits: WebSocketLimits = {
  helloMs: 5_000,
  pingMs: 20_000,
  silenceMs: 50_000,
  idleMs: 120_000,
  stallMs: 15_000,
  maxInFlight: 64,
  maxQueued: 256,
  maxInWork: 128,
  maxWorkBytes: 128 * 1024 * 1024,
  maxBuffered: 1024 * 1024,
  maxTotalBuffered: 128 * 1024 * 1024,
  maxIdleFrames: 256,
  maxDialed: 256,
  maxUnproven: 256,
  maxPerPeer: 4,
};
