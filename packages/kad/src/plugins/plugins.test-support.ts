import type { KademliaNode } from '../kademlia-node.js';
import { Simulation, type SimulatedNodeOptions } from '../simulator/simulation.js';

/** A simulated network of some nodes that have joined. For tests. */
export async function grown(
  seed: string,
  count: number,
  options: (i: number) => SimulatedNodeOptions = () => ({}),
): Promise<{ simulation: Simulation; nodes: KademliaNode[] }> {
  const simulation = new Simulation({ seed });
  const nodes: KademliaNode[] = [];
  for (let i = 0; i < count; i += 1) {
    const node = simulation.node(options(i));
    await simulation.grow([node], nodes, 1);
  }
  return { simulation, nodes };
}

/** Whether a node has another in its routing table. */
export function knows(node: KademliaNode, other: KademliaNode): boolean {
  return node.routingTable.get(other.identity.nodeId) !== undefined;
}
