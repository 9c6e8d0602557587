import type { Contact } from '../contact.js';
import type { KademliaNode } from '../kademlia-node.js';
import { Census } from './census.js';
import type { SeededRandom } from './seeded-random.js';

const HOUR = 3600_000;

/**
 * Fill the routing tables of nodes that run with what nodes have that have been there for long: k
 * random contacts in each k-bucket where there are so many, and the siblings; last heard of within
 * `staleMs`, since whoever was not is pinged as soon as others ask. A real join costs some hundred requests a node; this costs none.
 *
 * @param of - who gets a table
 * @param all - who may be in one
 */
export function warmStart(
  of: readonly KademliaNode[],
  all: readonly Pick<KademliaNode, 'contact'>[],
  random: SeededRandom,
  now: number,
): void {
  const contacts = new Map<string, Contact>();
  for (const { contact } of all) {
    if (contact.addresses.length > 0) contacts.set(contact.nodeId, contact);
  }
  const census = new Census(contacts.keys());
  for (const { identity, options, routingTable } of of) {
    const { nodeId } = identity;
    const chosen = new Set(census.closest(nodeId, options.siblings + 1));
    for (const { size, at } of census.buckets(nodeId)) {
      if (size <= options.k) {
        for (let i = 0; i < size; i += 1) chosen.add(at(i));
      } else {
        const picked = new Set<number>();
        while (picked.size < options.k) picked.add(random.below(size));
        for (const index of picked) chosen.add(at(index));
      }
    }
    const age = Math.min(options.staleMs, HOUR);
    const times = Array.from(chosen, () => now - random.next() * age).sort((a, b) => a - b);
    random
      .shuffle([...chosen])
      .forEach((id, i) => routingTable.seen(contacts.get(id)!, Math.floor(times[i]!)));
  }
}
