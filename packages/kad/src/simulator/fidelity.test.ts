import { describe, expect, it } from 'vitest';
import { Identity } from '../identity.js';
import { KademliaNode } from '../kademlia-node.js';
import { MemoryNetwork, MemoryTransport } from '../memory-transport.js';
import { SignedRpc } from '../rpc.js';
import type { RpcChannel } from '../rpc-channel.js';
import { silentLogger } from '../logger.js';
import { defaultKademliaOptions } from '../kademlia-options.js';
import { MemoryValueStore } from '../value-store.js';
import { SeededRandom } from './seeded-random.js';
import { SimulatedChannel } from './simulated-channel.js';
import { SimulatedNetwork } from './simulated-network.js';
import { VirtualClock } from './virtual-clock.js';

const COUNT = 50;
const LOOKUPS = 20;
/** Milliseconds one way. */
const LATENCY = 20;
const address = (index: number) => `https://20.0.${index}.1:1`;

/** Join, look up, put and get with nodes on some channel: everything that can be seen of it. */
async function run(
  clock: VirtualClock,
  channelOf: (identity: Identity, index: number) => RpcChannel,
) {
  const keys = new SeededRandom('identities');
  const nodes: KademliaNode[] = [];
  for (let index = 0; index < COUNT; index += 1) {
    const identity = Identity.generate(keys.bytes);
    const node = new KademliaNode({
      identity,
      channel: channelOf(identity, index),
      storage: new MemoryValueStore(),
      clock,
      random: new SeededRandom(`node ${index}`).bytes,
    });
    await node.start();
    if (index > 0)
      await clock.settle(node.join([nodes[index % nodes.length]!.contact.addresses[0]!]));
    // What the join set off in the background is over.
    await clock.run(1000);
    nodes.push(node);
  }
  const targets = new SeededRandom('targets');
  const lookups = [];
  for (let i = 0; i < LOOKUPS; i += 1) {
    const target = Buffer.from(targets.bytes(32)).toString('hex');
    const found = await clock.settle(nodes[i]!.lookup(target));
    await clock.run(1000);
    lookups.push([found.hops, found.messages, found.contacts.map(({ nodeId }) => nodeId)]);
  }
  const { key, stored } = await clock.settle(nodes[5]!.put(targets.bytes(100)));
  const value = await clock.settle(nodes[30]!.get(key));
  const tables = nodes.map((node) =>
    node
      .contacts()
      .map(({ nodeId }) => nodeId)
      .sort(),
  );
  const kept = [stored, Buffer.from(value).toString('hex')];
  await Promise.all(nodes.map((node) => node.stop()));
  return { lookups, tables, kept };
}

describe('the simulated channel', () => {
  it('leads to the same hops, messages and tables as signed messages over a transport', async () => {
    const simulatedClock = new VirtualClock();
    const network = new SimulatedNetwork(simulatedClock, {
      latency: () => LATENCY,
      loss: 0,
      chance: () => 1,
    });
    const { timeoutMs, maxConcurrent } = defaultKademliaOptions;
    const simulated = await run(simulatedClock, ({ nodeId }, index) => {
      const options = { reachable: true, announces: true, timeoutMs };
      return new SimulatedChannel(network, nodeId, `20.0.${index}.1`, options);
    });

    const clock = new VirtualClock();
    const wait = () => new Promise<void>((resolve) => clock.setTimeout(() => resolve(), LATENCY));
    /** A memory network delays what goes out; here the answer takes as long to come back. */
    class SlowTransport extends MemoryTransport {
      override async request(...call: Parameters<MemoryTransport['request']>) {
        const answer = await super.request(...call);
        await wait();
        return answer;
      }
    }
    const memory = new MemoryNetwork(wait, clock);
    const signed = await run(clock, (identity, index) => {
      const nonces = new SeededRandom(`nonces ${index}`);
      return new SignedRpc({
        identity,
        transport: new SlowTransport(memory, identity.nodeId, address(index)),
        clock,
        random: nonces.bytes,
        logger: silentLogger,
        timeoutMs,
        maxConcurrent,
      });
    });

    expect(simulated.lookups).toEqual(signed.lookups);
    expect(simulated.tables).toEqual(signed.tables);
    expect(simulated.kept).toEqual(signed.kept);
    expect(network.requests).toBe(memory.exchanges);
  });
});
