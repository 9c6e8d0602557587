import type { Voucher } from '@granary/protocol';

/** Which settlement a channel belongs to. */
export type SettlementKind = 'ledger' | 'evm';

/**
 * Where a channel stands, as far as its book knows. `opening`: written down, but not yet seen on the
 * chain; `closing`: the payer wants its deposit back; `closed`: nothing more can be paid from it.
 */
export type ChannelState = 'opening' | 'open' | 'closing' | 'closed';

/** One unidirectional payment channel, as one side's book keeps it. Amounts in whole units. */
export interface Channel {
  /** 64 hex digits. */
  readonly id: string;
  /** The other side's node ID. */
  readonly peer: string;
  readonly settlement: SettlementKind;
  readonly currency: string;
  /** What the other side needs to find it: see {@link Settlement.describe}. */
  readonly descriptor: string;
  /** 32 random bytes in hex that its ID was made with. */
  readonly salt: string;
  readonly state: ChannelState;
  /** What it can pay at most; null when nothing bounds it. */
  readonly deposit: bigint | null;
  /** What the deposit is to become: written down before it is asked for. */
  readonly wanted: bigint | null;
  /** What has reached who is paid. */
  readonly settled: bigint;
  /** The highest voucher, or null before the first. */
  readonly voucher: Voucher | null;
  /** When it can be closed for good; milliseconds since the epoch; null when nobody asked for it. */
  readonly closesAt: number | null;
  /** Milliseconds since the epoch. */
  readonly opened: number;
}

/** Units that a channel's vouchers promise. */
export function promisedIn({ voucher }: Channel): bigint {
  return voucher === null ? 0n : BigInt(voucher.amount);
}
