import { describe, expect, it } from 'vitest';
import { compareDistance } from '../node-id.js';
import type { KademliaNode } from '../kademlia-node.js';
import { Simulation } from './simulation.js';
import { warmStart } from './warm-start.js';

describe('a warm start', () => {
  it('lets lookups find the true closest at once, by the siblings and full k-buckets', async () => {
    const simulation = new Simulation({ seed: 'warm' });
    const nodes: KademliaNode[] = Array.from({ length: 400 }, () => simulation.node());
    for (const node of nodes) await node.start();
    warmStart(nodes, nodes, simulation.random, simulation.clock.now());
    expect(simulation.network.requests).toBe(0);
    const ids = nodes.map(({ identity }) => identity.nodeId);
    for (const node of nodes.slice(0, 20)) {
      const own = node.identity.nodeId;
      const others = ids.filter((id) => id !== own).sort((a, b) => compareDistance(a, b, own));
      expect(node.routingTable.siblings.map(({ contact }) => contact.nodeId)).toEqual(
        others.slice(0, node.options.siblings),
      );
      // Half of all nodes are in the range of the farthest k-bucket, and k of them in it.
      expect(node.routingTable.bucket(255)!.contacts).toHaveLength(node.options.k);
      const target = simulation.node().identity.nodeId;
      const { contacts } = await simulation.clock.settle(node.lookup(target));
      const closest = [...others].sort((a, b) => compareDistance(a, b, target)).slice(0, 20);
      expect(contacts.map(({ nodeId }) => nodeId)).toEqual(closest);
    }
  });
});
