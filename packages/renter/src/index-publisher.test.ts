import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { rootKeyOf } from '@granary/protocol';
import { all } from './all.js';
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

  // Few enough for the root record alone, and so many that there are parts.
  it.each([30, 140])(
    'leads to all that two processes did in turn, %i times',
    async (times) => {
      const granary = await TestGranary.start(6, { audits: 0 });
      onTestFinished(() => granary.stop());
      const one = await granary.renter('shared');
      const two = await granary.renter('shared');
      const expected = new Map<string, string>();
      const scheme = { k: 1, repair: 1, success: 4, n: 5 };
      for (let i = 0; i < times; i += 1) {
        // Runs of one process, so that each has lines of its own that the other's changes make old.
        const process = i % 7 < 4 ? one : two;
        const name = `object-${i % 5 === 4 ? i % 7 : i}`;
        const text = `content ${i}`;
        const stream = (async function* () {
          yield await Promise.resolve(Buffer.from(text));
        })();
        const path = { bucket: 'turns', name };
        const put = await process.put(path, { kind: 'stream', stream }, { scheme });
        expect(put.indexFailure).toBeNull();
        expected.set(name, text);
        if (i % 11 === 10) {
          await process.delete(path);
          expected.delete(name);
        }
      }
      const fresh = await granary.renter('recovered');
      await fresh.recover();
      const names = (await all(fresh.list('turns'))).map((found) => found.name);
      expect(names).toEqual([...expected.keys()].sort());
      for (const [name, content] of expected) {
        const parts = await all(fresh.get({ bucket: 'turns', name }));
        expect(Buffer.concat(parts).toString(), name).toBe(content);
      }
    },
    120_000,
  );
});
