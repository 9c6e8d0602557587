import { parseAddress } from '@granary/kad';
import type { FarmerRecord } from './records.js';

/** Addresses of each kind in a link. */
const EACH = 2;

const isForPages = (address: string) => parseAddress(address).scheme !== 'https';

/**
 * Addresses for a link: those that this renter joins by and those of farmers that were seen last, a few
 * that commands dial and a few that pages do.
 */
export function addressesForLink(
  bootstrap: readonly string[],
  farmers: readonly FarmerRecord[],
): string[] {
  const latest = [...farmers].sort((a, b) => b.seen - a.seen);
  const known = [...bootstrap, ...latest.flatMap(({ contact }) => contact.addresses)];
  const chosen: string[] = [];
  for (const wanted of [false, true]) {
    const fit = new Set(known.filter((address) => isForPages(address) === wanted));
    chosen.push(...[...fit].slice(0, EACH));
  }
  return chosen;
}
