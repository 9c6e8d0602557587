import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@granary/kad';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Leases } from './leases.js';
import { LmdbRecords } from './lmdb-records.js';
import { processSpace } from './process-space.js';
import { type RenterStore, openRenterStore } from './renter-store.js';

let directory: string;
let store: RenterStore;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-leases-'));
  const records = await LmdbRecords.open(directory);
  // As if it were shared by several machines.
  Object.defineProperty(records, 'reach', { value: 'network' });
  store = await openRenterStore(records, systemRandom(32));
});
afterAll(async () => {
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

it.skipIf(process.platform !== 'linux')(
  'does not wait for a process that is known to be gone, and waits for one that may be there',
  async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    const leases = new Leases(store, systemClock, systemRandom, process.pid);
    const now = systemClock.now();
    const held = (lease: { process: number; space?: string }) =>
      store.takeLease('index', { ...lease, token: 't', expires: now + 60_000 }, now, () => false);
    const taken = async () => (await leases.alone('index', () => Promise.resolve('done')))?.result;
    const gone = { process: child.pid!, space: processSpace()! };

    await held(gone);
    expect(await taken()).toBe('done');
    for (const other of [
      { ...gone, space: 'another machine' },
      // What an older Granary wrote.
      { process: gone.process },
      { ...gone, process: process.ppid },
    ]) {
      await held(other);
      expect(await taken()).toBeUndefined();
    }
  },
);
