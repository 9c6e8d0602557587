import { beforeEach, describe, expect, it } from 'vitest';
import { VirtualClock, silentLogger } from '@granary/kad';
import type { FarmerConnection } from './farmer-connection.js';
import { type ShardFetching, fetchShards } from './segment-download.js';
import { inlineEngine } from './segment-engine.js';
import { defaultSettings } from './settings.js';

const K = 3;
const SHARDS = 6;
const SIZE = 4 * 1024 * 1024;
const names = Array.from({ length: SHARDS }, (_, i) => `farmer ${i}`);
const shards = names.map((farmer, index) => ({
  index,
  farmer,
  contract: `contract ${index}`,
  hash: 'hash',
}));
const whole = { shardOffset: 0, shardLength: SIZE };

describe('the farmers that are asked for the shards of a segment', () => {
  let clock: VirtualClock;
  let asked: string[];
  /** What each farmer does that was asked. */
  let farmers: Map<
    string,
    { give(): void; fail(error: Error): void; say(bytes: number): void; readonly stopped: boolean }
  >;
  let failures: string[];

  const core = (): ShardFetching => ({
    pool: {
      doubts: () => false,
      use: (farmer, signal, work) => {
        asked.push(farmer);
        const connection = {
          download: (_place, range, onBytes) =>
            new Promise<Uint8Array>((resolve, reject) => {
              signal.addEventListener('abort', () => reject(signal.reason as Error));
              farmers.set(farmer, {
                give: () => resolve(new Uint8Array(range.length)),
                fail: reject,
                say: onBytes,
                get stopped() {
                  return signal.aborted;
                },
              });
            }),
        } as Pick<FarmerConnection, 'download'>;
        return work(connection as FarmerConnection);
      },
    },
    directory: {
      records: () => Promise.resolve(new Map()),
      report: (farmer, good) => {
        if (!good) failures.push(farmer);
        return Promise.resolve();
      },
    },
    store: { changeContract: () => Promise.resolve() },
    settings: defaultSettings,
    engine: inlineEngine,
    clock,
    logger: silentLogger,
  });
  const fetch = (stretch = whole): Promise<number[]> => {
    const { signal } = new AbortController();
    const segment = { index: 0, shardSize: SIZE, shards };
    const got = fetchShards(core(), segment, stretch, K, () => undefined, signal);
    const found = got.then((map) => [...map.keys()].sort());
    // Whoever awaits it is told; until then nobody does.
    found.catch(() => undefined);
    return found;
  };
  const give = async (...indices: number[]) => {
    for (const i of indices) farmers.get(names[i]!)!.give();
    await clock.run(0);
  };

  beforeEach(() => {
    clock = new VirtualClock();
    asked = [];
    farmers = new Map();
    failures = [];
  });

  it('are k of them, while none is slow', async () => {
    const result = fetch();
    await clock.run(90);
    await give(0);
    // Twice as long as the first took is not over yet.
    await clock.run(80);
    await give(1, 2);
    expect(await result).toEqual([0, 1, 2]);
    expect(asked).toEqual(names.slice(0, 3));
  });

  it('are one more when one needs twice as long as the quickest, whatever it sends', async () => {
    const result = fetch();
    await clock.run(300);
    await give(0);
    expect(asked).toHaveLength(3);
    for (let i = 0; i < 6; i += 1) {
      await clock.run(50);
      for (const name of names.slice(1, 3)) farmers.get(name)!.say(1000);
    }
    await clock.run(10);
    // Two are slow, one is asked instead: extraReads says how many.
    expect(asked).toEqual(names.slice(0, 4));
    const slow = farmers.get(names[2]!)!;
    await give(3, 1);
    expect(await result).toEqual([0, 1, 3]);
    expect(slow.stopped).toBe(true);
    expect(failures).toEqual([]);
  });

  it('are as many more as say nothing for a second', async () => {
    const result = fetch();
    await clock.run(900);
    farmers.get(names[0]!)!.say(1000);
    await clock.run(150);
    expect(asked).toEqual(names.slice(0, 5));
    await give(0, 3, 4);
    expect(await result).toEqual([0, 3, 4]);
  });

  it('are replaced when they fail', async () => {
    const result = fetch();
    await clock.run(10);
    farmers.get(names[1]!)!.fail(new Error('gone'));
    await clock.run(0);
    expect(asked).toEqual(names.slice(0, 4));
    await give(0, 2, 3);
    expect(await result).toEqual([0, 2, 3]);
    expect(failures).toEqual([names[1]]);
  });

  it('are one more from the beginning for a short stretch', async () => {
    const result = fetch({ shardOffset: 0, shardLength: 64 * 1024 });
    await clock.run(0);
    expect(asked).toEqual(names.slice(0, 4));
    await give(3, 1, 0);
    expect(await result).toEqual([0, 1, 3]);
    expect(farmers.get(names[2]!)!.stopped).toBe(true);
  });

  it('are too few when more than n - k fail, which the error says', async () => {
    const result = fetch();
    for (let i = 0; i < 4; i += 1) {
      await clock.run(10);
      farmers.get(asked.at(-1)!)!.fail(new Error(`lost ${i}`));
    }
    await clock.run(10);
    await give(0, 1);
    await expect(result).rejects.toMatchObject({
      code: 'RENTER_NOT_ENOUGH_SHARDS',
      message: expect.stringContaining('2 of the 3 shards needed') as string,
    });
  });
});
