import type { TunnelReceipt } from '@granary/protocol';
import { trafficCharge } from './amounts.js';

/** What went through a tunnel in one session, both ways, at one price. */
export interface TunnelCount {
  /** 32 hex digits. */
  readonly session: string;
  /** Since the session began. */
  readonly bytes: number;
  readonly currency: string;
  /** Units for a GB. */
  readonly price: string;
}

/** One session of a tunnel, as one side's book keeps it. */
export interface TunnelRow extends TunnelCount {
  /** Bytes that the client has signed for: those are charged. */
  readonly bytes: number;
  /** Bytes that this side has counted. */
  readonly carried: number;
  /** When it last changed; milliseconds since the epoch. */
  readonly at: number;
  /** The last receipt that both have signed. */
  readonly receipt: TunnelReceipt | null;
}

/** What was carried and not signed for comes to; fine parts. */
export function unsignedCharge({ price, carried, bytes }: TunnelRow): bigint {
  return trafficCharge(BigInt(price), carried - bytes);
}
