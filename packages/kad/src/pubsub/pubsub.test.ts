import { describe, expect, it } from 'vitest';
import { ReaderNetwork } from './pubsub-network.test-support.js';
import { hashTopic } from './topic.js';

describe('pub/sub among 150 nodes', () => {
  it('brings each publication to each subscriber once, along a tree', async () => {
    const network = new ReaderNetwork('tree');
    const readers = await network.build(150);
    const group = readers.slice(0, 60);
    await network.subscribe('news', group);
    for (let i = 0; i < 3; i += 1) await network.publish('news', group[i]!);
    network.requests('PUBSUB_PUSH');
    const ids: string[] = [];
    for (let i = 0; i < 10; i += 1) ids.push((await network.publish('news', group[i * 5]!)).id);
    for (const { got } of group) {
      expect(got.filter((id) => ids.includes(id)).sort()).toEqual([...ids].sort());
    }
    // A tree of 60 has 59 edges: that is the least, and what a converged Plumtree uses.
    const pushes = network.requests('PUBSUB_PUSH');
    expect(pushes).toBeGreaterThanOrEqual(590);
    expect(pushes).toBeLessThan(620);
    for (const { got } of readers.slice(60)) expect(got).toEqual([]);
  });

  it('serves groups of two, of all, and none', async () => {
    const network = new ReaderNetwork('sizes');
    const readers = await network.build(80);
    await network.subscribe('two', readers.slice(0, 2));
    const { id } = await network.publish('two', readers[0]!);
    expect(readers[1]!.got).toEqual([id]);
    expect(readers[0]!.got).toEqual([id]);
    expect((await network.publish('nobody', readers[5]!)).reached).toBe(0);
    await network.subscribe('all', readers);
    const all = await network.publish('all', readers[40]!);
    expect(readers.filter(({ got }) => got.includes(all.id))).toHaveLength(80);
  });

  it('takes publications from nodes that do not subscribe, and looks up once for many', async () => {
    const network = new ReaderNetwork('outsiders');
    const readers = await network.build(100);
    const group = readers.slice(0, 20);
    await network.subscribe('offers', group);
    const outsider = readers[99]!;
    network.requests('PUBSUB_FIND');
    for (let i = 0; i < 4; i += 1) {
      const { id, reached } = await network.publish('offers', outsider);
      expect(reached).toBe(3);
      expect(group.filter(({ got }) => got.includes(id))).toHaveLength(20);
    }
    expect(network.requests('PUBSUB_FIND')).toBe(5);
    // Those that it entered by have gone: others are found.
    for (const { node } of group.slice(0, 15)) await node.stop();
    await network.clock.run(30_000);
    const { id } = await network.publish('offers', outsider, 20_000);
    expect(group.slice(15).every(({ got }) => got.includes(id))).toBe(true);
  });

  it('leaves a topic with its last subscription, and hands its neighbours to each other', async () => {
    const network = new ReaderNetwork('leaving');
    const [first, ...others] = await network.build(30);
    const one = await network.clock.settle(first!.pubsub.subscribe('t', () => undefined));
    const two = await network.clock.settle(first!.pubsub.subscribe('t', () => undefined));
    await network.subscribe('t', others.slice(0, 8));
    one.close();
    await network.clock.run(1_000);
    expect(first!.pubsub.neighbours('t')).toBeGreaterThan(0);
    two.close();
    await network.clock.run(10_000);
    expect(first!.pubsub.neighbours('t')).toBe(0);
    const { id } = await network.publish('t', others[0]!);
    expect(others.slice(0, 8).every(({ got }) => got.includes(id))).toBe(true);
    expect(await network.publish('t', others[1]!)).toMatchObject({ reached: expect.any(Number) });
  });

  it('delivers at most once across resends, and refuses what is old', async () => {
    const network = new ReaderNetwork('once');
    const readers = await network.build(20);
    const group = readers.slice(0, 6);
    await network.subscribe('t', group);
    const { id } = await network.publish('t', group[0]!);
    const wire = (
      (await network.clock.settle(
        readers[10]!.node.call(group[0]!.node.contact, 'PUBSUB_GRAFT', {
          topic: hashTopic('t'),
          ids: [id],
        }),
      )) as { publications: unknown[] }
    ).publications[0];
    const resend = () =>
      network.clock.settle(
        readers[10]!.node.call(group[3]!.node.contact, 'PUBSUB_PUSH', {
          publication: JSON.parse(JSON.stringify(wire)) as unknown,
        }),
      );
    for (const ms of [0, 30_000, 60_000]) {
      await network.clock.run(ms);
      expect(await resend()).toMatchObject({ seen: true });
    }
    // Beyond the time for which IDs are remembered its age keeps it out.
    await network.clock.run(600_000);
    await network.publish('t', group[1]!);
    await expect(resend()).rejects.toThrow(/differs from ours/);
    for (const { got } of group) expect(got.filter((other) => other === id)).toHaveLength(1);
  });

  it('says what is wrong with how it is used', async () => {
    const network = new ReaderNetwork('wrong');
    const [reader] = await network.build(2, { topics: 2 });
    const { pubsub } = reader!;
    const subscribe = (topic: string, options = {}) =>
      network.clock.settle(pubsub.subscribe(topic, options));
    await expect(subscribe('')).rejects.toMatchObject({ code: 'KAD_BAD_PARAMETERS' });
    await expect(pubsub.publish('t', new Uint8Array(40_000))).rejects.toMatchObject({
      code: 'KAD_TOO_LARGE',
    });
    await expect(subscribe('t', { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'KAD_ABORTED',
    });
    await subscribe('a');
    await subscribe('b');
    await expect(subscribe('c')).rejects.toMatchObject({ code: 'KAD_FULL' });
    await reader!.node.stop();
    await expect(subscribe('a')).rejects.toMatchObject({ code: 'KAD_STOPPED' });
    const { pubsub: idle } = network.make();
    await expect(idle.publish('t', new Uint8Array(1))).rejects.toMatchObject({
      code: 'KAD_STOPPED',
    });
  });
});

describe('pub/sub when nodes crash and messages are lost', () => {
  it('reaches everybody who is there, though a third of the group has just crashed', async () => {
    const network = new ReaderNetwork('crash');
    const readers = await network.build(120);
    const group = readers.slice(0, 60);
    await network.subscribe('t', group);
    for (let i = 0; i < 3; i += 1) await network.publish('t', group[i]!);
    for (const { node } of group.filter((_, i) => i % 3 === 0)) await node.stop();
    const left = group.filter((_, i) => i % 3 !== 0);
    const { id } = await network.publish('t', left[0]!, 20_000);
    expect(left.filter(({ got }) => got.includes(id))).toHaveLength(left.length);
    // Who comes in their place takes part.
    const fresh = [await network.add(), await network.add()];
    await network.subscribe('t', fresh);
    const later = await network.publish('t', left[5]!, 10_000);
    for (const { got } of [...left, ...fresh]) expect(got).toContain(later.id);
  });

  it('makes good what a tenth of all messages being lost costs', async () => {
    const network = new ReaderNetwork('loss', 0.1);
    const readers = await network.build(60);
    const group = readers.slice(0, 30);
    await network.subscribe('t', group);
    await network.clock.run(60_000);
    const ids: string[] = [];
    for (let i = 0; i < 10; i += 1) ids.push((await network.publish('t', group[i]!, 2_000)).id);
    await network.clock.run(30_000);
    const deliveries = group.flatMap(({ got }) => got).filter((id) => ids.includes(id));
    expect(deliveries).toHaveLength(300);
    const recovered = group.reduce((sum, { pubsub }) => sum + pubsub.stats.recovered, 0);
    expect(recovered).toBeGreaterThan(0);
  });
});
