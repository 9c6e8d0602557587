import { FINE_PARTS } from './amounts.js';

/** What stands between a farmer and a renter, as the farmer sees it; fine parts but for `promised`. */
export interface Exposure {
  /** Charged: signed for by both, or audited. */
  readonly owedFine: bigint;
  /** Sent without a countersigned receipt. */
  readonly unproved: bigint;
  /** Storage since the last audit. */
  readonly unaudited: bigint;
  /** Whole units that there are vouchers for, as far as their settlement is good for them. */
  readonly promised: bigint;
}

/**
 * Whether a farmer that gives `limit` units of credit should do something that costs `next` fine
 * parts. With a limit of 0 everything is paid beforehand.
 */
export function withinCredit(exposure: Exposure, limit: bigint, next: bigint): boolean {
  const { owedFine, unproved, unaudited, promised } = exposure;
  return owedFine + unproved + unaudited + next <= (promised + limit) * FINE_PARTS;
}

/** What a renter goes by when it decides how much to promise; whole units. */
export interface Offer {
  /** What its own book says that it owes, since they met. */
  readonly owed: bigint;
  /** What the farmer claims, since they met. */
  readonly claimed: bigint;
  /** What it has promised already. */
  readonly promised: bigint;
  /** What more it accepts on the farmer's word alone. */
  readonly trust: bigint;
  /** What it pays ahead, when the farmer asks for it. */
  readonly advance: bigint;
}

/**
 * How much a renter should have promised: what the farmer claims, as far as its own book confirms it or
 * it trusts the farmer's word; never more than the farmer claims but for the advance, and never
 * less than before.
 *
 * @returns the new sum, and how much of it goes beyond the renter's own book
 */
export function payable(offer: Offer): { readonly sum: bigint; readonly conceded: bigint } {
  const { owed, claimed, promised, trust, advance } = offer;
  const excess = claimed > owed ? claimed - owed : 0n;
  const conceded = excess <= trust ? excess : 0n;
  const due = (claimed < owed ? claimed : owed + conceded) + advance;
  return { sum: due > promised ? due : promised, conceded };
}
