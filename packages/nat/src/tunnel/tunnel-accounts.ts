import type { NodeId } from '@granary/kad';

/** One side of a tunnel, proved by its certificate. */
export interface TunnelParty {
  readonly nodeId: NodeId;
  /** Compressed secp256k1 key, 66 hex digits. */
  readonly publicKey: string;
}

/** What a tunnel asks for. */
export interface TunnelPrice {
  /** Per GB, both ways together, in the smallest unit of `currency`: a decimal number. */
  readonly price: string;
  readonly currency: string;
  /** How it is paid: nothing that this package reads. */
  readonly payment?: unknown;
}

/** What was carried in one session. */
export interface Carried {
  /** 32 hex digits. */
  readonly session: string;
  /** Both ways, since the session began. */
  readonly bytes: number;
}

/**
 * How a tunnel is paid. Without it, it carries for nothing. Bills and receipts are documents that this
 * package passes on unread.
 */
export interface TunnelAccounts {
  readonly price: TunnelPrice;
  /** Bytes after which a client is billed at the latest. */
  readonly meterBytes: number;
  /** A bill for what was carried. */
  bill(client: TunnelParty, carried: Carried): Promise<unknown>;
  /** Bills for former sessions that the client has not signed for. */
  owing(client: TunnelParty): readonly unknown[];
  /**
   * A client has sent a receipt. Rejects when it is not valid.
   *
   * @returns the receipt as the tunnel has signed it, too
   */
  receipt(client: TunnelParty, receipt: unknown): Promise<unknown>;
  /**
   * Whether a client may go on, after what was carried, for some bytes more.
   *
   * @throws anything, with what the client should do as its message
   */
  check(client: TunnelParty, carried: Carried, next: number): void;
  /** A session is over. */
  ended(client: TunnelParty, carried: Carried): void;
}

/** How a client pays. Without it, only tunnels that carry for nothing are used. */
export interface TunnelPurse {
  /** Whether this node pays what a tunnel asks for. */
  affords(price: TunnelPrice): boolean;
  /**
   * Sign for what a tunnel has carried.
   *
   * @param own - what was counted here in the session that is open
   * @returns a receipt; undefined when there is nothing to sign for
   * @throws anything, when the bill is not what was agreed: the tunnel is left
   */
  sign(tunnel: TunnelParty, price: TunnelPrice, bill: unknown, own: Carried): Promise<unknown>;
  /** The tunnel has countersigned. Rejects when it is not so. */
  noted(tunnel: TunnelParty, receipt: unknown): Promise<void>;
  /** The tunnel carries no more before it is paid. */
  held(tunnel: TunnelParty): void;
  /** A session is over. */
  ended(tunnel: TunnelParty, price: TunnelPrice, own: Carried): void;
}
