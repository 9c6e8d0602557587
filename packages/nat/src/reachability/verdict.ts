/** What one helper said of an address; `silent`: it gave no answer, or would not dial. */
export type Answer = 'reached' | 'failed' | 'silent';

/** How the check of one address went. */
export interface AddressCheck {
  readonly address: string;
  /** Helpers that reached us there, that could not, and that did not say. */
  readonly reached: number;
  readonly failed: number;
  readonly silent: number;
  /** `undecided` when too few have answered. */
  readonly verdict: 'reachable' | 'unreachable' | 'undecided';
}

/**
 * What many helpers together say of an address. Reachable is what a majority of those that tried
 * could reach.
 *
 * @param enough - the answers that it takes for a verdict
 */
export function judge(address: string, answers: readonly Answer[], enough: number): AddressCheck {
  const count = (answer: Answer) => answers.filter((one) => one === answer).length;
  const reached = count('reached');
  const failed = count('failed');
  const decided = reached + failed >= Math.max(1, enough);
  return {
    address,
    reached,
    failed,
    silent: count('silent'),
    verdict: !decided ? 'undecided' : reached > failed ? 'reachable' : 'unreachable',
  };
}

/**
 * The addresses that we are seen to come from, the one named most first. One that a single helper
 * names, where others name another, is left out: it may lie.
 */
export function agreedAddresses(named: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const address of named) counts.set(address, (counts.get(address) ?? 0) + 1);
  const families = (address: string) => (address.includes(':') ? 6 : 4);
  return [...counts]
    .filter(([address, count]) => {
      const same = named.filter((other) => families(other) === families(address)).length;
      return count >= 2 || same === 1;
    })
    .sort((a, b) => b[1] - a[1])
    .map(([address]) => address);
}
