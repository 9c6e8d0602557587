import { describe, expect, it } from 'vitest';
import type { KademliaNode } from '../kademlia-node.js';
import { Churn } from './churn.js';
import { weibullSessions } from './session-lengths.js';
import { Simulation } from './simulation.js';

const MINUTE = 60_000;

async function churned(graceful: number, bare = false) {
  const simulation = new Simulation({ seed: 'churn' });
  const make = () => simulation.node({ bare });
  const nodes: KademliaNode[] = [];
  await simulation.grow(
    Array.from({ length: 60 }, () => make()),
    nodes,
  );
  const there = new Set(nodes);
  const options = { sessions: weibullSessions(10 * MINUTE), make, graceful };
  const churn = new Churn(simulation, nodes, options, (node, is) => {
    if (is) there.add(node);
    else there.delete(node);
  });
  churn.start();
  await simulation.clock.run(20 * MINUTE);
  return { simulation, nodes, there, churn };
}

describe('churn', () => {
  it('keeps the population while its nodes change', async () => {
    const { nodes, there, churn } = await churned(0);
    expect(churn.gone).toBeGreaterThan(20);
    expect(new Set(nodes)).toEqual(there);
    // Those who are on their way in are not counted.
    expect(nodes.length).toBeGreaterThan(50);
    expect(nodes.length).toBeLessThanOrEqual(60);
    expect(nodes.every((node) => node.running)).toBe(true);
  });

  it('lets everybody stay once it is stopped', async () => {
    const { simulation, nodes, churn } = await churned(0);
    churn.stop();
    const { gone } = churn;
    await simulation.clock.run(60 * MINUTE);
    expect(churn.gone).toBe(gone);
    expect(nodes.every((node) => node.running)).toBe(true);
  });

  it('lets nodes say goodbye', async () => {
    const [crash, goodbye] = [await churned(0), await churned(1)];
    expect(crash.simulation.network.byMethod.get('LEAVE')).toBeUndefined();
    expect(goodbye.simulation.network.byMethod.get('LEAVE')).toBeGreaterThan(100);
  });
});
