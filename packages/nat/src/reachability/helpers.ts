import {
  type Contact,
  type Random,
  addressGroup,
  parseAddress,
  randomFraction,
} from '@granary/kad';

/** The groups of networks that a node is in: its address groups, or, where there is none, its hosts. */
export function networksOf(contact: Pick<Contact, 'addresses'>): string[] {
  return contact.addresses.flatMap((address) => {
    try {
      const { host } = parseAddress(address);
      return [addressGroup(host) ?? host];
    } catch {
      return [];
    }
  });
}

/**
 * Whom to ask for help: at random, so that nobody can choose to be asked, one of each network while
 * there are others, and from our own network last, since the way from there is another.
 *
 * @param own - networks that we are in
 */
export function chooseHelpers<T extends Pick<Contact, 'addresses'>>(
  contacts: readonly T[],
  count: number,
  random: Random,
  own: readonly string[] = [],
): T[] {
  const shuffled = [...contacts];
  for (let i = shuffled.length - 1; i > 0; i -= 1) {
    const j = Math.floor(randomFraction(random) * (i + 1));
    [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
  }
  const seen = new Set(own);
  const first: T[] = [];
  const rest: T[] = [];
  for (const contact of shuffled) {
    const networks = networksOf(contact);
    if (networks.some((network) => seen.has(network))) {
      rest.push(contact);
    } else {
      for (const network of networks) seen.add(network);
      first.push(contact);
    }
  }
  const outside = rest.filter((one) => !networksOf(one).some((network) => own.includes(network)));
  const inside = rest.filter((one) => !outside.includes(one));
  return [...first, ...outside, ...inside].slice(0, count);
}
