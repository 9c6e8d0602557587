import { wholeUnits } from './amounts.js';

/** What bytes are paid for. */
export type Purpose = 'storage' | 'egress' | 'tunnel';

/**
 * All that one node has come to owe another in one currency since they met. Sums only ever grow; what
 * was paid is kept with the channels.
 */
export interface Account {
  /** The other side. */
  readonly peer: string;
  /** Its compressed public key, 66 hex digits. */
  readonly peerKey: string;
  readonly currency: string;
  /** Fine parts charged, by purpose. */
  readonly storage: bigint;
  readonly egress: bigint;
  readonly tunnel: bigint;
  /** Units that were accepted on the other's word alone; only who pays has any. */
  readonly conceded: bigint;
  /** Units that were promised before a book was lost: at least so much was owed. */
  readonly floor: bigint;
  /** When storage was last audited; milliseconds since the epoch. */
  readonly audited: number;
  /** The last number given to a receipt (who is paid), or the last number seen (who pays). */
  readonly receipts: number;
}

/** An account on which nothing has happened. */
export function newAccount(peer: string, peerKey: string, currency: string): Account {
  return {
    peer,
    peerKey,
    currency,
    storage: 0n,
    egress: 0n,
    tunnel: 0n,
    conceded: 0n,
    floor: 0n,
    audited: 0,
    receipts: 0,
  };
}

/** Fine parts owed since they met. */
export function owedFine({ storage, egress, tunnel }: Account): bigint {
  return storage + egress + tunnel;
}

/** Whole units owed since they met, rounded down once, at the end; what was conceded included. */
export function owed(account: Account): bigint {
  const whole = wholeUnits(owedFine(account));
  return (whole > account.floor ? whole : account.floor) + account.conceded;
}
