import { PaymentError } from './errors.js';

/** Bytes in the GB that prices are for. */
export const GIGABYTE = 10n ** 9n;
/** Milliseconds in the month (30 days) that prices are for. */
export const MONTH_MS = 30n * 24n * 3600n * 1000n;
/**
 * Fine parts in one smallest unit of a currency. One unit for a GB-month is one fine part for a byte
 * held for a millisecond, so that every charge is a whole number of fine parts, and nothing is ever
 * rounded but the sum of an account when it comes to be paid.
 */
export const FINE_PARTS = GIGABYTE * MONTH_MS;

/** Fine parts for holding bytes for some milliseconds. @param price - units for a GB-month */
export function storageCharge(price: bigint, bytes: number, ms: number): bigint {
  return price * BigInt(bytes) * BigInt(ms);
}

/** Fine parts for moving bytes. @param price - units for a GB */
export function trafficCharge(price: bigint, bytes: number): bigint {
  return price * BigInt(bytes) * MONTH_MS;
}

/**
 * Whole units in an amount of fine parts, rounded down: in favour of who pays, by less than one unit
 * in the life of an account, since the fine parts are kept.
 */
export function wholeUnits(fine: bigint): bigint {
  return fine / FINE_PARTS;
}

/** Fine parts as units with as many decimals as they need, for people; exact up to 12 decimals. */
export function formatFine(fine: bigint): string {
  const whole = fine / FINE_PARTS;
  const rest = ((fine % FINE_PARTS) * 10n ** 12n) / FINE_PARTS;
  const decimals = rest.toString().padStart(12, '0').replace(/0+$/, '');
  return decimals === '' ? whole.toString() : `${whole}.${decimals}`;
}

/** An amount of whole units from decimal text. @throws PaymentError PAYMENT_AMOUNT. */
export function parseUnits(text: string): bigint {
  if (!/^(0|[1-9][0-9]{0,38})$/.test(text)) {
    throw new PaymentError(
      'PAYMENT_AMOUNT',
      `"${text}" is not an amount: write a whole number of the smallest unit`,
    );
  }
  return BigInt(text);
}
