import { describe, expect, it } from 'vitest';
import { compareDistance } from '../node-id.js';
import type { KademliaNode } from '../kademlia-node.js';
import { Simulation } from './simulation.js';

async function grown(seed: string, count: number) {
  const simulation = new Simulation({ seed });
  const nodes: KademliaNode[] = [];
  await simulation.grow(
    Array.from({ length: count }, () => simulation.node()),
    nodes,
  );
  return { simulation, nodes };
}

describe('a simulation', () => {
  it('lets a network grow in which lookups find the true closest nodes', async () => {
    const { simulation, nodes } = await grown('closest', 200);
    for (let i = 0; i < 10; i += 1) {
      const target = simulation.node().identity.nodeId;
      const asker = simulation.random.pick(nodes);
      const { contacts } = await simulation.clock.settle(asker.lookup(target));
      const best = nodes
        .map(({ identity }) => identity.nodeId)
        .filter((id) => id !== asker.identity.nodeId)
        .sort((a, b) => compareDistance(a, b, target));
      expect(contacts.map(({ nodeId }) => nodeId)).toEqual(best.slice(0, 20));
    }
  });

  it('is the same for the same seed, and another for another', async () => {
    const run = async (seed: string) => {
      const { simulation, nodes } = await grown(seed, 60);
      const { events } = simulation.clock;
      return [simulation.network.requests, events, nodes.map(({ contact }) => contact.nodeId)];
    };
    const first = await run('a');
    expect(await run('a')).toEqual(first);
    expect(await run('b')).not.toEqual(first);
  });

  it('keeps values and finds them, and lets nodes die', async () => {
    const { simulation, nodes } = await grown('values', 100);
    const value = new TextEncoder().encode('kept');
    const { key, stored } = await simulation.clock.settle(nodes[3]!.put(value));
    expect(stored).toBe(20);
    await Promise.all(nodes.slice(0, 50).map((node) => node.stop()));
    const found = await simulation.clock.settle(nodes[80]!.get(key));
    expect(new TextDecoder().decode(found)).toBe('kept');
  });
});
