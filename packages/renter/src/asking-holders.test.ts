import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Identity, signContact, silentLogger, systemRandom } from '@granary/kad';
import { ShiftedClock, TestGranary, put } from './care.test-support.js';
import { ConnectionPool } from './connection-pool.js';
import { RenterError } from './errors.js';

let granary: TestGranary;
beforeEach(async () => {
  granary = await TestGranary.start(5);
});
afterEach(() => granary.stop());

it('asks all holders at one time, and tells of each whether it is there', async () => {
  const renter = await granary.renter();
  await put(renter, 'file', randomBytes(10_000));
  const path = { bucket: 'test', name: 'file' };
  const gone = granary.farmers.slice(2).map(({ contact }) => contact.nodeId);
  const left = granary.farmers.slice(0, 2).map(({ contact }) => contact.nodeId);
  for (const nodeId of gone) await granary.remove(granary.farmer(nodeId));
  const heard = new Map<string, boolean[]>();
  const silent = await renter.askHolders(path, {
    onAnswer: (nodeId, answered) => heard.set(nodeId, [...(heard.get(nodeId) ?? []), answered]),
  });
  expect(silent.sort()).toEqual([...gone].sort());
  expect([...heard.keys()].sort()).toEqual([...gone, ...left].sort());
  for (const nodeId of gone) expect(heard.get(nodeId)).toEqual([false]);
  for (const nodeId of left) expect(heard.get(nodeId)).toEqual([true]);
  const stopped = renter.askHolders(path, { signal: AbortSignal.abort(new Error('enough')) });
  await expect(stopped).rejects.toThrow('enough');
  const nothing = renter.askHolders({ bucket: 'test', name: 'none' });
  await expect(nothing).rejects.toMatchObject({ code: 'RENTER_NOT_FOUND' });
});

it('doubts a farmer for a while that could not be reached, so that others are read from first', async () => {
  const clock = new ShiftedClock();
  const [identity, other] = [Identity.generate(), Identity.generate()];
  const contact = signContact(other, { addresses: ['https://127.0.0.1:9'], sequence: 1 });
  const pool = new ConnectionPool(
    {
      identity,
      clock,
      random: systemRandom,
      connectTimeoutMs: 5_000,
      stallTimeoutMs: 5_000,
    },
    {
      contactOf: (_nodeId, lookAgain) =>
        lookAgain === true
          ? Promise.reject(new RenterError('RENTER_TRANSFER', 'not in the network'))
          : Promise.resolve(contact),
    },
    () => Promise.resolve(false),
    silentLogger,
  );
  const { nodeId } = other;
  expect(pool.doubts(nodeId, 1_000)).toBe(false);
  const signal = new AbortController().signal;
  await expect(pool.use(nodeId, signal, () => Promise.resolve(1))).rejects.toThrow();
  expect(pool.doubts(nodeId, 1_000)).toBe(true);
  expect(pool.doubts(identity.nodeId, 1_000)).toBe(false);
  clock.shift = 31_000;
  expect(pool.doubts(nodeId, 1_000)).toBe(false);
  pool.close();
});
