import { parseAddress } from '@granary/kad';
import type { FarmerRecord } from './records.js';

/** What a shard needs of a farmer. */
export interface ShardNeeds {
  readonly shardSize: number;
  readonly durationMs: number;
}

/**
 * The network that an address is in: the first 24 bits of an IPv4 address, the first 48 of an IPv6
 * address, or a host name's last two labels. Farmers of one network tend to fail together.
 */
export function networkOf(address: string): string {
  const { host } = parseAddress(address);
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return host.split('.').slice(0, 3).join('.');
  if (host.includes(':')) {
    const [head = '', tail = ''] = host.split('::');
    const front = head === '' ? [] : head.split(':');
    const back = tail === '' ? [] : tail.split(':');
    const middle = Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
    return [...front, ...middle, ...back].slice(0, 3).join(':');
  }
  return host.split('.').slice(-2).join('.');
}

/**
 * Farmers for the shards of one segment, best first, each at most once: those that can take a
 * shard, those that did not fail lately before those that did, and different networks before the
 * same one twice. Among equals the order is random, so that load spreads.
 *
 * @param fraction - random numbers in [0, 1)
 */
export function choosePlacement(
  farmers: readonly FarmerRecord[],
  needs: ShardNeeds,
  fraction: () => number,
): FarmerRecord[] {
  const able = farmers
    .filter(
      ({ terms, contact }) =>
        terms.freeBytes >= needs.shardSize &&
        terms.maxShardSize >= needs.shardSize &&
        terms.maxDurationMs >= needs.durationMs &&
        contact.addresses.length > 0,
    )
    .map((farmer) => ({ farmer, order: fraction(), rank: 0 }))
    .sort((a, b) => a.order - b.order);
  const perNetwork = new Map<string, number>();
  for (const entry of able) {
    const network = networkOf(entry.farmer.contact.addresses[0]!);
    entry.rank = perNetwork.get(network) ?? 0;
    perNetwork.set(network, entry.rank + 1);
  }
  return able
    .sort((a, b) => a.farmer.failures - b.farmer.failures || a.rank - b.rank)
    .map(({ farmer }) => farmer);
}
