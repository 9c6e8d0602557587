import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Contact, signContact } from '../contact.js';
import { Identity } from '../identity.js';
import { seededRandom } from '../seeded-random.test-support.js';
import { HaveQueue, MAX_IDS } from './have-queue.js';
import { MessageCache } from './message-cache.js';
import { Missing } from './missing.js';
import { PeerScores, SHUNNED } from './peer-scores.js';
import { makePublication } from './publication.js';
import { RecordStore, defaultRecordLimits } from './record-store.js';
import { SeenCache } from './seen-cache.js';
import { ServeBudget } from './serve-budget.js';
import { makeRecord, parseRecord } from './subscription-record.js';
import { hashTopic } from './topic.js';

const random = seededRandom('bounded');
const topic = hashTopic('t');
const peer = (address = 'https://9.9.9.9:1') => {
  const identity = Identity.generate(random);
  const contact = signContact(identity, { addresses: [address], sequence: 1 });
  return { identity, contact };
};
const id = (n: number) => n.toString(16).padStart(64, '0');

it('remembers every ID for the time that it says, whatever the order, and takes none beyond its limit', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ step: fc.nat(60), key: fc.nat(20) }), { maxLength: 200 }),
      (events) => {
        const seen = new SeenCache(100, 15, 0);
        const added = new Map<number, number>();
        let now = 0;
        for (const { step, key } of events) {
          now += step;
          const last = added.get(key);
          const taken = seen.add(id(key), now);
          if (last !== undefined && now - last < 100) expect(taken).toBe(false);
          if (taken) added.set(key, now);
          expect(seen.size).toBeLessThanOrEqual(30);
        }
      },
    ),
  );
});

it('keeps recent publications within its bounds', () => {
  const identity = Identity.generate(random);
  const cache = new MessageCache({ keepMs: 100, bytes: 20_000, count: 5 });
  const made = Array.from({ length: 8 }, (_, i) => {
    const publication = makePublication(identity, topic, new Uint8Array(10), { time: i, random });
    cache.add(publication, i);
    return publication;
  });
  expect(cache.size).toBe(5);
  expect(cache.get(made[2]!.id)).toBeUndefined();
  expect(cache.recent(topic, 6, 10)).toEqual([made[7]!.id, made[6]!.id]);
  cache.add(makePublication(identity, topic, new Uint8Array(6000), { time: 9, random }), 9);
  expect(cache.size).toBe(1);
  cache.expire(200);
  expect(cache.size).toBe(0);
});

describe('what is missing', () => {
  it('is asked for from one source after the other', () => {
    const missing = new Missing();
    const [a, b] = [peer().contact, peer().contact];
    missing.heard(id(1), a, 10);
    missing.heard(id(1), b, 10);
    expect(missing.take(5, 9)).toEqual([]);
    expect(missing.take(10, 9)).toEqual([{ contact: a, ids: [id(1)] }]);
    expect(missing.take(10, 9)).toEqual([]);
    missing.failed(id(1), 20);
    expect(missing.take(20, 9)).toEqual([{ contact: b, ids: [id(1)] }]);
    missing.failed(id(1), 30);
    expect(missing.size).toBe(0);
  });

  it('is bounded for one peer and for all', () => {
    const missing = new Missing();
    for (let p = 0; p < 6; p += 1) {
      const { contact } = peer();
      for (let i = 0; i < 1000; i += 1) missing.heard(id(p * 1000 + i), contact, 0);
      expect(missing.size).toBe(Math.min(2048, (p + 1) * 512));
    }
    missing.settle(id(0));
    expect(missing.size).toBe(2047);
  });
});

it('tells a peer each ID once, and at most so many', () => {
  const queue = new HaveQueue();
  const { contact } = peer();
  for (let i = 0; i < 2 * MAX_IDS; i += 1) queue.add(contact, topic, id(i));
  queue.add(contact, topic, id(0));
  queue.remove(contact.nodeId, topic, id(1));
  const [told] = queue.take();
  expect(told!.have[topic]).toHaveLength(MAX_IDS - 1);
  expect(queue.isEmpty).toBe(true);
});

it('gives one peer no more than its share on request', () => {
  const budget = new ServeBudget(100, 1000);
  expect(budget.take('a', 60, 0)).toBe(true);
  expect(budget.take('a', 60, 1)).toBe(false);
  expect(budget.take('b', 60, 1)).toBe(true);
  expect(budget.take('a', 60, 1000)).toBe(true);
});

it('shuns who misbehaves, and forgives with time', () => {
  const scores = new PeerScores({ perSecond: 1, burst: 3 });
  for (let i = 0; i < 3; i += 1) scores.penalise('a', 'invalid', 0);
  expect(scores.scoreOf('a', 0)).toBeLessThan(SHUNNED);
  expect(() => scores.admit('a', 0)).toThrow(expect.objectContaining({ code: 'KAD_BUSY' }));
  expect(() => scores.admit('a', 3_600_000)).not.toThrow();
  for (let i = 0; i < 3; i += 1) scores.admit('b', 0);
  expect(() => scores.admit('b', 0)).toThrow(/slow down/);
  expect(scores.scoreOf('b', 0)).toBeLessThan(0);
});

describe('records of subscriptions', () => {
  const at = (n: number) => `https://${20 + (n >> 8)}.${n & 255}.1.1:1`;
  const record = (address: string, expires = 1000) => {
    const { identity, contact } = peer(address);
    return makeRecord(identity, contact, topic, expires);
  };

  it('are a sample in which a late subscriber is as likely as an early one', () => {
    const records = Array.from({ length: 160 }, (_, i) => record(at(i)));
    let late = 0;
    const rounds = 30;
    for (let round = 0; round < rounds; round += 1) {
      const store = new RecordStore(random, 0);
      for (const entry of records) store.add(entry, 0);
      expect(store.count(topic)).toBe(defaultRecordLimits.perTopic);
      late += store.sample(topic, 40, 0).filter((entry) => records.indexOf(entry) >= 80).length;
    }
    // Half of 1,200 on average; the standard deviation is below 18.
    expect(late / rounds).toBeGreaterThan(16);
    expect(late / rounds).toBeLessThan(24);
  });

  it('are few of one address group, of any one node, and of all topics, and end', () => {
    const store = new RecordStore(random, 0, {
      ...defaultRecordLimits,
      topics: 3,
      topicsPerNode: 5,
    });
    for (let i = 0; i < 50; i += 1) store.add(record('https://20.1.1.1:1'), 0);
    expect(store.count(topic)).toBe(2);
    expect(store.sample(topic, 9, 1000)).toEqual([]);
    const { identity, contact } = peer();
    const kept = Array.from({ length: 8 }, (_, i) =>
      store.add(makeRecord(identity, contact, id(i), 1000), 0),
    );
    expect(kept.filter((yes) => yes)).toHaveLength(5);
    expect(store.count(topic)).toBe(0);
  });

  it('are refused when they are of another topic, expired, or signed by somebody else', () => {
    const made = record(at(1));
    const limits = { topic, now: 500, lifeMs: 1000 };
    const sent = JSON.parse(JSON.stringify(made)) as typeof made;
    expect(parseRecord(sent, limits)).toEqual(made);
    const parse =
      (change: object, more = {}) =>
      () =>
        parseRecord({ ...sent, ...change }, { ...limits, ...more });
    expect(parse({ topic: id(3) })).toThrow(/another topic/);
    expect(parse({}, { now: 1000 })).toThrow(/expired/);
    expect(parse({ expires: 2_000_000 })).toThrow(/lives too long/);
    expect(parse({ expires: 999 })).toThrow(/signature/);
    expect(parse({ signature: '' })).toThrow(/128/);
    const other: Contact = JSON.parse(JSON.stringify(peer(at(2)).contact)) as Contact;
    expect(parse({ contact: other })).toThrow(/signature/);
  });
});
