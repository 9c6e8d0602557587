import { describe, expect, it } from 'vitest';
import { grown, knows } from './plugins.test-support.js';

const MINUTE = 60_000;

describe('a down-list', () => {
  it('makes those that named a dead contact find out for themselves', async () => {
    const { simulation, nodes } = await grown('down', 60, () => ({ kademlia: { k: 5 } }));
    const dead = nodes[11]!;
    await dead.stop();
    await simulation.clock.run(MINUTE);
    const naming = nodes.filter((node) => node !== dead && knows(node, dead));
    expect(naming.length).toBeGreaterThan(3);
    // Lookups for it, from those that don't know it, go by those that do.
    for (const node of nodes) {
      if (node === dead || knows(node, dead)) continue;
      await simulation.clock.settle(node.lookup(dead.identity.nodeId));
    }
    await simulation.clock.run(MINUTE);
    const still = nodes.filter((node) => node !== dead && knows(node, dead));
    expect(still.length).toBeLessThan(naming.length / 2);
  });

  it('takes out nobody that lives, whoever lies', async () => {
    const { simulation, nodes } = await grown('slander', 12);
    const [a, liar] = [nodes[0]!, nodes[1]!];
    const known = a.contacts().map(({ nodeId }) => nodeId);
    await simulation.clock.run(MINUTE);
    await simulation.clock.settle(liar.call(a.contact, 'DOWN', { nodes: known }));
    await simulation.clock.run(MINUTE);
    expect(
      a
        .contacts()
        .map(({ nodeId }) => nodeId)
        .sort(),
    ).toEqual([...known].sort());
  });

  it('costs its receiver a bounded number of pings', async () => {
    const { simulation, nodes } = await grown('pings', 60, () => ({ kademlia: { k: 60 } }));
    const [a, greedy] = [nodes[0]!, nodes[1]!];
    const known = a.contacts().map(({ nodeId }) => nodeId);
    expect(known.length).toBeGreaterThan(50);
    await simulation.clock.run(MINUTE / 2);
    const before = simulation.network.byMethod.get('PING') ?? 0;
    for (let at = 0; at < known.length; at += 20) {
      await simulation.clock.settle(
        greedy.call(a.contact, 'DOWN', { nodes: known.slice(at, at + 20) }),
      );
    }
    expect((simulation.network.byMethod.get('PING') ?? 0) - before).toBe(40);
  });

  it('of a wrong form is refused', async () => {
    const { simulation, nodes } = await grown('form', 2);
    for (const params of [null, {}, { nodes: 'x' }, { nodes: ['x'] }, { nodes: new Array(21) }]) {
      await expect(
        simulation.clock.settle(nodes[0]!.call(nodes[1]!.contact, 'DOWN', params)),
      ).rejects.toMatchObject({ remoteCode: 'KAD_BAD_PARAMETERS' });
    }
  });
});
