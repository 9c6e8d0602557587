import type { ContractTerms } from '@granary/protocol';
import { storageCharge } from './amounts.js';

/** A stretch of a contract's time with its prices. It begins where the one before it ends. */
export interface Period {
  /** Milliseconds since the epoch. */
  readonly until: number;
  /** Units for a GB-month. */
  readonly storagePrice: bigint;
  /** Units for a GB. */
  readonly egressPrice: bigint;
}

/** What is paid for one contract: one shard that both sides have signed to be stored. */
export interface Position {
  readonly contract: string;
  readonly currency: string;
  /** Bytes of the shard. */
  readonly size: number;
  /** Its prices, in order of time, at least one. */
  readonly periods: readonly Period[];
  /** Up to when storage is charged; milliseconds since the epoch. */
  readonly accruedUntil: number;
  /** Fine parts charged for storage and for egress. */
  readonly storage: bigint;
  readonly egress: bigint;
  /** Whether storage can still accrue; if not, why. */
  readonly ended: null | 'deleted' | 'failed';
}

/** The position of a contract whose shard both have signed to be stored at `since`. */
export function openPosition(contract: string, terms: ContractTerms, since: number): Position {
  return {
    contract,
    currency: terms.currency,
    size: terms.shardSize,
    periods: [
      {
        until: terms.end,
        storagePrice: BigInt(terms.storagePrice),
        egressPrice: BigInt(terms.egressPrice),
      },
    ],
    accruedUntil: Math.max(since, terms.begin),
    storage: 0n,
    egress: 0n,
    ended: null,
  };
}

/** Add the period of a renewal. The same renewal again, or an older one, changes nothing. */
export function extendPosition(position: Position, period: Period): Position {
  const last = position.periods.at(-1)!;
  if (period.until <= last.until) return position;
  return { ...position, periods: [...position.periods, period] };
}

/**
 * Charge storage up to a time, or to the contract's end. What has been charged is never charged
 * again: charging in many steps comes to the same, to the fine part, as charging in one.
 */
export function accruePosition(
  position: Position,
  time: number,
): { readonly position: Position; readonly charge: bigint } {
  const nothing = { position, charge: 0n };
  if (position.ended !== null || time <= position.accruedUntil) return nothing;
  let charge = 0n;
  let at = position.accruedUntil;
  for (const { until, storagePrice } of position.periods) {
    const end = Math.min(until, time);
    if (end <= at) continue;
    charge += storageCharge(storagePrice, position.size, end - at);
    at = end;
  }
  if (at === position.accruedUntil) return nothing;
  const rest = position.periods.filter(({ until }) => until > at);
  return {
    position: {
      ...position,
      periods: rest.length > 0 ? rest : position.periods.slice(-1),
      accruedUntil: at,
      storage: position.storage + charge,
    },
    charge,
  };
}

/** Fine parts that a position grows by in a millisecond at a time, or later at a higher price. */
export function storageRate({ ended, periods, size }: Position, time: number): bigint {
  if (ended !== null) return 0n;
  let highest = 0n;
  for (const { until, storagePrice } of periods) {
    if (until > time && storagePrice > highest) highest = storagePrice;
  }
  return storageCharge(highest, size, 1);
}

/** Units for a GB of egress at a time. */
export function egressPriceAt({ periods }: Position, time: number): bigint {
  return (periods.find(({ until }) => time < until) ?? periods.at(-1)!).egressPrice;
}
