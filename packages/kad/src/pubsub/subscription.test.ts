import { describe, expect, it } from 'vitest';
import { Identity } from '../identity.js';
import { silentLogger } from '../logger.js';
import { seededRandom } from '../seeded-random.test-support.js';
import { makePublication } from './publication.js';
import { type SubscribeOptions, Subscription } from './subscription.js';
import { hashTopic } from './topic.js';

const random = seededRandom('subscriptions');
const identity = Identity.generate(random);
const publication = (n: number) =>
  makePublication(identity, hashTopic('t'), new Uint8Array([n]), { time: n, random });

function open(options: SubscribeOptions = {}) {
  let ended = 0;
  const subscription = new Subscription('t', options, silentLogger, () => (ended += 1));
  return { subscription, ended: () => ended };
}

describe('a subscription', () => {
  it('gives what came, in order, and ends when it is closed', async () => {
    const { subscription, ended } = open();
    for (const n of [1, 2, 3]) subscription.offer(publication(n));
    const got: number[] = [];
    for await (const { payload, topic } of subscription) {
      got.push(payload[0]!);
      expect(topic).toBe('t');
      if (got.length === 3) setImmediate(() => subscription.close());
    }
    expect(got).toEqual([1, 2, 3]);
    expect(ended()).toBe(1);
  });

  it('is closed when the reader goes away', async () => {
    const { subscription, ended } = open();
    subscription.offer(publication(1));
    for await (const { payload } of subscription) {
      expect(payload[0]).toBe(1);
      break;
    }
    expect(ended()).toBe(1);
  });

  it('loses the oldest and counts it when its reader is too slow', async () => {
    const { subscription } = open({ queue: 2 });
    for (const n of [1, 2, 3, 4]) subscription.offer(publication(n));
    expect(subscription.dropped).toBe(2);
    expect(subscription.queued).toBe(2);
    const first = await subscription[Symbol.asyncIterator]().next();
    expect((first.value as { payload: Uint8Array }).payload[0]).toBe(3);
  });

  it('fails with an error that says so, when that is asked for', async () => {
    const { subscription, ended } = open({ queue: 1, overflow: 'fail' });
    subscription.offer(publication(1));
    subscription.offer(publication(2));
    expect(ended()).toBe(1);
    await expect(subscription[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'KAD_FULL',
    });
  });

  it('hands a handler one at a time, and goes on when it throws', async () => {
    let release = () => {};
    const calls: number[] = [];
    const { subscription } = open({
      handler: async ({ payload }) => {
        calls.push(payload[0]!);
        if (payload[0] === 1) await new Promise<void>((resolve) => (release = resolve));
        if (payload[0] === 2) throw new Error('mine');
      },
    });
    const soon = () => new Promise((resolve) => setImmediate(resolve));
    for (const n of [1, 2, 3]) subscription.offer(publication(n));
    await soon();
    expect(calls).toEqual([1]);
    release();
    await soon();
    expect(calls).toEqual([1, 2, 3]);
    subscription.close();
  });

  it('ends when its signal is aborted, and gives each reader bytes of its own', async () => {
    const controller = new AbortController();
    const { subscription, ended } = open({ signal: controller.signal });
    const sent = publication(7);
    subscription.offer(sent);
    const reader = subscription[Symbol.asyncIterator]();
    const { value } = await reader.next();
    (value as { payload: Uint8Array }).payload[0] = 0;
    expect(sent.payload[0]).toBe(7);
    const next = reader.next();
    controller.abort();
    expect((await next).done).toBe(true);
    expect(ended()).toBe(1);
    expect(() => open({ queue: 0 })).toThrow(/places/);
  });
});
