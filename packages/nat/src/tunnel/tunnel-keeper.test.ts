import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import { TunnelDirectory } from './tunnel-directory.js';
import { TunnelKeeper } from './tunnel-keeper.js';
import type { TunnelLimits } from './tunnel-limits.js';
import type { TunnelServer } from './tunnel-server.js';
import { type TestNode, startNode, tunnelAt } from './tunnel.test-support.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A network of nodes, of which the first few are tunnels. */
async function network(tunnels: number, others: number, limits: Partial<TunnelLimits> = {}) {
  const nodes: TestNode[] = [];
  const servers: TunnelServer[] = [];
  for (let i = 0; i < tunnels + others; i += 1) {
    const directory = new TunnelDirectory({ terms: () => servers[i]?.terms });
    const node = await startNode({ plugins: [directory] });
    cleanups.push(() => node.node.stop());
    if (i < tunnels) {
      const server = tunnelAt(node, { limits: { clientsPerAddress: 8, ...limits } });
      servers.push(server);
      cleanups.push(() => server.close());
    }
    if (i > 0) await node.node.join([nodes[0]!.address]);
    nodes.push(node);
  }
  return { nodes, servers };
}

/** A node without an address that keeps tunnels. */
async function keeping(by: TestNode, options: { count?: number; checkMs?: number } = {}) {
  const directory = new TunnelDirectory();
  const client = await startNode({ announce: [], plugins: [directory] });
  cleanups.push(() => client.node.stop());
  await client.node.join([by.address]);
  const keeper = new TunnelKeeper({
    nodeId: client.identity.nodeId,
    credentials: client.credentials,
    target: { host: '127.0.0.1', port: client.port },
    find: (...args) => directory.find(...args),
    onChange: (addresses) => client.node.announce(addresses),
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    ...options,
  });
  cleanups.push(() => keeper.stop());
  keeper.start();
  return { client, keeper, directory };
}

describe('a node that keeps tunnels', () => {
  it('finds two through the DHT, announces them, and can be asked by everybody', async () => {
    const { nodes } = await network(3, 3);
    const { client, keeper } = await keeping(nodes[5]!);
    await expect.poll(() => keeper.tunnels.length, { timeout: 20_000 }).toBe(2);
    const { addresses } = client.node.contact;
    expect(addresses).toEqual(keeper.tunnels.map(({ address }) => address));
    for (const address of addresses) {
      expect((await nodes[4]!.node.resolve(address)).nodeId).toBe(client.identity.nodeId);
    }
    const found = await nodes[3]!.node.lookup(client.identity.nodeId);
    expect(found.contacts[0]?.addresses).toEqual(addresses);
  });

  it('replaces a tunnel that stops, and one that dies without a word', async () => {
    const { nodes, servers } = await network(4, 0);
    const { keeper } = await keeping(nodes[3]!);
    await expect.poll(() => keeper.tunnels.length, { timeout: 20_000 }).toBe(2);
    const [first, second] = keeper.tunnels;
    const at = (nodeId: string) => nodes.findIndex(({ identity }) => identity.nodeId === nodeId);
    await servers[at(first!.nodeId)]!.close();
    await expect
      .poll(() => keeper.tunnels.map(({ nodeId }) => nodeId), { timeout: 20_000 })
      .toSatisfy((ids: string[]) => ids.length === 2 && !ids.includes(first!.nodeId));
    // The second node is gone, with its tunnel and all.
    await nodes[at(second!.nodeId)]!.node.stop();
    await expect
      .poll(() => keeper.tunnels.map(({ nodeId }) => nodeId), { timeout: 20_000 })
      .toSatisfy((ids: string[]) => ids.length === 2 && !ids.includes(second!.nodeId));
  });

  it('passes over tunnels that are full, and takes what there is', async () => {
    const { nodes, servers } = await network(2, 0, { clients: 1 });
    const one = await keeping(nodes[0]!, { count: 1 });
    await expect.poll(() => one.keeper.tunnels.length, { timeout: 20_000 }).toBe(1);
    const two = await keeping(nodes[0]!, { count: 2 });
    await expect.poll(() => two.keeper.tunnels.length, { timeout: 20_000 }).toBe(1);
    expect(two.keeper.tunnels[0]!.nodeId).not.toBe(one.keeper.tunnels[0]!.nodeId);
    expect(servers.map(({ terms }) => terms.free)).toEqual([0, 0]);
    one.keeper.stop();
    expect(one.client.node.contact.addresses).toEqual([]);
    await expect.poll(() => two.keeper.tunnels.length, { timeout: 20_000 }).toBe(2);
  });

  it('is told of tunnels by nodes that are none', async () => {
    const { nodes, servers } = await network(1, 1);
    const { directory } = await keeping(nodes[1]!);
    const { signal } = new AbortController();
    const offers = await directory.find(1, new Set(), signal);
    expect(offers.map(({ contact }) => contact.nodeId)).toEqual([nodes[0]!.identity.nodeId]);
    expect(offers[0]!.terms).toMatchObject({ version: 1, price: '0' });
    expect(servers[0]!.terms.free).toBeGreaterThan(0);
    // What it costs more than we pay, we don't take.
    expect(await directory.find(1, new Set([nodes[0]!.identity.nodeId]), signal)).toEqual([]);
  });
});
