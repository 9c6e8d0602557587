import { NatError } from '../errors.js';

/** What a tunnel offers at this time. */
export interface TunnelTerms {
  readonly version: 1;
  /** Clients that it would still take. */
  readonly free: number;
  /** How busy it is, from 0 to 1. */
  readonly load: number;
  /** The most bytes a second that it carries for one client, both ways together. */
  readonly bytesPerSecond: number;
  /** Per GB, in the smallest unit of `currency`: a decimal number; 0 for nothing. */
  readonly price: string;
  readonly currency: string;
  /** How it is paid, which this package hands over unread. */
  readonly payment?: unknown;
}

/** @throws NatError NAT_TUNNEL_PROTOCOL when what a node says of its tunnel makes no sense. */
export function parseTunnelTerms(value: unknown): TunnelTerms {
  const bad = (what: string) =>
    new NatError('NAT_TUNNEL_PROTOCOL', `terms of a tunnel: ${what} is wrong`);
  if (typeof value !== 'object' || value === null) throw bad('their form');
  const { version, free, load, bytesPerSecond, price, currency, payment } = value as Record<
    string,
    unknown
  >;
  if (version !== 1) throw bad('version');
  if (!Number.isSafeInteger(free) || (free as number) < 0) throw bad('free');
  if (typeof load !== 'number' || !(load >= 0 && load <= 1)) throw bad('load');
  if (!Number.isSafeInteger(bytesPerSecond) || (bytesPerSecond as number) < 1) {
    throw bad('bytesPerSecond');
  }
  if (typeof price !== 'string' || !/^(0|[1-9][0-9]{0,38})$/.test(price)) throw bad('price');
  if (typeof currency !== 'string' || currency.length < 1 || currency.length > 64) {
    throw bad('currency');
  }
  return {
    version,
    free: free as number,
    load,
    bytesPerSecond: bytesPerSecond as number,
    price,
    currency,
    ...(payment !== undefined && { payment }),
  };
}
