import { describe, expect, it } from 'vitest';
import { grown, knows } from './plugins.test-support.js';

describe('a node that leaves in good order', () => {
  it("is in nobody's table any more, though nobody had to wait for it", async () => {
    const { simulation, nodes } = await grown('leave', 40);
    const leaver = nodes[7]!;
    const others = nodes.filter((node) => node !== leaver);
    expect(others.some((node) => knows(node, leaver))).toBe(true);
    const began = simulation.clock.now();
    await simulation.clock.settle(leaver.leave());
    expect(simulation.clock.now() - began).toBeLessThan(5_000);
    await leaver.stop();
    // Only those that it knew could be told; with 40 nodes that is all of them.
    expect(others.filter((node) => knows(node, leaver))).toEqual([]);
  });

  it('hands its values to who is to have them', async () => {
    const { simulation, nodes } = await grown('heirs', 60, () => ({ kademlia: { k: 4 } }));
    const { key } = await simulation.clock.settle(nodes[0]!.put(new Uint8Array([1, 2, 3])));
    // One after the other, the holders leave, and nobody republishes in this short a time.
    for (let round = 0; round < 12; round += 1) {
      const { contacts } = await simulation.clock.settle(nodes[0]!.lookup(key));
      const holder = nodes.find(({ identity }) => identity.nodeId === contacts[0]!.nodeId)!;
      if (holder === nodes[1]) continue;
      await simulation.clock.settle(holder.leave());
      await holder.stop();
    }
    expect(await simulation.clock.settle(nodes[1]!.get(key))).toEqual(new Uint8Array([1, 2, 3]));
  });

  it('is taken back when it returns', async () => {
    const { simulation, nodes } = await grown('return', 10);
    const [a, b] = [nodes[2]!, nodes[5]!];
    await simulation.clock.settle(b.leave());
    expect(knows(a, b)).toBe(false);
    await simulation.clock.settle(b.ping(a.contact));
    await simulation.clock.run(1000);
    expect(knows(a, b)).toBe(false);
    await simulation.clock.settle(a.ping(b.contact));
    expect(knows(a, b)).toBe(true);
  });

  it('gives up its goodbyes when they take too long', async () => {
    const { simulation, nodes } = await grown('slow', 30);
    for (const node of nodes.slice(1)) await node.stop();
    const began = simulation.clock.now();
    await simulation.clock.settle(nodes[0]!.leave({ timeoutMs: 700 }));
    expect(simulation.clock.now() - began).toBeLessThanOrEqual(701);
  });
});

describe('somebody else', () => {
  it("can't say goodbye for a node", async () => {
    const { simulation, nodes } = await grown('forged', 5);
    const [a, b, c] = [nodes[0]!, nodes[1]!, nodes[2]!];
    await simulation.clock.settle(
      c.call(a.contact, 'LEAVE', { nodeId: b.identity.nodeId, sender: b.contact }),
    );
    expect(knows(a, b)).toBe(true);
    expect(knows(a, c)).toBe(false);
  });
});
