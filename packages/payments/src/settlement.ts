import type { Voucher, VoucherDomain } from '@granary/protocol';
import type { SettlementKind } from './channel.js';

/** Who pays whom in a channel. */
export interface ChannelParties {
  readonly payer: ChannelParty;
  readonly payee: ChannelParty;
  readonly currency: string;
}

/** One side of a channel: its node ID and its compressed public key, 66 hex digits. */
export interface ChannelParty {
  readonly nodeId: string;
  readonly publicKey: string;
}

/** A channel as its settlement knows it. Amounts in whole units. */
export interface ChannelView {
  /** What it can pay at most and can't be taken back by a reorganisation; null when nothing bounds it. */
  readonly deposit: bigint | null;
  /** What was paid in, at the newest block. */
  readonly latestDeposit: bigint | null;
  /** What has reached who is paid. */
  readonly settled: bigint;
  /** When the payer can take the rest back; milliseconds since the epoch; null when it has not asked. */
  readonly closesAt: number | null;
  /** How long who is paid has to redeem once the payer wants to close, in milliseconds. */
  readonly challengeMs: number;
  readonly closed: boolean;
}

/**
 * A place where vouchers turn into money. All that changes something there may be done again after a
 * crash, with the same arguments, and then does nothing more: amounts are sums, never differences.
 *
 * @throws PaymentError PAYMENT_CHAIN_UNREACHABLE when it can't be asked now: try again later;
 * PAYMENT_CHAIN when it refuses; PAYMENT_FUNDS when the payer has not enough.
 */
export interface Settlement {
  readonly kind: SettlementKind;
  /** The currency that it settles. */
  readonly currency: string;
  /** What vouchers are signed for. */
  readonly domain: VoucherDomain;
  /** The ID of a channel, 64 hex digits, from who is in it and 32 bytes of hex. */
  channelId(parties: ChannelParties, salt: string): string;
  /** What the other side needs to find a channel of this settlement. */
  describe(id: string): string;
  /**
   * A channel as it stands; undefined when it is not there (yet).
   *
   * @param parties - who should be in it: a channel of others counts as not there
   */
  look(id: string, parties: ChannelParties): Promise<ChannelView | undefined>;
  /** Open a channel with a deposit, as its payer. */
  open(salt: string, parties: ChannelParties, deposit: bigint): Promise<void>;
  /** Raise a channel's deposit to a sum, as its payer. */
  topUp(id: string, deposit: bigint): Promise<void>;
  /** Turn a voucher into money, as who is paid. */
  redeem(id: string, voucher: Voucher): Promise<void>;
  /** Ask for the rest of the deposit, as the payer: the challenge period begins. */
  requestClose(id: string): Promise<void>;
  /** Let the payer have the rest at once, as who is paid. */
  release(id: string): Promise<void>;
  /** Send the rest to the payer once the challenge period is over. */
  withdraw(id: string): Promise<void>;
  /** What this node has to pay with, apart from its channels; null when nothing bounds it. */
  funds(): Promise<Funds>;
  close(): Promise<void>;
}

/** What a node has at a settlement. */
export interface Funds {
  /** Its name there: an address, or its node ID. */
  readonly account: string;
  /** Of the settlement's currency, in whole units; null when nothing bounds it. */
  readonly balance: bigint | null;
  /** Of the coin that transactions are paid with; null when there are none. */
  readonly gas: bigint | null;
}
