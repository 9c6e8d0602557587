import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Identity, silentLogger, systemClock } from '@granary/kad';
import { acceptContract, proposeContract } from '@granary/protocol';
import { ContractBook } from './contract-book.js';
import { contractTerms } from './contract-terms.test-support.js';
import { ShardStore } from './shard-store.js';

const farmer = Identity.generate();
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-endings-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

it('counts what ends when, in slices, without what is deleted or only reserved', async () => {
  const now = Date.now();
  const DAY = 24 * 3600 * 1000;
  const book = ContractBook.open(join(directory, 'contracts.lmdb'));
  await book.seal();
  const renters = [Identity.generate(), Identity.generate(), Identity.generate()];
  const contracts = renters.map((renter) =>
    acceptContract(
      farmer,
      proposeContract(renter, contractTerms({ renter, farmer }, Buffer.alloc(10), {}, now)),
    ),
  );
  const writes: Promise<void>[] = [];
  const add = (i: number, end: number, state: 'stored' | 'reserved' | 'deleted') => {
    const hash = i.toString(16).padStart(64, '0');
    writes.push(book.put(hash, { state, size: 0, end, reservedUntil: end }, contracts[i % 3]));
  };
  // More than two slices that all end at one time, so that a slice ends among equals.
  for (let i = 0; i < 4500; i += 1) add(i, now + DAY / 2, 'stored');
  for (let i = 4500; i < 4600; i += 1) add(i, now + 3 * DAY, 'stored');
  for (let i = 4600; i < 4700; i += 1) add(i, now + DAY / 2, 'deleted');
  for (let i = 4700; i < 4800; i += 1) add(i, now + DAY / 2, 'reserved');
  for (let i = 4800; i < 4900; i += 1) add(i, now + 40 * DAY, 'stored');
  await Promise.all(writes);
  await book.close();
  const store = await ShardStore.open({
    directory,
    quotaBytes: 1_000_000,
    reservationMs: 1000,
    graceMs: 1000,
    clock: systemClock,
    logger: silentLogger,
  });
  try {
    const { signal } = new AbortController();
    expect(await store.endings([now + DAY, now + 7 * DAY, now + 30 * DAY], signal)).toEqual([
      4500, 4600, 4600,
    ]);
    expect(store.countRenters(100)).toBe(3);
    expect(store.countRenters(2)).toBe(2);
    await expect(
      store.endings([now + DAY], AbortSignal.abort(new Error('enough'))),
    ).rejects.toThrow('enough');
  } finally {
    await store.close();
  }
}, 60_000);
