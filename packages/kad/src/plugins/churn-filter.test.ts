import { describe, expect, it } from 'vitest';
import { signContact } from '../contact.js';
import { Identity } from '../identity.js';
import type { PluginHost, PluginHooks } from '../plugin.js';
import { VirtualClock } from '../simulator/virtual-clock.js';
import { ChurnFilter } from './churn-filter.js';

const identity = Identity.generate();
const contact = (sequence: number) =>
  signContact(identity, { addresses: ['https://20.0.0.1:1'], sequence });

async function filter(): Promise<{ clock: VirtualClock; hooks: PluginHooks; heard(): unknown }> {
  const clock = new VirtualClock();
  const hooks = new ChurnFilter().install({ clock } as unknown as PluginHost);
  const reply = { result: {}, contact: contact(1) };
  const call = { to: contact(1), method: 'PING', params: {}, options: {} };
  const heard = () => hooks.onCall!(call, () => Promise.resolve(reply));
  await heard();
  return { clock, hooks, heard };
}

describe('the churn filter', () => {
  it('does not ask on hearsay who has just been silent, until it signs a newer contact', async () => {
    const { clock, hooks } = await filter();
    hooks.contactSilent!(contact(5));
    expect(hooks.admit!(contact(5), 'named to us')).toBe(false);
    expect(hooks.admit!(contact(4), 'named to us')).toBe(false);
    expect(hooks.admit!(contact(6), 'named to us')).toBe(true);
    // It answered: it may come in at once.
    expect(hooks.admit!(contact(5), 'answered us')).toBe(true);
    await clock.run(60_000);
    expect(hooks.admit!(contact(5), 'named to us')).toBe(true);
  });

  it('holds back who leaves again and again, longer each time, and forgives in the end', async () => {
    const { clock, hooks, heard } = await filter();
    const held: number[] = [];
    for (let round = 0; round < 9; round += 1) {
      await heard();
      hooks.contactSilent!(contact(round));
      hooks.contactRemoved!(contact(round), 'silent');
      const from = clock.now();
      while (!hooks.admit!(contact(round), 'answered us')) await clock.run(1000);
      held.push((clock.now() - from) / 1000);
    }
    expect(held).toEqual([0, 0, 60, 120, 240, 480, 960, 1920, 3600]);
    await clock.run(6 * 3600_000 + 1);
    await heard();
    hooks.contactSilent!(contact(20));
    hooks.contactRemoved!(contact(20), 'silent');
    expect(hooks.admit!(contact(20), 'answered us')).toBe(true);
  });

  it('blames nobody while we are cut off ourselves', async () => {
    const { clock, hooks } = await filter();
    await clock.run(120_000);
    hooks.contactSilent!(contact(5));
    expect(hooks.admit!(contact(5), 'named to us')).toBe(true);
  });
});
