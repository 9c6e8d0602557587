import { afterEach, describe, expect, it } from 'vitest';
import { createTlsCredentials } from '../certificate.js';
import { HttpsTransport } from '../https-transport.js';
import { Identity } from '../identity.js';
import { KademliaNode } from '../kademlia-node.js';
import { MemoryValueStore } from '../value-store.js';
import { PubSub } from './pubsub.js';

const nodes: KademliaNode[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
});

/** A node over HTTPS on loopback; without `listens` one that only asks. */
async function start(bootstrap: string[], listens = true) {
  const identity = Identity.generate();
  const credentials = await createTlsCredentials(identity);
  const pubsub = new PubSub();
  const transport = new HttpsTransport({
    credentials,
    ...(listens && { listen: { host: '127.0.0.1', port: 0 } }),
  });
  const node = new KademliaNode({
    identity,
    transport,
    storage: new MemoryValueStore(),
    plugins: [pubsub],
  });
  nodes.push(node);
  await node.start();
  if (bootstrap.length > 0) await node.join(bootstrap);
  return { node, pubsub };
}

describe('pub/sub over HTTPS on loopback', () => {
  it('brings publications of 12 nodes and of one that cannot be reached to all of them', async () => {
    const first = await start([]);
    const all = [first];
    for (let i = 0; i < 11; i += 1) all.push(await start([...first.node.contact.addresses]));
    const client = await start([...first.node.contact.addresses], false);
    all.push(client);

    const got = new Map<string, number>();
    const payload = new Uint8Array(32 * 1024).fill(7);
    let deliveries = 0;
    let done: () => void = () => undefined;
    const everything = new Promise<void>((resolve) => (done = resolve));
    for (const { pubsub } of all) {
      await pubsub.subscribe('offers', ({ id, payload: bytes }) => {
        expect(bytes).toEqual(payload);
        got.set(id, (got.get(id) ?? 0) + 1);
        deliveries += 1;
        if (deliveries === 3 * all.length) done();
      });
    }
    expect(client.pubsub.neighbours('offers')).toBe(3);
    const sent = [];
    for (const { pubsub } of [first, all[6]!, client]) {
      const { id, reached } = await pubsub.publish('offers', payload);
      expect(reached).toBeGreaterThan(0);
      sent.push(id);
    }
    await everything;
    expect([...got.keys()].sort()).toEqual([...sent].sort());
    expect([...got.values()]).toEqual([13, 13, 13]);
  });
});
