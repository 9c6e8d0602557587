import { describe, expect, it } from 'vitest';
import { toBase64 } from '../bytes.js';
import { makeRecord } from './subscription-record.js';
import { makePublication } from './publication.js';
import { type Reader, ReaderNetwork } from './pubsub-network.test-support.js';
import { SHUNNED } from './peer-scores.js';
import { hashTopic } from './topic.js';

const topic = hashTopic('t');
const id = (n: number) => n.toString(16).padStart(64, '0');

/** A topic of some honest nodes, and one that will misbehave, linked with the first of them. */
async function beset(seed: string, count = 10) {
  const network = new ReaderNetwork(seed);
  const readers = await network.build(count + 1);
  const liar = readers[count]!;
  const honest = readers.slice(0, count);
  await network.subscribe('t', honest);
  const victim = honest[0]!;
  const call = (method: string, params: unknown, to: Reader = victim) =>
    network.clock.settle(liar.node.call(to.node.contact, method, params));
  const link = async () => {
    const params = { topic, needy: true, have: [] };
    expect(await call('PUBSUB_NEIGHBOUR', params)).toMatchObject({ accepted: true });
  };
  const score = () => victim.pubsub.scoreOf(liar.node.identity.nodeId);
  return { network, honest, liar, victim, call, link, score };
}

describe('a hostile peer', () => {
  it('gets nowhere with a Bloom filter that says yes to everything', async () => {
    const { call, score } = await beset('full');
    const full = toBase64(new Uint8Array(512).fill(255));
    const empty = toBase64(new Uint8Array(512));
    expect(await call('PUBSUB_FILTER', { filter: [empty, empty, empty] })).toMatchObject({
      filter: [expect.any(String), expect.any(String), expect.any(String)],
    });
    const before = score();
    await expect(call('PUBSUB_FILTER', { filter: [empty, empty, full] })).rejects.toThrow(
      /says nothing/,
    );
    expect(score()).toBeLessThan(before);
    // Nobody is led to it, not even for the topics of the filter that it sent before.
    expect(await call('PUBSUB_SEEK', { topic: id(1) })).toMatchObject({ contacts: [] });
    for (let i = 0; i < 5; i += 1) {
      await call('PUBSUB_FILTER', { filter: [full, full, full] }).catch(() => undefined);
    }
    expect(score()).toBeLessThan(SHUNNED);
  });

  it('is not listened to after a few publications that are not valid', async () => {
    const { network, honest, liar, call, link, score } = await beset('invalid');
    await link();
    const { identity, clock, random } = {
      identity: liar.node.identity,
      clock: network.clock,
      random: network.simulation.random.bytes,
    };
    const good = makePublication(identity, topic, new Uint8Array(1), { time: clock.now(), random });
    const forged = { ...good.wire, signature: '1'.repeat(128) };
    for (let i = 0; i < 3; i += 1) {
      await expect(call('PUBSUB_PUSH', { publication: forged })).rejects.toThrow(/signature/);
    }
    expect(score()).toBeLessThan(SHUNNED);
    await expect(call('PUBSUB_PUSH', { publication: good.wire })).rejects.toMatchObject({
      code: 'KAD_BUSY',
    });
    expect(honest.flatMap(({ got }) => got)).toEqual([]);
    // The forgery did not use up the ID: the true one still passes by another way.
    await call('PUBSUB_PUSH', { publication: good.wire }, honest[5]);
    await network.clock.run(5_000);
    expect(honest.every(({ got }) => got.includes(good.id))).toBe(true);
  });

  it('can flood nobody: neither with requests nor with publications', async () => {
    const { network, honest, liar, victim, score } = await beset('flood');
    const { clock } = network;
    const random = network.simulation.random.bytes;
    network.requests('PUBSUB_PUSH');
    const sending = Array.from({ length: 700 }, () => {
      const time = clock.now();
      const { wire } = makePublication(liar.node.identity, topic, new Uint8Array(9), {
        time,
        random,
      });
      return liar.node.call(victim.node.contact, 'PUBSUB_PUSH', { publication: wire });
    });
    const results = await clock.settle(Promise.allSettled(sending));
    const refused = results.filter(({ status }) => status === 'rejected').length;
    await clock.run(10_000);
    // 250 at once is what one publisher may, and 50 a second after that.
    const { length } = victim.got;
    expect(length).toBeGreaterThanOrEqual(250);
    expect(length).toBeLessThan(270);
    expect(refused).toBe(700 - length);
    expect(score()).toBeLessThan(0);
    // What was sent on is a tree's worth, and not a mesh's.
    expect(network.requests('PUBSUB_PUSH') - 700).toBeLessThan(length * honest.length * 3);
    const { id: later } = await network.publish('t', honest[3]!);
    expect(honest.every(({ got }) => got.includes(later))).toBe(true);
  });

  it('cannot take a topic or a node down by flooding a topic under many names', async () => {
    const { network, honest, victim } = await beset('sybils', 6);
    await network.subscribe('calm', honest);
    const random = network.simulation.random.bytes;
    const sending: Promise<unknown>[] = [];
    for (let i = 0; i < 8; i += 1) {
      const { node } = network.make();
      await node.start();
      for (let n = 0; n < 250; n += 1) {
        const time = network.clock.now();
        const { wire } = makePublication(node.identity, topic, new Uint8Array(9), { time, random });
        sending.push(node.call(victim.node.contact, 'PUBSUB_PUSH', { publication: wire }));
      }
    }
    await network.clock.settle(Promise.allSettled(sending));
    // 1,000 at once of a topic, and 150 a second after that.
    expect(victim.got.length).toBeGreaterThanOrEqual(1000);
    expect(victim.got.length).toBeLessThan(1100);
    const { id: calm } = await network.publish('calm', honest[3]!);
    expect(honest.every(({ got }) => got.includes(calm))).toBe(true);
    await network.clock.run(60_000);
    const { id: after } = await network.publish('t', honest[4]!);
    expect(honest.every(({ got }) => got.includes(after))).toBe(true);
  });

  it('is found out when it does not give what it names', async () => {
    const { network, victim, liar, call, link, score } = await beset('promises');
    await link();
    network.requests('PUBSUB_GRAFT');
    for (let round = 0; round < 3; round += 1) {
      const ids = Array.from({ length: 500 }, (_, i) => id(round * 500 + i + 1));
      await call('PUBSUB_HAVE', { have: { [topic]: ids } }).catch(() => undefined);
      await network.clock.run(2_000);
    }
    expect(score()).toBeLessThan(SHUNNED);
    // It was asked a few times, not once for each of the IDs.
    expect(network.requests('PUBSUB_GRAFT')).toBeLessThan(60);
    const neighbours = victim.pubsub.neighbours('t');
    await expect(call('PUBSUB_NEIGHBOUR', { topic, needy: true, have: [] })).rejects.toMatchObject({
      code: 'KAD_BUSY',
    });
    expect(victim.pubsub.neighbours('t')).toBe(neighbours);
    expect(liar.got).toEqual([]);
  });

  it('gets only so much by asking for everything again and again', async () => {
    const { network, honest, liar, victim, score } = await beset('grafts', 4);
    const payload = new Uint8Array(32 * 1024);
    const ids: string[] = [];
    for (let i = 0; i < 8; i += 1) {
      const publishing = honest[1]!.pubsub.publish('t', payload);
      await network.clock.run(500);
      ids.push((await network.clock.settle(publishing)).id);
    }
    let bytes = 0;
    let refusals = 0;
    for (let i = 0; i < 80; i += 1) {
      const asking = liar.node.call(victim.node.contact, 'PUBSUB_GRAFT', { topic, ids });
      asking.then(
        (answer) =>
          (bytes += (answer as { publications: unknown[] }).publications.length * 32 * 1024),
        () => (refusals += 1),
      );
    }
    await network.clock.run(1_000);
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(refusals).toBeGreaterThan(0);
    expect(score()).toBeLessThan(0);
  });

  it('cannot fill a topic, announce others, or take all places of a neighbour', async () => {
    const { network, liar, victim, call } = await beset('places', 30);
    const now = network.clock.now();
    const other = network.make().node;
    const record = makeRecord(other.identity, other.contact, topic, now + 60_000);
    await expect(call('PUBSUB_ANNOUNCE', { topic, record })).rejects.toThrow(/address|own/);
    const own = makeRecord(liar.node.identity, liar.node.contact, topic, now + 60_000);
    const forged = { ...own, expires: now + 70_000 };
    await expect(call('PUBSUB_ANNOUNCE', { topic, record: forged })).rejects.toThrow(/signature/);
    expect(await call('PUBSUB_ANNOUNCE', { topic, record: own })).toMatchObject({ kept: true });
    // Many identities at one address: two of them may be neighbours.
    let accepted = 0;
    for (let i = 0; i < 10; i += 1) {
      const sybil = network.make({}, { ip: `30.1.1.${i + 1}` });
      await sybil.node.start();
      const answer = await network.clock.settle(
        sybil.node.call(victim.node.contact, 'PUBSUB_NEIGHBOUR', { topic, needy: true, have: [] }),
      );
      if ((answer as { accepted: boolean }).accepted) accepted += 1;
    }
    expect(accepted).toBe(2);
    expect(victim.pubsub.neighbours('t')).toBeLessThanOrEqual(9);
  });

  it('breaks nothing with parameters of any form', async () => {
    const { network, honest, liar, victim } = await beset('forms');
    const methods = ['PUSH', 'HAVE', 'GRAFT', 'NEIGHBOUR', 'LEAVE', 'KEEP', 'ANNOUNCE', 'FIND'];
    const values = [null, 7, 'x', [], {}, { topic }, { topic, ids: [1] }, { have: { [topic]: 3 } }];
    const forms = [...values, { topics: [topic, 'x'] }, { topic, contacts: {} }, { filter: [1] }];
    for (const method of [...methods, 'FILTER', 'SEEK', 'PULL']) {
      for (const params of forms) {
        await network.clock.settle(
          liar.node
            .call(victim.node.contact, `PUBSUB_${method}`, params)
            .catch((error: unknown) => {
              expect(error).not.toMatchObject({ remoteCode: 'KAD_INTERNAL' });
            }),
        );
      }
    }
    const { id: sent } = await network.publish('t', honest[2]!);
    expect(honest.every(({ got }) => got.includes(sent))).toBe(true);
  });
});
