import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Identity, silentLogger, systemClock } from '@granary/kad';
import { type Contract, acceptContract, contractHash, proposeContract } from '@granary/protocol';
import { contractTerms } from './contract-terms.test-support.js';
import { ShardStore } from './shard-store.js';

const renter = Identity.generate();
const farmer = Identity.generate();
let directory: string;
let store: ShardStore;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-races-'));
  store = await open();
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

const open = () =>
  ShardStore.open({
    directory,
    quotaBytes: 1_000_000,
    reservationMs: 3_600_000,
    graceMs: 0,
    clock: systemClock,
    logger: silentLogger,
  });

function contractFor(shard: Uint8Array): { hash: string; contract: Contract } {
  const terms = contractTerms({ renter, farmer }, shard);
  return {
    hash: contractHash(terms),
    contract: acceptContract(farmer, proposeContract(renter, terms)),
  };
}

async function keep(shard: Uint8Array) {
  const { hash, contract } = contractFor(shard);
  await store.reserve(hash, contract);
  const part = await store.openPartial(hash, contract.terms);
  await part.append(shard);
  await store.commit(hash, contract.terms, part);
  return { hash, contract };
}

describe('the figures of space', () => {
  it('count a shard once that is deleted on two connections at one time', async () => {
    await keep(randomBytes(100_000));
    const { hash } = await keep(randomBytes(50_000));
    const freed = await Promise.all([store.delete(hash), store.delete(hash), store.delete(hash)]);
    expect(freed.reduce((sum, bytes) => sum + bytes)).toBe(50_000);
    expect(store.usage).toMatchObject({ usedBytes: 100_000, shards: 1, freeBytes: 900_000 });
  });

  it('count a reservation once that is made on two connections at one time', async () => {
    const { hash, contract } = contractFor(randomBytes(50_000));
    await Promise.all([store.reserve(hash, contract), store.reserve(hash, contract)]);
    expect(store.usage).toMatchObject({ reservedBytes: 50_000 });
    await store.release(hash);
    expect(store.usage).toMatchObject({ reservedBytes: 0 });
  });

  it('count a reservation once that is given up and deleted at one time', async () => {
    const { hash, contract } = contractFor(randomBytes(50_000));
    await store.reserve(hash, contract);
    await Promise.all([store.release(hash), store.delete(hash), store.release(hash)]);
    expect(store.usage).toMatchObject({ reservedBytes: 0, freeBytes: 1_000_000 });
  });
});

describe('a delete', () => {
  it('of a contract not heard of yet keeps an upload out that was under way to us', async () => {
    const { hash, contract } = contractFor(randomBytes(1000));
    expect(await store.delete(hash)).toBe(0);
    await expect(store.reserve(hash, contract)).rejects.toMatchObject({ code: 'FARMER_GONE' });
  });

  it('wins over a reservation that is being written down', async () => {
    const shard = randomBytes(1000);
    const { hash, contract } = contractFor(shard);
    const reserved = store.reserve(hash, contract).then(async () => {
      const part = await store.openPartial(hash, contract.terms);
      await part.append(shard);
      await store.commit(hash, contract.terms, part);
    });
    await store.delete(hash);
    await expect(reserved).rejects.toMatchObject({ code: 'FARMER_GONE' });
    expect(store.usage).toMatchObject({ shards: 0, usedBytes: 0, reservedBytes: 0 });
    expect(await store.holds(hash)).toBe(false);
  });
});

describe('an acknowledged shard', () => {
  it('stays when a second upload of it ends', async () => {
    const shard = randomBytes(100_000);
    const { hash, contract } = await keep(shard);
    // The renter did not see the acknowledgement, and its next upload was let in before it was given.
    const part = await store.openPartial(hash, contract.terms);
    await part.append(shard);
    await store.commit(hash, contract.terms, part).catch(() => undefined);
    expect(await store.holds(hash)).toBe(true);
    expect(store.usage).toMatchObject({ shards: 1, usedBytes: 100_000, reservedBytes: 0 });
  });
});

describe('recovery', () => {
  it('looks through the shards also when somebody left a file of their own there', async () => {
    const { hash } = await keep(randomBytes(1000));
    await writeFile(join(directory, 'shards', 'README'), 'mine');
    await rm(join(directory, 'shards', hash.slice(0, 2), hash));
    await store.reconcile(new AbortController().signal);
    expect(store.usage.missing).toBe(1);
    expect(await readdir(join(directory, 'shards'))).toContain('README');
  });
});

it('can not be opened twice in one process', async () => {
  const second = open().then((other) => other.close());
  await expect(second).rejects.toMatchObject({ code: 'FARMER_LOCKED' });
});
