import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type KademliaNode, type Plugin } from '@granary/kad';
import { DIAL_BACK, DialBack, OBSERVED_ADDRESS } from './dial-back.js';
import { type FakeHost, FakeInternet, fakeNode } from './fake-internet.test-support.js';
import { Reachability, type ReachabilityOptions } from './reachability.js';

let internet: FakeInternet;
const nodes: KademliaNode[] = [];
const SEED = 'https://198.18.0.1:4600';

beforeEach(() => {
  internet = new FakeInternet();
});
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop();
});

/** Helpers, each in a network of its own. */
async function helpers(count: number, plugin: () => Plugin = () => new DialBack()) {
  for (let i = 0; i < count; i += 1) {
    const ip = `198.18.${nodes.length}.1`;
    const host = { ip, port: 4600, open: [4600] };
    const announce = [`https://${ip}:4600`];
    const node = fakeNode(internet, host, [plugin()], { announce });
    await node.start();
    if (nodes.length > 0) await node.join([SEED]);
    nodes.push(node);
  }
}

/** A helper that says what it is told to. */
function liar(says: { address?: string; reached?: unknown }): Plugin {
  return {
    name: 'liar',
    install: () => ({
      methods: {
        [OBSERVED_ADDRESS]: async (_params, { remote }) => ({
          address: says.address ?? remote.address,
        }),
        [DIAL_BACK]: async () => ({ reached: says.reached }),
      },
    }),
  };
}

async function start(host: FakeHost, options: Partial<ReachabilityOptions> = {}) {
  const reachability = new Reachability({
    port: () => host.port,
    bootstrap: [SEED],
    look: () => Promise.resolve('the same'),
    ...options,
  });
  const node = fakeNode(internet, host, [reachability]);
  await node.start();
  nodes.push(node);
  return { node, reachability };
}

describe('reachability', () => {
  it('announces nothing before others got through, and then what they reached', async () => {
    await helpers(4);
    const { node, reachability } = await start({ ip: '203.0.113.1', port: 4600, open: [4600] });
    expect(node.contact.addresses).toEqual([]);
    await node.join([SEED]);
    await reachability.check();
    expect(reachability.status).toMatchObject({
      state: 'public',
      announced: ['https://203.0.113.1:4600'],
      observed: ['203.0.113.1'],
      checks: [{ reached: 4, failed: 0, verdict: 'reachable' }],
    });
    expect(node.contact.addresses).toEqual(['https://203.0.113.1:4600']);
  });

  it('announces nothing that nobody could reach', async () => {
    await helpers(4);
    const { node, reachability } = await start({ ip: '203.0.113.1', port: 4600, open: null });
    await node.join([SEED]);
    await reachability.check();
    expect(reachability.status).toMatchObject({ state: 'private', announced: [] });
    expect(node.contact.addresses).toEqual([]);
  });

  it('does not know while nobody is there', async () => {
    const { node, reachability } = await start({ ip: '203.0.113.1', port: 4600, open: [4600] });
    await reachability.check();
    expect(reachability.status).toMatchObject({ state: 'unknown', announced: [], checks: [] });
    expect(node.contact.addresses).toEqual([]);
  });

  it('asks the bootstrap nodes while it knows no others, and joins when it can be reached', async () => {
    await helpers(1);
    const { node, reachability } = await start({ ip: '203.0.113.2', port: 4600, open: [4600] });
    expect(node.routingTable.size).toBe(0);
    await reachability.check();
    expect(reachability.status.state).toBe('public');
    const seed = nodes[0]!;
    const until = Date.now() + 5_000;
    while (seed.routingTable.size === 0 && Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(seed.routingTable.get(node.identity.nodeId)).toBeDefined();
  });

  it('believes neither a few that say yes nor a few that say no', async () => {
    await helpers(1);
    await helpers(2, () => liar({ reached: true }));
    await helpers(2);
    const hidden = await start({ ip: '203.0.113.1', port: 4600, open: null });
    await hidden.node.join([SEED]);
    await hidden.reachability.check();
    expect(hidden.reachability.status.checks).toMatchObject([{ reached: 2, failed: 3 }]);
    expect(hidden.reachability.status.announced).toEqual([]);

    await helpers(2, () => liar({ reached: false }));
    const open = await start({ ip: '203.0.113.2', port: 4600, open: [4600] });
    await open.node.join([SEED]);
    await open.reachability.check();
    expect(open.reachability.status.announced).toEqual(['https://203.0.113.2:4600']);
  });

  it('does not take an address that one helper makes up', async () => {
    await helpers(3);
    await helpers(1, () => liar({ address: '6.6.6.6', reached: true }));
    await helpers(1, () => liar({ address: '127.0.0.1', reached: 'yes' }));
    const { node, reachability } = await start({ ip: '203.0.113.1', port: 4600, open: [4600] });
    await node.join([SEED]);
    await reachability.check();
    expect(reachability.status.observed).toEqual(['203.0.113.1']);
    expect(reachability.status.announced).toEqual(['https://203.0.113.1:4600']);
    expect(internet.dialled.filter((one) => one.startsWith('6.6.6.6'))).toEqual([]);
  });

  it('takes an address back only when a majority has failed twice', async () => {
    await helpers(3);
    const host: FakeHost = { ip: '203.0.113.1', port: 4600, open: [4600] };
    const { node, reachability } = await start(host);
    await node.join([SEED]);
    await reachability.check();
    host.open = null;
    await reachability.check();
    expect(reachability.status.announced).toEqual(['https://203.0.113.1:4600']);
    await reachability.check();
    expect(reachability.status).toMatchObject({ state: 'private', announced: [] });
    host.open = [4600];
    await reachability.check();
    expect(reachability.status.state).toBe('public');
  });

  it('keeps what was confirmed when nobody can say any more', async () => {
    await helpers(3);
    const { node, reachability } = await start({ ip: '203.0.113.1', port: 4600, open: [4600] });
    await node.join([SEED]);
    await reachability.check();
    const gone = nodes.filter((one) => one !== node);
    for (const one of gone) await one.stop();
    await reachability.check();
    expect(reachability.status.announced).toEqual(['https://203.0.113.1:4600']);
  });

  it('moves to a new address when the network has changed', async () => {
    await helpers(3);
    let network = 'home';
    const host: FakeHost = { ip: '203.0.113.1', port: 4600, open: [4600] };
    const { node, reachability } = await start(host, {
      watchMs: 20,
      look: () => Promise.resolve(network),
    });
    await node.join([SEED]);
    await reachability.check();
    const moved = new Promise<void>((resolve) => {
      reachability.onChange(({ announced }) => {
        if (announced[0] === 'https://203.0.113.77:4600') resolve();
      });
    });
    host.ip = '203.0.113.77';
    network = 'another';
    await moved;
    expect(node.contact.addresses).toEqual(['https://203.0.113.77:4600']);
  });

  it('announces what the user wrote at once, whatever comes out, and tells what did', async () => {
    await helpers(3);
    const { node, reachability } = await start(
      { ip: '203.0.113.1', port: 4600, open: null },
      { announce: ['https://203.0.113.1:4600'] },
    );
    expect(node.contact.addresses).toEqual(['https://203.0.113.1:4600']);
    await node.join([SEED]);
    await reachability.check();
    expect(reachability.status).toMatchObject({
      state: 'private',
      announced: ['https://203.0.113.1:4600'],
      checks: [{ reached: 0, failed: 3 }],
    });
  });

  it('only looks when it is told to', async () => {
    await helpers(3);
    const host = { ip: '203.0.113.1', port: 4600, open: [4600] };
    const { node, reachability } = await start(host, { announces: false });
    await node.join([SEED]);
    await reachability.check();
    expect(reachability.status.state).toBe('public');
    expect(node.contact.addresses).toEqual([]);
  });
});
