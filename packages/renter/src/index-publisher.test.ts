import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { rootKeyOf } from '@granary/protocol';
import { TestGranary, put } from './care.test-support.js';
import type { Renter } from './index.js';

let granary: TestGranary;
let renter: Renter;

beforeAll(async () => {
  granary = await TestGranary.start(7);
  renter = await granary.renter();
});
afterAll(() => granary.stop());

describe('the index in the network', () => {
  it('is handed to the same nodes for a minute without looking them up, unless one is gone', async () => {
    const key = rootKeyOf(granary.keys.identity.nodeId);
    const lookups = vi.spyOn(renter.node, 'lookup');
    const asked = () => lookups.mock.calls.filter(([target]) => target === key).length;
    const store = async (name: string) => {
      const { indexFailure } = await put(renter, name, randomBytes(5_000));
      expect(indexFailure).toBeNull();
    };

    await store('first');
    expect(asked()).toBe(1);
    for (const name of ['second', 'third']) await store(name);
    expect(asked()).toBe(1);

    granary.clock.shift += 61_000;
    await store('a minute later');
    expect(asked()).toBe(2);

    await granary.remove(granary.farmers.at(-1)!);
    await store('when one is gone');
    expect(asked()).toBe(3);

    const other = await granary.renter('other');
    expect((await other.recover()).objects).toBe(5);
  });
});
