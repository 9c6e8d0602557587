import { afterEach, describe, expect, it } from 'vitest';
import { type Contact, signContact } from './contact.js';
import { type Envelope, sealEnvelope } from './envelope.js';
import { Identity } from './identity.js';
import { encodeRequest } from './json-rpc.js';
import { KademliaNode } from './kademlia-node.js';
import type { KademliaOptions } from './kademlia-options.js';
import { ManualClock, memoryNodes, seededRandom } from './memory-nodes.test-support.js';
import { MemoryNetwork, MemoryTransport } from './memory-transport.js';
import { distance } from './node-id.js';
import { sha256 } from './sha256.js';
import { MemoryValueStore, type ValueStore } from './value-store.js';

const HOUR = 3600 * 1000;
const running: KademliaNode[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.stop()));
});

async function network(...args: Parameters<typeof memoryNodes>) {
  const made = await memoryNodes(...args);
  running.push(...made.nodes);
  return made;
}

interface Made {
  node: KademliaNode;
  identity: Identity;
  address: string;
  store: ValueStore;
  transport: MemoryTransport;
}

let made = 0;
async function single(
  memory: MemoryNetwork,
  kademlia: Partial<KademliaOptions> = {},
  clock?: ManualClock,
): Promise<Made> {
  const identity = Identity.generate();
  const address = `https://single-${(made += 1)}.test:1`;
  const store = new MemoryValueStore();
  const transport = new MemoryTransport(memory, identity.nodeId, address);
  const node = new KademliaNode({
    identity,
    transport,
    storage: store,
    options: kademlia,
    ...(clock !== undefined && { clock }),
  });
  running.push(node);
  await node.start();
  return { node, identity, address, store, transport };
}

/** Somebody who says on the network what no honest node would. */
function intruder(memory: MemoryNetwork) {
  const identity = Identity.generate();
  const address = `https://intruder-${(made += 1)}.test:1`;
  const contact = signContact(identity, { addresses: [address], sequence: 1 });
  const transport = new MemoryTransport(memory, identity.nodeId, address);
  const nonce = () => Buffer.from(sha256(Buffer.from(`${(made += 1)}`))).toString('hex', 0, 16);
  const message = (
    to: string,
    more: Partial<Envelope> = {},
    method = 'PING',
    params: unknown = {},
  ) =>
    sealEnvelope(identity, {
      sender: contact,
      recipient: to,
      nonce: nonce(),
      kind: 'request',
      time: Date.now(),
      payload: encodeRequest({ method, params, id: '1' }),
      ...more,
    });
  return { identity, address, contact, transport, message };
}

const keyOf = (value: Uint8Array) => Buffer.from(sha256(value)).toString('hex');
/** Until everything that was begun in the background is done. */
async function settle(): Promise<void> {
  for (let i = 0; i < 30; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

function closest(nodes: readonly KademliaNode[], target: string, count: number): string[] {
  return nodes
    .map((node) => node.identity.nodeId)
    .sort((a, b) => (distance(a, target) < distance(b, target) ? -1 : 1))
    .slice(0, count);
}

describe('a network of 150 nodes with k = 20', () => {
  // Filling the tables by hand, in the order in which the nodes might have met, spares the joins.
  async function grown(): Promise<KademliaNode[]> {
    const memory = new MemoryNetwork();
    const nodes: KademliaNode[] = [];
    for (let i = 0; i < 150; i += 1) nodes.push((await single(memory)).node);
    nodes.forEach((node, i) => {
      for (let j = 1; j < nodes.length; j += 1) {
        node.routingTable.seen(nodes[(i + j * 73) % nodes.length]!.contact, 0);
      }
    });
    return nodes;
  }

  it('finds the true 20 closest from anywhere, and a value where it belongs', async () => {
    const nodes = await grown();
    const random = seededRandom('targets of 150');
    for (let i = 0; i < 6; i += 1) {
      const target = Buffer.from(random(32)).toString('hex');
      const asker = nodes[i * 20]!;
      const { contacts, hops, messages } = await asker.lookup(target);
      const others = nodes.filter((node) => node !== asker);
      expect(contacts.map(({ nodeId }) => nodeId)).toEqual(closest(others, target, 20));
      expect(hops).toBeLessThanOrEqual(4);
      expect(messages).toBeLessThanOrEqual(60);
    }
    const value = Buffer.from('a value in a network of 150');
    const { key, stored } = await nodes[7]!.put(value);
    expect({ key, stored }).toEqual({ key: keyOf(value), stored: 20 });
    const holders = new Set(closest(nodes, key, 20));
    const readers = nodes.filter((node) => !holders.has(node.identity.nodeId)).slice(0, 3);
    for (const reader of readers) expect(Buffer.from(await reader.get(key))).toEqual(value);
  });
});

describe('values', () => {
  it('are at the k closest nodes and at their publisher, and nowhere else', async () => {
    const memory = new MemoryNetwork();
    const nodes: Made[] = [];
    for (let i = 0; i < 12; i += 1) {
      const one = await single(memory, { k: 3 });
      if (i > 0) await one.node.join([nodes[0]!.address]);
      nodes.push(one);
    }
    const value = Buffer.from('at home');
    const publisher = nodes[4]!;
    const { key } = await publisher.node.put(value);
    const others = nodes.filter((one) => one !== publisher).map(({ node }) => node);
    const expected = new Set([...closest(others, key, 3), publisher.identity.nodeId]);
    for (const { store, identity } of nodes) {
      expect(store.get(key) !== undefined).toBe(expected.has(identity.nodeId));
    }
  });

  it('are cached for a while at the closest node on the way that had them not', async () => {
    const memory = new MemoryNetwork();
    const clock = new ManualClock();
    const options = { k: 3, cacheMs: HOUR };
    const [holder, empty, reader] = [
      await single(memory, options, clock),
      await single(memory, options, clock),
      await single(memory, options, clock),
    ] as [Made, Made, Made];
    const value = Buffer.from('on the way');
    const key = keyOf(value);
    await holder.store.put(key, {
      value,
      expires: clock.now() + 24 * HOUR,
      refreshed: clock.now(),
    });
    await reader.node.join([empty.address]);
    await empty.node.join([holder.address]);
    // The reader knows only the empty node, which names the holder.
    reader.node.routingTable.remove(holder.identity.nodeId);
    expect(Buffer.from(await reader.node.get(key))).toEqual(value);
    await settle();
    expect(empty.store.get(key)?.expires).toBe(clock.now() + HOUR);
    clock.advance(HOUR);
    await empty.node.maintain();
    expect(empty.store.get(key)).toBeUndefined();
    expect(holder.store.get(key)).toBeDefined();
  });

  it('are not handed out at the instant of their expiry, swept or not', async () => {
    const memory = new MemoryNetwork();
    const clock = new ManualClock();
    const { node, store } = await single(memory, {}, clock);
    const asker = await single(memory, {}, clock);
    const value = Buffer.from('short-lived');
    const key = keyOf(value);
    await asker.node.call(node.contact, 'STORE', { key, value: value.toString('base64'), ttl: 50 });
    clock.advance(49);
    await expect(asker.node.call(node.contact, 'FIND_VALUE', { key })).resolves.toHaveProperty(
      'value',
    );
    clock.advance(1);
    await expect(asker.node.call(node.contact, 'FIND_VALUE', { key })).resolves.not.toHaveProperty(
      'value',
    );
    await expect(node.get(key)).rejects.toMatchObject({ code: 'KAD_NOT_FOUND' });
    expect(store.get(key)).toBeDefined();
    await node.maintain();
    expect(store.get(key)).toBeUndefined();
  });

  it('never live longer than the holder lets them, whatever the sender asks', async () => {
    const memory = new MemoryNetwork();
    const clock = new ManualClock();
    const { node, store } = await single(memory, { expireMs: 5 * HOUR }, clock);
    const asker = await single(memory, {}, clock);
    const value = Buffer.from('for ever');
    const key = keyOf(value);
    const params = { key, value: value.toString('base64'), ttl: Number.MAX_VALUE };
    await asker.node.call(node.contact, 'STORE', params);
    expect(store.get(key)?.expires).toBe(clock.now() + 5 * HOUR);
    // Nor does a shorter life from somebody else take away what was promised.
    await asker.node.call(node.contact, 'STORE', { ...params, ttl: 1 });
    expect(store.get(key)?.expires).toBe(clock.now() + 5 * HOUR);
  });

  it('stay alive for as long as their publisher runs', async () => {
    const memory = new MemoryNetwork();
    const clock = new ManualClock();
    const options = { k: 4, refreshMs: 1000 * HOUR };
    const nodes: Made[] = [await single(memory, options, clock)];
    for (let i = 1; i < 5; i += 1) {
      const one = await single(memory, options, clock);
      await one.node.join([nodes[0]!.address]);
      nodes.push(one);
    }
    const { key } = await nodes[1]!.node.put(Buffer.from('kept'));
    for (let hour = 0; hour < 60; hour += 2) {
      clock.advance(2 * HOUR);
      for (const { node } of nodes) await node.maintain();
    }
    const held = nodes.filter(({ store }) => (store.get(key)?.expires ?? 0) > clock.now());
    expect(held).toHaveLength(5);
  });

  it('are dropped where they have rotted, and found elsewhere', async () => {
    const memory = new MemoryNetwork();
    const [a, b, c] = [await single(memory), await single(memory), await single(memory)];
    await b!.node.join([a!.address]);
    await c!.node.join([a!.address]);
    const { key } = await a!.node.put(Buffer.from('rotting'));
    const entry = c!.store.get(key)!;
    await c!.store.put(key, { ...entry, value: Buffer.from('rotted!') });
    expect(Buffer.from(await c!.node.get(key)).toString()).toBe('rotting');
    expect(c!.store.get(key)?.value ?? Buffer.from('rotting')).toEqual(Buffer.from('rotting'));
  });

  it('are refused when the store is full, with the reason, and the node lives on', async () => {
    const memory = new MemoryNetwork();
    const identity = Identity.generate();
    const full = new KademliaNode({
      identity,
      transport: new MemoryTransport(memory, identity.nodeId, 'https://full.test:1'),
      storage: new MemoryValueStore(10),
    });
    running.push(full);
    await full.start();
    const asker = await single(memory);
    await asker.node.join(['https://full.test:1']);
    await expect(asker.node.put(Buffer.from('more than ten bytes'))).rejects.toMatchObject({
      code: 'KAD_UNREACHABLE',
    });
    const value = Buffer.from('more than ten bytes');
    await expect(
      asker.node.call(full.contact, 'STORE', {
        key: keyOf(value),
        value: value.toString('base64'),
        ttl: 1000,
      }),
    ).rejects.toMatchObject({ code: 'KAD_FULL' });
    await expect(asker.node.ping(full.contact)).resolves.toBeGreaterThanOrEqual(0);
  });

  it('take any bytes: none at all, zeros, what is not text', async () => {
    const memory = new MemoryNetwork();
    const [a, b] = [await single(memory), await single(memory)] as [Made, Made];
    await b.node.join([a.address]);
    for (const value of [new Uint8Array(0), new Uint8Array(7), Uint8Array.of(255, 254, 0, 128)]) {
      const { key } = await a.node.put(value);
      await a.store.delete(key);
      expect(new Uint8Array(await a.node.get(key))).toEqual(value);
    }
  });

  it('are not looked for under what is no key', async () => {
    const { node } = await single(new MemoryNetwork());
    for (const key of ['', 'AB'.repeat(32), '../../etc/passwd', 'ab'.repeat(33)]) {
      await expect(node.get(key)).rejects.toMatchObject({ code: 'KAD_BAD_PARAMETERS' });
      await expect(node.lookup(key)).rejects.toMatchObject({ code: 'KAD_BAD_PARAMETERS' });
    }
  });
});

describe('the routing table of a node', () => {
  it('learns nobody from a message that is refused', async () => {
    const memory = new MemoryNetwork();
    const { node, address } = await single(memory);
    const bad = intruder(memory);
    await bad.transport.listen(() => Promise.reject(new Error('not asked')));
    const { nodeId } = node.identity;
    const wrong: Record<string, Uint8Array> = {
      KAD_MISADDRESSED: bad.message(bad.identity.nodeId),
      KAD_STALE: bad.message(nodeId, { time: Date.now() - 61_000 }),
      KAD_MALFORMED: bad.message(nodeId, { kind: 'response' }),
      KAD_UNSIGNED: Buffer.from('hello'),
      KAD_IDENTITY_MISMATCH: sealAs(Identity.generate(), bad.message(nodeId)),
    };
    for (const [code, message] of Object.entries(wrong)) {
      await expect(
        bad.transport.request({ nodeId, addresses: [address] }, message),
      ).rejects.toMatchObject({ code });
    }
    await settle();
    expect(node.contacts()).toEqual([]);
  });

  it('takes in who asked only after it answered a ping where it says it is', async () => {
    const memory = new MemoryNetwork();
    const { node } = await single(memory);
    const asker = await single(memory);
    await asker.node.ping(node.contact);
    await settle();
    expect(node.contacts().map(({ nodeId }) => nodeId)).toEqual([asker.identity.nodeId]);

    const liar = intruder(memory);
    const elsewhere = signContact(liar.identity, {
      addresses: ['https://nowhere.test:1'],
      sequence: 2,
    });
    await liar.transport.request(
      { nodeId: node.identity.nodeId, addresses: node.contact.addresses },
      liar.message(node.identity.nodeId, { sender: elsewhere }),
    );
    await settle();
    expect(node.contacts()).toHaveLength(1);
  });

  it('takes in nobody on hearsay', async () => {
    const memory = new MemoryNetwork();
    const { node } = await single(memory);
    const gossip = await single(memory);
    const ghosts = Array.from({ length: 20 }, (_, i) =>
      signContact(Identity.generate(), {
        addresses: [`https://ghost-${i}.test:1`],
        sequence: 1,
      }),
    );
    for (const ghost of ghosts) gossip.node.routingTable.seen(ghost, 0);
    await node.join([gossip.address]);
    await settle();
    expect(node.contacts().map(({ nodeId }) => nodeId)).toEqual([gossip.identity.nodeId]);
  });

  it('keeps an old friend that answers before any newcomer, and replaces one that does not', async () => {
    const memory = new MemoryNetwork();
    // No time passes in this test, so that every contact counts as long unheard of.
    const { node, identity } = await single(memory, { k: 1, siblings: 0, staleMs: 0 });
    const far: Made[] = [];
    while (far.length < 3) {
      const one = await single(memory, { k: 1 });
      const top = parseInt(identity.nodeId[0]!, 16) ^ parseInt(one.identity.nodeId[0]!, 16);
      if (top >= 8) far.push(one);
    }
    const [friend, second, third] = far as [Made, Made, Made];
    const names = () => node.contacts().map(({ nodeId }) => nodeId);
    await node.ping(friend.node.contact);
    await node.ping(second.node.contact);
    await settle();
    expect(names()).toEqual([friend.identity.nodeId]);
    await friend.node.stop();
    await node.ping(third.node.contact);
    await settle();
    expect(names()).toHaveLength(1);
    expect([second.identity.nodeId, third.identity.nodeId]).toContain(names()[0]);
  });

  it('follows a node that moved: the newer contact wins, the older one never', async () => {
    const memory = new MemoryNetwork();
    const { node, address } = await single(memory);
    const mover = intruder(memory);
    const at = (where: string, sequence: number) =>
      signContact(mover.identity, { addresses: [where], sequence });
    const old = at('https://old.test:1', 5);
    const current = at('https://new.test:1', 6);
    node.routingTable.seen(old, 0);
    const target = { nodeId: node.identity.nodeId, addresses: [address] };
    const say = (sender: Contact) =>
      mover.transport.request(target, mover.message(node.identity.nodeId, { sender }));
    await say(current);
    expect(node.contacts()).toEqual([current]);
    await say(old);
    expect(node.contacts()).toEqual([current]);
  });
});

/** Put another's signature before a message. */
function sealAs(identity: Identity, message: Uint8Array): Uint8Array {
  const text = Buffer.from(message).subarray(128).toString('utf8');
  const envelope = JSON.parse(text) as Envelope;
  return sealEnvelope(identity, {
    ...envelope,
    sender: signContact(identity, { addresses: [], sequence: 1 }),
  });
}

describe('messages', () => {
  it('are answered once: the same bytes again are a replay', async () => {
    const memory = new MemoryNetwork();
    const { node, address } = await single(memory);
    const sender = intruder(memory);
    const target = { nodeId: node.identity.nodeId, addresses: [address] };
    const message = sender.message(node.identity.nodeId);
    await expect(sender.transport.request(target, message)).resolves.toBeDefined();
    await expect(sender.transport.request(target, message)).rejects.toMatchObject({
      code: 'KAD_REPLAYED',
    });
  });

  it('tell nothing about their sender when they are a replay', async () => {
    const memory = new MemoryNetwork();
    const { node, address } = await single(memory);
    const sender = intruder(memory);
    let pings = 0;
    await sender.transport.listen(() => {
      pings += 1;
      return Promise.reject(new Error('not at home'));
    });
    const target = { nodeId: node.identity.nodeId, addresses: [address] };
    const message = sender.message(node.identity.nodeId);
    await sender.transport.request(target, message);
    await settle();
    expect(pings).toBe(1);
    await expect(sender.transport.request(target, message)).rejects.toBeDefined();
    await settle();
    expect(pings).toBe(1);
  });

  it('are not acted upon twice', async () => {
    const memory = new MemoryNetwork();
    const { node, address } = await single(memory);
    let times = 0;
    node.registerMethod('COUNT', () => Promise.resolve((times += 1)));
    const sender = intruder(memory);
    const target = { nodeId: node.identity.nodeId, addresses: [address] };
    const message = sender.message(node.identity.nodeId, {}, 'COUNT');
    await Promise.allSettled(
      Array.from({ length: 10 }, () => sender.transport.request(target, message)),
    );
    expect(times).toBe(1);
  });

  it('tell their handler who sent them, whatever the parameters say', async () => {
    const memory = new MemoryNetwork();
    const { node } = await single(memory);
    const asker = await single(memory);
    node.registerMethod('WHO_AM_I', (_params, { sender }) => Promise.resolve(sender.nodeId));
    await expect(
      asker.node.call(node.contact, 'WHO_AM_I', { sender: node.identity.nodeId }),
    ).resolves.toBe(asker.identity.nodeId);
  });

  it('are refused beyond what one peer may have in work, and taken again after', async () => {
    const memory = new MemoryNetwork();
    const { node } = await single(memory, { maxConcurrent: 8 });
    const asker = await single(memory);
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    node.registerMethod('WAIT', () => gate.then(() => 'done'));
    const calls = Promise.allSettled(
      Array.from({ length: 20 }, () => asker.node.call(node.contact, 'WAIT', {})),
    );
    await settle();
    release();
    const results = await calls;
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(16);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'KAD_BUSY' });
    await expect(asker.node.call(node.contact, 'WAIT', {})).resolves.toBe('done');
  });

  it('do not carry out what went wrong inside: no stack, no path', async () => {
    const memory = new MemoryNetwork();
    const { node } = await single(memory);
    const asker = await single(memory);
    const circular: { self?: unknown } = {};
    circular.self = circular;
    const failures: Record<string, () => Promise<unknown>> = {
      THROWS: () => Promise.reject(new Error('/home/secret: EACCES')),
      THROWS_TEXT: () => Promise.reject(new TypeError('/home/secret')),
      CIRCULAR: () => Promise.resolve(circular),
      BIG: () => Promise.resolve(1n),
      SYNC: () => {
        throw new Error('/home/secret');
      },
    };
    for (const [name, run] of Object.entries(failures)) {
      node.registerMethod(name, run);
      const error: unknown = await asker.node
        .call(node.contact, name, {})
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'KAD_REMOTE', remoteCode: 'KAD_INTERNAL' });
      expect(String(error)).not.toContain('secret');
    }
  });

  it('answer nothing and null alike', async () => {
    const memory = new MemoryNetwork();
    const { node } = await single(memory);
    const asker = await single(memory);
    node.registerMethod('NOTHING', () => Promise.resolve(undefined));
    await expect(asker.node.call(node.contact, 'NOTHING', {})).resolves.toBeNull();
    await expect(asker.node.call(node.contact, 'NO_SUCH', {})).rejects.toMatchObject({
      code: 'KAD_METHOD_NOT_FOUND',
    });
  });

  it('have one handler each', async () => {
    const { node } = await single(new MemoryNetwork());
    node.registerMethod('ONCE', () => Promise.resolve(1));
    for (const name of ['ONCE', 'PING', 'FIND_NODE', 'FIND_VALUE', 'STORE']) {
      expect(() => node.registerMethod(name, () => Promise.resolve(2))).toThrow(name);
    }
  });

  it('with wrong parameters are refused, each with its reason', async () => {
    const memory = new MemoryNetwork();
    const { node } = await single(memory);
    const asker = await single(memory);
    const key = 'ab'.repeat(32);
    const wrong: [string, unknown][] = [
      ['FIND_NODE', null],
      ['FIND_NODE', { target: [key] }],
      ['FIND_NODE', { target: key.toUpperCase() }],
      ['FIND_NODE', 'text'],
      ['FIND_VALUE', {}],
      ['FIND_VALUE', { key: { toString: key } }],
      ['STORE', { key, ttl: 1, value: 5 }],
      ['STORE', { key, ttl: '1', value: '' }],
      ['STORE', { key, ttl: null, value: '' }],
      ['STORE', { key, ttl: 0, value: '' }],
      ['STORE', { key, ttl: 1, value: 'A'.repeat(90_000) }],
    ];
    for (const [method, params] of wrong) {
      await expect(asker.node.call(node.contact, method, params)).rejects.toMatchObject({
        remoteCode: 'KAD_BAD_PARAMETERS',
      });
    }
  });
});

describe('churn', () => {
  it('does not lose values while a third leaves and as many come, one hour after another', async () => {
    const clock = new ManualClock();
    const memory = new MemoryNetwork();
    const kademlia = { k: 5, refreshMs: 4 * HOUR };
    const { nodes } = await network(12, { clock, network: memory, kademlia });
    const values = ['one', 'two', 'three'].map((text) => Buffer.from(text));
    for (const [i, value] of values.entries()) await nodes[i]!.put(value);
    let alive = [...nodes];
    for (let round = 0; round < 3; round += 1) {
      const leaving = alive.slice(0, 4);
      await Promise.all(leaving.map((node) => node.stop()));
      alive = alive.slice(4);
      for (let i = 0; i < 4; i += 1) {
        const { node } = await single(memory, kademlia, clock);
        await node.join([alive[0]!.contact.addresses[0]!]);
        alive.push(node);
      }
      clock.advance(1.2 * HOUR);
      for (const node of alive) await node.maintain();
    }
    // By now every node that saw the values published is gone.
    for (const value of values) {
      const found = await alive.at(-1)!.get(keyOf(value));
      expect(Buffer.from(found)).toEqual(value);
    }
  });

  it('forgets who does not answer', async () => {
    const memory = new MemoryNetwork();
    const [a, b] = [await single(memory), await single(memory)] as [Made, Made];
    await a.node.join([b.address]);
    expect(a.node.contacts()).toHaveLength(1);
    const gone = b.node.contact;
    await b.node.stop();
    await expect(a.node.ping(gone)).rejects.toMatchObject({ code: 'KAD_UNREACHABLE' });
    expect(a.node.contacts()).toEqual([]);
  });

  it('does not forget who answers with an error', async () => {
    const memory = new MemoryNetwork();
    const [a, b] = [await single(memory), await single(memory)] as [Made, Made];
    await a.node.join([b.address]);
    await expect(a.node.call(b.node.contact, 'NO_SUCH', {})).rejects.toBeDefined();
    expect(a.node.contacts()).toHaveLength(1);
  });

  it('finds its way round one message in five that is lost', async () => {
    let count = 0;
    const random = seededRandom('loss');
    let losing = false;
    const memory = new MemoryNetwork(() => {
      count += 1;
      return losing && random(1)[0]! < 51 ? Promise.reject(lost()) : Promise.resolve();
    });
    const { nodes } = await network(20, { network: memory, kademlia: { k: 8 } });
    const { key } = await nodes[2]!.put(Buffer.from('in spite of it'));
    losing = true;
    for (const reader of [nodes[4]!, nodes[9]!, nodes[17]!]) {
      expect(Buffer.from(await reader.get(key)).toString()).toBe('in spite of it');
    }
    expect(count).toBeGreaterThan(0);
  });
});

function lost(): Error {
  return Object.assign(new Error('lost'), { code: 'KAD_TIMEOUT' });
}

describe('the life of a node', () => {
  it('begins once, and stops as often as one likes', async () => {
    const { node } = await single(new MemoryNetwork());
    await expect(node.start()).rejects.toMatchObject({ code: 'KAD_STOPPED' });
    await node.stop();
    await expect(node.stop()).resolves.toBeUndefined();
    await expect(node.start()).rejects.toMatchObject({ code: 'KAD_STOPPED' });
  });

  it('leaves no timer behind', async () => {
    const pending = new Set<unknown>();
    class Watched extends ManualClock {
      override setTimeout(run: () => void, ms: number): unknown {
        const handle = super.setTimeout(run, ms);
        pending.add(handle);
        return handle;
      }
      override clearTimeout(handle: unknown): void {
        pending.delete(handle);
        super.clearTimeout(handle);
      }
    }
    const { node } = await single(new MemoryNetwork(), {}, new Watched());
    expect(pending.size).toBeGreaterThan(0);
    await node.stop();
    expect(pending.size).toBe(0);
  });

  it('joins by any bootstrap node that answers, whatever the others are', async () => {
    const memory = new MemoryNetwork();
    const good = await single(memory);
    const { node } = await single(memory);
    await node.join(['https://nobody.test:1', 'nonsense', good.address]);
    expect(node.contacts().map(({ nodeId }) => nodeId)).toEqual([good.identity.nodeId]);
  });

  it('cannot join by itself or by nobody', async () => {
    const { node, address } = await single(new MemoryNetwork());
    for (const bootstrap of [[], [address]]) {
      await expect(node.join(bootstrap)).rejects.toMatchObject({ code: 'KAD_UNREACHABLE' });
    }
  });

  it('puts nothing when it knows nobody, and says why', async () => {
    const { node } = await single(new MemoryNetwork());
    await expect(node.put(Buffer.from('x'))).rejects.toThrow(/join/);
  });
});
