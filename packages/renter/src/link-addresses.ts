import { parseAddress } from '@granary/kad';
import type { FarmerRecord } from './records.js';

/** Addresses of each kind in a link. */
const EACH = 2;

const isForPages = (address: string) => parseAddress(address).scheme !== 'https';

/**
 * Addresses for a link, a few that commands dial and a few that pages do: one that this renter joins by, and
 * those of farmers that were seen last and did not fail since. Nodes that this renter was told of once may be
 * gone, and a link leads nowhere when all of its nodes are.
 */
export function addressesForLink(
  bootstrap: readonly string[],
  farmers: readonly FarmerRecord[],
): string[] {
  const latest = [...farmers].sort((a, b) => b.seen - a.seen);
  const addressesOf = (failing: boolean) =>
    latest
      .filter(({ failures }) => failures > 0 === failing)
      .flatMap(({ contact }) => contact.addresses);
  const known = [...addressesOf(false), ...bootstrap, ...addressesOf(true)];
  const chosen: string[] = [];
  for (const wanted of [false, true]) {
    const fits = (address: string) => isForPages(address) === wanted;
    const fit = new Set([...bootstrap.filter(fits).slice(0, 1), ...known.filter(fits)]);
    chosen.push(...[...fit].slice(0, EACH));
  }
  return chosen;
}
