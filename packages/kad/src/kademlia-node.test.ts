import { afterEach, describe, expect, it } from 'vitest';
import { KadError } from './errors.js';
import { Identity } from './identity.js';
import { KademliaNode } from './kademlia-node.js';
import { MemoryNetwork, MemoryTransport } from './memory-transport.js';
import { distance } from './node-id.js';
import { sha256 } from './sha256.js';
import { ManualClock, memoryNodes, seededRandom } from './memory-nodes.test-support.js';
import { MemoryValueStore } from './value-store.js';

const running: KademliaNode[] = [];
const network = async (...args: Parameters<typeof memoryNodes>) => {
  const made = await memoryNodes(...args);
  running.push(...made.nodes);
  return made;
};
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()));
});

const closestOf = (nodes: readonly KademliaNode[], target: string, count: number) =>
  nodes
    .map((node) => node.identity.nodeId)
    .sort((a, b) => (distance(a, target) < distance(b, target) ? -1 : 1))
    .slice(0, count);

describe('a network of 50 nodes', () => {
  it('finds the true closest nodes, in few hops, and values from anywhere', async () => {
    const { nodes } = await network(50);
    const random = seededRandom('targets');
    for (let i = 0; i < 5; i += 1) {
      const target = Buffer.from(random(32)).toString('hex');
      const asker = nodes[i * 9]!;
      const others = nodes.filter((node) => node !== asker);
      const { contacts, hops } = await asker.lookup(target);
      expect(contacts.map(({ nodeId }) => nodeId)).toEqual(closestOf(others, target, 20));
      expect(hops).toBeGreaterThan(0);
      expect(hops).toBeLessThanOrEqual(6);
    }
    const value = Buffer.from('a value');
    const { key, stored } = await nodes[3]!.put(value);
    expect(key).toBe(Buffer.from(sha256(value)).toString('hex'));
    expect(stored).toBe(20);
    for (const reader of [nodes[0]!, nodes[30]!, nodes[49]!]) {
      expect(Buffer.from(await reader.get(key)).toString()).toBe('a value');
    }
    await expect(nodes[5]!.get('00'.repeat(32))).rejects.toMatchObject({ code: 'KAD_NOT_FOUND' });
  });
});

it('finds what is left after half of the nodes have vanished', async () => {
  const { nodes } = await network(24);
  const { key } = await nodes[0]!.put(Buffer.from('survivor'));
  const dead = nodes.filter((_, i) => i % 2 === 1);
  const alive = nodes.filter((_, i) => i % 2 === 0);
  await Promise.all(dead.map((node) => node.stop()));
  for (const reader of alive.slice(0, 4)) {
    expect(Buffer.from(await reader.get(key)).toString()).toBe('survivor');
  }
  const target = 'ab'.repeat(32);
  const { contacts } = await alive[1]!.lookup(target);
  const others = alive.filter((node) => node !== alive[1]);
  expect(contacts[0]!.nodeId).toBe(closestOf(others, target, 1)[0]);
});

it('republishes to nodes that come later, and lets values expire', async () => {
  const clock = new ManualClock();
  const memory = new MemoryNetwork();
  const { nodes } = await network(8, { clock, network: memory, kademlia: { k: 4 } });
  const { key } = await nodes[0]!.put(Buffer.from('moving'));
  const holders = async (from: readonly KademliaNode[]) => {
    let count = 0;
    for (const node of from) {
      const found = await node.call(node.contacts()[0]!, 'FIND_VALUE', { key }).catch(() => ({}));
      if ('value' in (found as object)) count += 1;
    }
    return count;
  };
  expect(await holders(nodes)).toBeGreaterThan(0);
  // The publisher goes. The others keep the value among them, an hour at a time…
  await nodes[0]!.stop();
  const left = nodes.slice(1);
  for (let hour = 0; hour < 18; hour += 1) {
    clock.advance(1.2 * 3600 * 1000);
    for (const node of left) await node.maintain();
  }
  expect(Buffer.from(await left[3]!.get(key)).toString()).toBe('moving');
  // …until its time is over, since nobody published it anew.
  clock.advance(24 * 3600 * 1000);
  for (const node of left) await node.maintain();
  await expect(left[5]!.get(key)).rejects.toMatchObject({ code: 'KAD_NOT_FOUND' });
});

it('takes no value that does not hash to its key, and none too large', async () => {
  const { nodes } = await network(3);
  const [a, b] = nodes as [KademliaNode, KademliaNode];
  const store = (params: object) => a.call(b.contact, 'STORE', params);
  const good = Buffer.from('x');
  const key = Buffer.from(sha256(good)).toString('hex');
  await expect(store({ key, value: good.toString('base64'), ttl: 1000 })).resolves.toBeDefined();
  const wrong = Buffer.from('y').toString('base64');
  await expect(store({ key, value: wrong, ttl: 1000 })).rejects.toThrow(/does not hash/);
  await expect(store({ key, value: good.toString('base64'), ttl: -1 })).rejects.toThrow(/ttl/);
  await expect(store({ key: 'zz', value: '', ttl: 1 })).rejects.toThrow(/key/);
  await expect(store({})).rejects.toThrow(KadError);
  await expect(a.put(new Uint8Array(65_537))).rejects.toMatchObject({ code: 'KAD_TOO_LARGE' });
  await expect(a.put(new Uint8Array(65_536))).resolves.toMatchObject({ stored: 2 });
});

it('is not deceived by a node that answers with a wrong value', async () => {
  const { nodes, network: memory } = await network(10);
  const identity = Identity.generate();
  const liar = new KademliaNode({
    identity,
    transport: new MemoryTransport(memory, identity.nodeId, 'https://liar.test:1'),
    storage: new (class extends MemoryValueStore {
      override get() {
        return { value: Buffer.from('lie'), expires: Infinity, refreshed: 0 };
      }
    })(),
  });
  running.push(liar);
  await liar.start();
  await liar.join([nodes[0]!.contact.addresses[0]!]);
  const { key } = await nodes[1]!.put(Buffer.from('truth'));
  for (const node of nodes) expect(Buffer.from(await node.get(key)).toString()).toBe('truth');
});

it('keeps clients and senders that cannot be reached out of its table', async () => {
  const { nodes, network: memory } = await network(3);
  const identity = Identity.generate();
  class Unreachable extends MemoryTransport {
    override listen() {
      return Promise.resolve(); // it announces an address and is not there
    }
  }
  const ghost = new KademliaNode({
    identity,
    transport: new Unreachable(memory, identity.nodeId, 'https://ghost.test:1'),
    storage: new MemoryValueStore(),
  });
  running.push(ghost);
  await ghost.start();
  await ghost.join([nodes[0]!.contact.addresses[0]!]);
  await new Promise((resolve) => setImmediate(resolve));
  for (const node of nodes) {
    expect(node.contacts().map(({ nodeId }) => nodeId)).not.toContain(identity.nodeId);
  }
});

it('answers its own methods, and hides what goes wrong inside', async () => {
  const { nodes } = await network(2);
  const [a, b] = nodes as [KademliaNode, KademliaNode];
  b.registerMethod('ECHO', (params, { sender }) =>
    Promise.resolve({ params, sender: sender.nodeId }),
  );
  b.registerMethod('BREAK', () => Promise.reject(new Error('secret detail')));
  expect(await a.call(b.contact, 'ECHO', [1])).toEqual({ params: [1], sender: a.identity.nodeId });
  await expect(a.call(b.contact, 'NOTHING', {})).rejects.toMatchObject({
    code: 'KAD_METHOD_NOT_FOUND',
  });
  const failure = await a.call(b.contact, 'BREAK', {}).catch((error: Error) => error);
  expect(failure).toMatchObject({ remoteCode: 'KAD_INTERNAL' });
  expect((failure as Error).message).not.toContain('secret');
  b.registerMethod('BREAK_IN_NODE', () =>
    Promise.reject(Object.assign(new Error('secret path'), { code: 'ERR_INVALID_ARG_TYPE' })),
  );
  const inside = await a.call(b.contact, 'BREAK_IN_NODE', {}).catch((error: Error) => error);
  expect(inside).toMatchObject({ remoteCode: 'KAD_INTERNAL' });
  expect((inside as Error).message).not.toContain('secret');
  expect(() => b.registerMethod('ECHO', () => Promise.resolve())).toThrow(/registered already/);
});

it('says which bootstrap nodes did not answer', async () => {
  const { nodes } = await network(1);
  await expect(nodes[0]!.join(['https://nowhere.test:1'])).rejects.toThrow(/nowhere.test/);
  await expect(nodes[0]!.join([])).rejects.toMatchObject({ code: 'KAD_UNREACHABLE' });
});
