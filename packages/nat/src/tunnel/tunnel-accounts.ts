import type { NodeId } from '@granary/kad';

/** A client of a tunnel, proved by its certificate. */
export interface TunnelClient {
  readonly nodeId: NodeId;
  /** Compressed secp256k1 key, 66 hex digits. */
  readonly publicKey: string;
}

/** What was carried in one session, as receipts say it. */
export interface Carried {
  /** 32 hex digits. */
  readonly session: string;
  /** Both ways, since the session began. */
  readonly bytes: number;
  /** Per GB, in the smallest unit of `currency`. */
  readonly price: string;
  readonly currency: string;
}

/** How a tunnel is paid. Without it, it carries for nothing. */
export interface TunnelAccounts {
  readonly price: string;
  readonly currency: string;
  /**
   * A client has sent a receipt. Rejects when it is not valid or not of this session.
   *
   * @param carried - what the client was last told
   * @returns the bytes that it signed for
   */
  receipt(client: TunnelClient, carried: Carried, receipt: unknown): Promise<number>;
  /**
   * Whether a client may go on, after so many bytes for which there is no receipt yet.
   *
   * @throws anything, with what the client should do as its message
   */
  check(client: TunnelClient, unsigned: number): void;
}

/** How a client pays. Without it, only tunnels that carry for nothing are used. */
export interface TunnelPurse {
  /** The most per GB that is paid, in the smallest unit of `currency`. */
  readonly maxPrice: bigint;
  readonly currency: string;
  /** Sign for what a tunnel has carried. */
  sign(tunnel: NodeId, carried: Carried): Promise<unknown>;
}
