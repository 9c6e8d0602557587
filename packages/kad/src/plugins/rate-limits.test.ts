import { describe, expect, it } from 'vitest';
import type { KadError } from '../errors.js';
import type { IncomingRequest } from '../rpc-channel.js';
import { grown } from './plugins.test-support.js';
import { RateLimits } from './rate-limits.js';
import { VirtualClock } from '../simulator/virtual-clock.js';
import type { PluginHost } from '../plugin.js';

const codeOf = (run: () => unknown) => {
  try {
    run();
    return 'taken';
  } catch (error) {
    return (error as KadError).code;
  }
};

describe('rate limits', () => {
  it('refuse a peer beyond its burst, by itself, and take it again later', async () => {
    const { simulation, nodes } = await grown('rates', 3, () => ({
      plugins: [new RateLimits({ perPeer: { perSecond: 10, burst: 50 } })],
    }));
    const [target, greedy, modest] = nodes as [
      (typeof nodes)[0],
      (typeof nodes)[0],
      (typeof nodes)[0],
    ];
    await simulation.clock.run(60_000);
    const calls = Array.from({ length: 80 }, () => greedy.ping(target.contact));
    const results = await simulation.clock.settle(Promise.allSettled(calls));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(30);
    for (const { reason } of refused) expect(reason).toMatchObject({ remoteCode: 'KAD_BUSY' });
    await simulation.clock.settle(modest.ping(target.contact));
    await simulation.clock.run(1000);
    await simulation.clock.settle(greedy.ping(target.contact));
  });

  it('count by network before a message is looked at, and leave loopback out', () => {
    const clock = new VirtualClock();
    const limits = new RateLimits({ perGroup: { perSecond: 1, burst: 3 } });
    const hooks = limits.install({ clock } as unknown as PluginHost);
    const message = (address: string) => codeOf(() => hooks.onMessage!({ address }, 100));
    expect(['1', '2', '3', '4'].map((n) => message(`20.1.1.${n}`))).toEqual([
      'taken',
      'taken',
      'taken',
      'KAD_BUSY',
    ]);
    expect(message('20.1.2.1')).toBe('taken');
    expect(message('2001:db8:1:2::1')).toBe('taken');
    for (let i = 0; i < 10; i += 1) expect(message('127.0.0.1')).toBe('taken');
  });

  it('remember a bounded number of peers', async () => {
    const clock = new VirtualClock();
    const hooks = new RateLimits({ perPeer: { perSecond: 0, burst: 1 } }).install({
      clock,
    } as unknown as PluginHost);
    const ask = (n: number) =>
      hooks.onRequest!({ sender: { nodeId: `${n}` } } as unknown as IncomingRequest, () =>
        Promise.resolve('ok'),
      );
    for (let n = 0; n <= 10_000; n += 1) await ask(n);
    // The first was forgotten, the last was not.
    await expect(ask(10_000)).rejects.toMatchObject({ code: 'KAD_BUSY' });
    await expect(ask(0)).resolves.toBe('ok');
  });
});
