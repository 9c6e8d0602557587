import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, silentLogger, systemRandom } from '@granary/kad';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { FarmerDirectory, type OfferMaking } from './farmer-directory.js';
import { LmdbRecords } from './lmdb-records.js';
import type { NetworkAccess } from './network-access.js';
import type { FarmerRecord } from './records.js';
import { type RenterStore, openRenterStore } from './renter-store.js';
import { newReputation } from './reputation.js';

/** A clock whose timers run when it is told that their time has come. */
class HandClock implements Clock {
  private time = 0;
  private readonly timers = new Set<{ at: number; run: () => void }>();
  now(): number {
    return this.time;
  }
  setTimeout(run: () => void, ms: number): unknown {
    const timer = { at: this.time + ms, run };
    this.timers.add(timer);
    return timer;
  }
  clearTimeout(timer: unknown): void {
    this.timers.delete(timer as { at: number; run: () => void });
  }
  get waiting(): number {
    return this.timers.size;
  }
  pass(ms: number): void {
    this.time += ms;
    for (const timer of [...this.timers].filter(({ at }) => at <= this.time)) {
      this.timers.delete(timer);
      timer.run();
    }
  }
}

const record = (i: number): FarmerRecord => ({
  contact: {
    nodeId: i.toString(16).padStart(64, '0'),
    publicKey: '',
    addresses: [`https://10.0.${i}.1:4600`],
    protocolVersion: 1,
    sequence: 1,
    signature: '',
  },
  terms: {
    version: 1,
    freeBytes: 1e9,
    maxShardSize: 1e9,
    maxDurationMs: 1e9,
    currency: 'credit',
    storagePrice: '0',
    egressPrice: '0',
    operator: null,
    leaving: false,
    payment: { settlement: 'ledger', contract: null, creditLimit: '0' },
  },
  latencyMs: 5,
  seen: 0,
  failures: 0,
  reputation: newReputation(0),
});

const network = {} as NetworkAccess; // nobody is asked within the first minute
const offers = { round: { close: () => undefined } } as unknown as OfferMaking;
let directory: string;
let store: RenterStore;
let clock: HandClock;
let farmers: FarmerDirectory;
const nodeIds = [1, 2, 3].map((i) => record(i).contact.nodeId);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-directory-'));
  store = await openRenterStore(await LmdbRecords.open(directory), systemRandom(32));
});
afterAll(async () => {
  await store.close();
  await rm(directory, { recursive: true, force: true });
});
beforeEach(async () => {
  clock = new HandClock();
  farmers = new FarmerDirectory(store, network, clock, systemRandom, silentLogger, offers);
  for (const i of [1, 2, 3]) await store.changeFarmer(nodeIds[i - 1]!, () => record(i));
});

const failures = async () => (await farmers.available()).map((one) => one.failures);

it('gives the same records while nothing changes, and new ones with every change of its own', async () => {
  const before = await farmers.available();
  expect(before).toHaveLength(3);
  const again = await farmers.available();
  expect(again).not.toBe(before);
  again.forEach((one, i) => expect(one).toBe(before[i]));
  await farmers.report(nodeIds[1]!, false);
  expect(await failures()).toEqual([0, 1, 0]);
  // Read while it was being changed.
  const changed = farmers.report(nodeIds[0]!, false);
  await Promise.all([changed, farmers.available(), farmers.available()]);
  expect(await failures()).toEqual([1, 1, 0]);
});

it('sees what another process has changed some seconds later', async () => {
  expect(await failures()).toEqual([0, 0, 0]);
  await store.changeFarmer(nodeIds[2]!, (known) => ({ ...known!, failures: 7 }));
  clock.pass(4_999);
  expect(await failures()).toEqual([0, 0, 0]);
  clock.pass(1);
  expect(await failures()).toEqual([0, 0, 7]);
});

it('keeps nothing for longer than that, and nothing once it is closed', async () => {
  await farmers.available();
  expect(clock.waiting).toBe(1);
  clock.pass(5_000);
  expect(clock.waiting).toBe(0);
  await farmers.available();
  await farmers.report(nodeIds[0]!, false);
  expect(clock.waiting).toBe(0);
  await farmers.available();
  farmers.close();
  expect(clock.waiting).toBe(0);
  await farmers.available();
  expect(clock.waiting).toBe(0);
});

it('walks through the network in several directions at one time', async () => {
  const targets = new Set<string>();
  let goOn: () => void;
  const all = new Promise<void>((resolve) => (goOn = resolve));
  const node = {
    lookup: (target: string) => {
      // None of them ends before the last has begun.
      if (targets.add(target).size === 4) goOn();
      return all;
    },
    contacts: () => [],
    routingTable: { size: 0 },
    options: { k: 20 },
  };
  const walking = new FarmerDirectory(
    store,
    { node, join: () => Promise.resolve() } as unknown as NetworkAccess,
    clock,
    systemRandom,
    silentLogger,
    { ...offers, when: 'never' },
  );
  await walking.available({ refresh: true });
  expect(targets.size).toBe(4);
  walking.close();
});
