import { describe, expect, it } from 'vitest';
import { type KademliaNode } from '../kademlia-node.js';
import { Simulation, warmStart } from '../simulator/index.js';
import { makePublication } from './publication.js';
import { Quasar, type QuasarOptions } from './quasar.js';
import { hashTopic } from './topic.js';

async function network(seed: string, count: number, options: Partial<QuasarOptions> = {}) {
  const simulation = new Simulation({ seed });
  const plugins = Array.from({ length: count }, () => new Quasar(options));
  const nodes: KademliaNode[] = plugins.map((plugin) => simulation.node({ plugins: [plugin] }));
  for (const node of nodes) await node.start();
  warmStart(nodes, nodes, simulation.random, simulation.clock.now());
  const exchange = async () => {
    for (let level = 0; level < 4; level += 1) {
      await simulation.clock.settle(Promise.all(plugins.map((plugin) => plugin.exchange())));
    }
  };
  return { simulation, plugins, nodes, exchange };
}

describe('Quasar as published', () => {
  it('leads publications to most members of a group, once each, without a rendezvous', async () => {
    const { simulation, plugins, exchange } = await network('quasar', 150);
    const got = new Map<Quasar, string[]>();
    for (const plugin of plugins.slice(0, 30)) {
      got.set(plugin, []);
      plugin.subscribe('g', (payload, { id }) => {
        expect([...payload]).toEqual([5]);
        got.get(plugin)!.push(id);
      });
    }
    await exchange();
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      ids.push(plugins[i * 3]!.publish('g', new Uint8Array([5])).id);
      await simulation.clock.run(5_000);
    }
    let deliveries = 0;
    for (const list of got.values()) {
      expect(new Set(list).size).toBe(list.length);
      deliveries += list.length;
    }
    // 29 others for each publication: it is probabilistic, and most are found.
    expect(deliveries).toBeGreaterThan(0.9 * 5 * 29);
    expect(deliveries).toBeLessThanOrEqual(5 * 29);
  });

  it('follows the gradient to a lone member, and ends when the steps are used up', async () => {
    const { simulation, plugins, exchange } = await network('lone', 60, { ttl: 6 });
    const got: string[] = [];
    plugins[59]!.subscribe('g', (_payload, { id }) => got.push(id));
    await exchange();
    const { id } = plugins[0]!.publish('g', new Uint8Array([1]));
    await simulation.clock.run(5_000);
    expect(got).toEqual([id]);
    // Nobody follows this: each of the 8 walks ends by itself.
    const before = simulation.network.byMethod.get('QUASAR_PUBLISH') ?? 0;
    plugins[0]!.publish('void', new Uint8Array([1]));
    await simulation.clock.run(10_000);
    const walked = (simulation.network.byMethod.get('QUASAR_PUBLISH') ?? 0) - before;
    expect(walked).toBeGreaterThan(8);
    expect(walked).toBeLessThanOrEqual(8 * 7);
  });

  it('refuses what is malformed, too old, or wrongly signed', async () => {
    const { simulation, nodes } = await network('bad', 3);
    const [a, b] = nodes as [KademliaNode, KademliaNode];
    const random = simulation.random.bytes;
    const make = (time: number) =>
      makePublication(a.identity, hashTopic('g'), new Uint8Array(1), { time, random }).wire;
    const send = (params: object) =>
      simulation.clock.settle(
        a.call(b.contact, 'QUASAR_PUBLISH', { visited: [], ttl: 3, ...params }),
      );
    const publication = make(simulation.clock.now());
    await expect(send({ publication })).resolves.toEqual({});
    await expect(send({ publication, ttl: 99 })).rejects.toThrow(/ttl/);
    await expect(send({ publication, visited: ['x'] })).rejects.toThrow(/visited/);
    await expect(send({ publication: make(0) })).rejects.toThrow(/too old/);
    const forged = { ...publication, signature: '1'.repeat(128) };
    await expect(send({ publication: forged })).rejects.toThrow(/signature/);
  });
});
