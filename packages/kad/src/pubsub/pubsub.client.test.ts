import { describe, expect, it } from 'vitest';
import { ReaderNetwork } from './pubsub-network.test-support.js';
import { hashTopic } from './topic.js';

const unreachable = { reachable: false };

describe('a node without addresses', () => {
  it('has a topic from subscribers that can be reached, each publication once, and soon', async () => {
    const network = new ReaderNetwork('client');
    const readers = await network.build(40);
    const group = readers.slice(0, 8);
    await network.subscribe('offers', group);
    const client = await network.add({}, unreachable);
    await network.subscribe('offers', [client]);
    expect(client.pubsub.neighbours('offers')).toBe(3);
    const ids: string[] = [];
    for (let i = 0; i < 10; i += 1) {
      ids.push((await network.publish('offers', group[i % 8]!, 700)).id);
    }
    expect([...client.got].sort()).toEqual([...ids].sort());
    // It publishes as well.
    const { id, reached } = await network.publish('offers', client);
    expect(reached).toBe(3);
    expect(group.every(({ got }) => got.includes(id))).toBe(true);
    expect(client.got.filter((other) => other === id)).toHaveLength(1);
  });

  it('talks to others like it, when nobody else follows the topic', async () => {
    const network = new ReaderNetwork('clients');
    await network.build(40);
    const clients = [
      await network.add({}, unreachable),
      await network.add({}, unreachable),
      await network.add({}, unreachable),
    ];
    await network.subscribe('quiet', clients);
    const { id } = await network.publish('quiet', clients[0]!);
    for (const { got } of clients) expect(got).toEqual([id]);
    const outsider = network.readers[7]!;
    const { id: other } = await network.publish('quiet', outsider);
    for (const { got } of clients) expect(got).toContain(other);
  });

  it('finds others when those that served it are gone', async () => {
    const network = new ReaderNetwork('gone');
    const readers = await network.build(60);
    const group = readers.slice(0, 12);
    await network.subscribe('t', group);
    const client = await network.add({}, unreachable);
    await network.subscribe('t', [client]);
    for (const { node } of group.slice(0, 9)) await node.stop();
    await network.clock.run(60_000);
    const { id } = await network.publish('t', group[10]!, 20_000);
    expect(client.got).toContain(id);
  });

  it('follows several topics, gives them up, and is forgotten by those that served it', async () => {
    const network = new ReaderNetwork('several');
    await network.build(30);
    const client = await network.add({}, unreachable);
    const one = await network.clock.settle(
      client.pubsub.subscribe('one', ({ id }) => void client.got.push(id)),
    );
    await network.subscribe('two', [client]);
    const first = await network.publish('one', network.readers[3]!);
    const second = await network.publish('two', network.readers[4]!);
    expect(client.got.sort()).toEqual([first.id, second.id].sort());
    one.close();
    await network.clock.run(120_000);
    expect(client.pubsub.neighbours('one')).toBe(0);
    expect((await network.publish('one', network.readers[3]!, 15_000)).reached).toBe(0);
    expect((await network.publish('two', network.readers[4]!)).reached).toBeGreaterThan(0);
    expect(client.got).toHaveLength(3);
  });

  it('is one of a bounded number, and gets a bounded queue that survives a lost answer', async () => {
    const network = new ReaderNetwork('bounds');
    const readers = await network.build(20, { clients: 2, relayed: 1 });
    const server = readers[0]!.node.contact;
    const clients = [0, 1, 2].map(() => network.make({}, unreachable));
    for (const { node } of clients) await node.start();
    const pull = (n: number, params: object) =>
      network.clock.settle(clients[n]!.node.call(server, 'PUBSUB_PULL', params));
    const topics = [hashTopic('a')];
    const refused = { topics: [hashTopic('b')], after: 0, waitMs: 0 };
    expect(await pull(0, { topics, after: 0, waitMs: 0 })).toMatchObject({ refused: [], seq: 0 });
    expect(await pull(1, refused)).toMatchObject({ refused: [hashTopic('b')] });
    await expect(pull(2, { topics, after: 0, waitMs: 0 })).rejects.toMatchObject({
      code: 'KAD_BUSY',
    });
    await network.clock.run(5_000);
    const ids: string[] = [];
    for (let i = 0; i < 3; i += 1) ids.push((await network.publish('a', readers[9]!)).id);
    const again = (await pull(0, { topics, after: 0, waitMs: 0 })) as { publications: unknown[] };
    // The answer got lost, it says: it gets the same again, and then nothing more.
    const last = (await pull(0, { topics, after: 0, waitMs: 0 })) as {
      publications: unknown[];
      seq: number;
    };
    expect(again.publications).toHaveLength(3);
    expect(last.publications).toEqual(again.publications);
    expect(await pull(0, { topics, after: last.seq, waitMs: 0 })).toMatchObject({
      publications: [],
    });
    const begun = network.clock.now();
    const held = await pull(0, { topics, after: last.seq, waitMs: 4_000 });
    expect(held).toMatchObject({ publications: [] });
    expect(network.clock.now() - begun).toBeGreaterThanOrEqual(4_000);
    for (let i = 0; i < 140; i += 1) await network.publish('a', readers[9]!, 200);
    expect(await pull(0, { topics, after: last.seq, waitMs: 0 })).toMatchObject({ dropped: 12 });
  });
});
