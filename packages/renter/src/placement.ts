import { canDialTransfer } from '#renter/transfer-dial';
import { hiddenNetworkOf, parseAddress } from '@granary/kad';
import type { FarmerRecord } from './records.js';
import { type ReputationSettings, placementWeight } from './reputation.js';

/** What a shard needs of a farmer. */
export interface ShardNeeds {
  readonly shardSize: number;
  readonly durationMs: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /**
   * Whether no two shards of a segment may lie in one network or with one operator (`require`), or
   * only should not (`prefer`).
   */
  readonly diversity: 'require' | 'prefer';
  /** Farmers that hold shards of the segment already: they and their groups are taken. */
  readonly holders?: readonly FarmerRecord[];
  /** The most that is paid for a GB-month and a GB of egress, in the farmer's unit; no limit when not given. */
  readonly maxStoragePrice?: bigint;
  readonly maxEgressPrice?: bigint;
  /** Whether a farmer can be paid. */
  readonly canUse?: (farmer: FarmerRecord) => boolean;
  readonly reputation?: ReputationSettings;
}

/**
 * The network that an address is in: the first 24 bits of an IPv4 address, the first 48 of an IPv6
 * address, or a host name's last two labels. Farmers of one network tend to fail together. Tor and I2P
 * are one network each: which of their addresses lie on one machine nobody can tell.
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
  return hiddenNetworkOf(host) ?? host.split('.').slice(-2).join('.');
}

function isLoopback(address: string): boolean {
  const { host } = parseAddress(address);
  return /^127\.\d+\.\d+\.\d+$/.test(host) || host === '::1' || host === 'localhost';
}

/** What a farmer shares with those that fail when it fails: its networks, its operator. */
export function groupsOf({ contact, terms }: Pick<FarmerRecord, 'contact' | 'terms'>): string[] {
  // Loopback is where networks are tried out: its addresses say nothing of what fails together.
  const networks = contact.addresses
    .filter((address) => !isLoopback(address))
    .map((address) => `network ${networkOf(address)}`);
  const operator = terms.operator === null ? [] : [`operator ${terms.operator}`];
  return [...new Set([...networks, ...operator])];
}

/** What follows from a farmer's addresses, of which there may be very many to read for each segment. */
interface Place {
  readonly reachable: boolean;
  readonly groups: readonly string[];
}

/** By record: a farmer of which something else is known has another record. */
const places = new WeakMap<FarmerRecord, Place>();

function placeOf(farmer: FarmerRecord): Place {
  let place = places.get(farmer);
  if (place === undefined) {
    const reachable = farmer.contact.addresses.some(canDialTransfer);
    place = { reachable, groups: groupsOf(farmer) };
    places.set(farmer, place);
  }
  return place;
}

/** Whether a farmer's terms and standing let it take a shard at all. */
export function canTake(farmer: FarmerRecord, needs: ShardNeeds): boolean {
  return weightOf(farmer, needs) > 0;
}

/** How much a farmer is to be preferred to others by its standing; 0 when it can't take the shard. */
function weightOf(farmer: FarmerRecord, needs: ShardNeeds): number {
  const { terms, reputation, latencyMs } = farmer;
  const able =
    !terms.leaving &&
    terms.freeBytes >= needs.shardSize &&
    terms.maxShardSize >= needs.shardSize &&
    terms.maxDurationMs >= needs.durationMs &&
    (needs.maxStoragePrice === undefined || BigInt(terms.storagePrice) <= needs.maxStoragePrice) &&
    (needs.maxEgressPrice === undefined || BigInt(terms.egressPrice) <= needs.maxEgressPrice) &&
    (needs.canUse?.(farmer) ?? true) &&
    placeOf(farmer).reachable;
  return able ? placementWeight(reputation, latencyMs, needs.now, needs.reputation) : 0;
}

/**
 * Farmers for the shards of one segment, best first, each at most once: those that can take a
 * shard; those that did not fail lately before those that did; no network and no operator twice
 * (or, when that is only preferred, different ones first). Among those the order is random,
 * weighted by reputation, latency and free space (Efraimidis and Spirakis 2006), so that load
 * spreads.
 *
 * @param fraction - random numbers in [0, 1)
 */
export function choosePlacement(
  farmers: readonly FarmerRecord[],
  needs: ShardNeeds,
  fraction: () => number,
): FarmerRecord[] {
  const holders = needs.holders ?? [];
  const holding = new Set(holders.map(({ contact }) => contact.nodeId));
  const perGroup = new Map<string, number>();
  const count = (farmer: FarmerRecord) => {
    let rank = 0;
    for (const group of placeOf(farmer).groups) {
      const before = perGroup.get(group) ?? 0;
      if (before > rank) rank = before;
      perGroup.set(group, before + 1);
    }
    return rank;
  };
  for (const holder of holders) count(holder);
  const able: { farmer: FarmerRecord; key: number; rank: number }[] = [];
  for (const farmer of farmers) {
    if (holding.has(farmer.contact.nodeId)) continue;
    const standing = weightOf(farmer, needs);
    if (standing === 0) continue;
    const room = Math.min(1, farmer.terms.freeBytes / (64 * Math.max(1, needs.shardSize)));
    const weight = standing * (0.1 + 0.9 * room);
    able.push({ farmer, key: Math.log(1 - fraction()) / weight, rank: 0 });
  }
  able.sort((a, b) => a.farmer.failures - b.farmer.failures || b.key - a.key);
  for (const entry of able) entry.rank = count(entry.farmer);
  return able
    .filter(({ rank }) => needs.diversity === 'prefer' || rank === 0)
    .sort((a, b) => a.farmer.failures - b.farmer.failures || a.rank - b.rank)
    .map(({ farmer }) => farmer);
}
