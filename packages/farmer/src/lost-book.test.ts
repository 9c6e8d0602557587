import { randomBytes } from 'node:crypto';
import {
  appendFile,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Identity, silentLogger, systemClock } from '@granary/kad';
import {
  type Contract,
  acceptContract,
  acceptRenewal,
  auditRootOf,
  contractHash,
  proposeContract,
  proposeRenewal,
  toHex,
} from '@granary/protocol';
import { contractTerms } from './contract-terms.test-support.js';
import { Scrubber } from './scrubber.js';
import { ShardStore } from './shard-store.js';

const renter = Identity.generate();
const farmer = Identity.generate();
const HOUR = 3_600_000;
let directory: string;
let store: ShardStore;

const open = () =>
  ShardStore.open({
    directory,
    quotaBytes: 10_000_000,
    reservationMs: HOUR,
    graceMs: HOUR,
    clock: systemClock,
    logger: silentLogger,
  });
const pathOf = (hash: string) => join(directory, 'shards', hash.slice(0, 2), hash);
const leaves = randomBytes(64);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-book-'));
  store = await open();
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true, force: true });
});

async function keep(shard: Uint8Array): Promise<{ hash: string; contract: Contract }> {
  const audits = { auditRoot: toHex(auditRootOf(leaves)), auditCount: 2 };
  const terms = contractTerms({ renter, farmer }, shard, audits);
  const contract = acceptContract(farmer, proposeContract(renter, terms));
  const hash = contractHash(terms);
  await store.reserve(hash, contract, leaves);
  const part = await store.openPartial(hash, terms);
  await part.append(shard);
  await store.commit(hash, terms, part);
  return { hash, contract };
}

async function renew(hash: string, contract: Contract) {
  const { end } = contract.terms;
  const body = {
    contract: hash,
    previousEnd: end,
    end: end + HOUR,
    storagePrice: '0',
    egressPrice: '0',
  };
  await store.renew(hash, acceptRenewal(farmer, proposeRenewal(renter, body)));
}

/** Stop, do something to the files, and start again. */
async function meanwhile(work: () => Promise<void>): Promise<void> {
  await store.close();
  await work();
  store = await open();
}
const loseBook = async () => {
  for (const name of ['contracts.lmdb', 'contracts.lmdb-lock']) {
    await rm(join(directory, name), { force: true });
  }
};

describe('a contract book that was lost', () => {
  it('is made anew from the files, renewals and audits included', async () => {
    const kept = [];
    for (const size of [0, 1, 4096, 100_000]) kept.push(await keep(randomBytes(size)));
    const [first] = kept;
    await renew(first!.hash, first!.contract);
    const before = store.usage;
    await meanwhile(loseBook);
    expect(store.usage).toEqual(before);
    for (const { hash, contract } of kept) {
      expect(await store.holds(hash)).toBe(true);
      expect(store.contract(hash)).toEqual(contract);
      expect(store.auditLeaves(hash)).toEqual(leaves);
    }
    expect(store.renewal(first!.hash)?.body.end).toBe(first!.contract.terms.end + HOUR);
    expect(store.entry(first!.hash)?.end).toBe(first!.contract.terms.end + HOUR);
    expect(store.contractsOf(renter.nodeId, '', 10)).toEqual(kept.map(({ hash }) => hash).sort());
    // It is a book like any other from here on.
    await meanwhile(() => Promise.resolve());
    expect(store.usage).toEqual(before);
    await store.delete(first!.hash);
    expect(store.usage.shards).toBe(3);
  });

  it('is put aside when it does not open, and made anew', async () => {
    const { hash } = await keep(randomBytes(5000));
    await meanwhile(() => writeFile(join(directory, 'contracts.lmdb'), Buffer.alloc(8192, 7)));
    expect(await store.holds(hash)).toBe(true);
    const names = await readdir(directory);
    expect(names.filter((name) => name.includes('damaged'))).not.toEqual([]);
  });

  it('goes by the last whole trailer when a renewal was cut short by a crash', async () => {
    const { hash, contract } = await keep(randomBytes(5000));
    const whole = (await readFile(pathOf(hash))).length;
    await renew(hash, contract);
    const renewed = (await readFile(pathOf(hash))).length;
    await meanwhile(async () => {
      await truncate(pathOf(hash), Math.floor((whole + renewed) / 2));
      await loseBook();
    });
    expect(await store.holds(hash)).toBe(true);
    expect(store.entry(hash)?.end).toBe(contract.terms.end);
  });

  it('puts aside what is no whole shard, and takes the rest', async () => {
    const good = await keep(randomBytes(5000));
    const cut = await keep(randomBytes(5000));
    const stranger = '00'.repeat(32);
    await meanwhile(async () => {
      await truncate(pathOf(cut.hash), 4000);
      await mkdir(join(directory, 'shards', '00'), { recursive: true });
      await appendFile(pathOf(stranger), 'junk');
      await loseBook();
    });
    expect(await store.holds(good.hash)).toBe(true);
    expect(store.usage.shards).toBe(1);
    const aside = await readdir(join(directory, 'quarantine'));
    expect(aside.sort()).toEqual([cut.hash, stranger].sort());
  });

  it('does not cost a shard when only some of it was lost', async () => {
    const early = await keep(randomBytes(3000));
    await store.close();
    const copy = await readFile(join(directory, 'contracts.lmdb'));
    store = await open();
    const late = await keep(randomBytes(4000));
    await meanwhile(() => writeFile(join(directory, 'contracts.lmdb'), copy));
    expect(await store.holds(late.hash)).toBe(false);
    await store.reconcile(new AbortController().signal);
    for (const { hash } of [early, late]) expect(await store.holds(hash)).toBe(true);
    expect(store.usage).toMatchObject({ shards: 2, usedBytes: 7000, missing: 0 });
  });
});

describe('the scrubber', () => {
  const scrub = () =>
    new Scrubber({ store, bytesPerSecond: 1e12, clock: systemClock, logger: silentLogger }).round();

  it('finds a changed byte, a changed leaf hash and a file cut short, and what is whole again', async () => {
    const fine = await keep(randomBytes(20_000));
    const kept = [];
    for (let i = 0; i < 3; i += 1) kept.push(await keep(randomBytes(20_000)));
    await scrub();
    expect(store.usage.damaged).toBe(0);
    const original = await readFile(pathOf(kept[0]!.hash));
    const change = async (hash: string, at: number) => {
      const bytes = await readFile(pathOf(hash));
      bytes[at]! ^= 1;
      await writeFile(pathOf(hash), bytes);
    };
    await change(kept[0]!.hash, 12_345);
    await change(kept[1]!.hash, 20_005);
    await truncate(pathOf(kept[2]!.hash), 100);
    await scrub();
    expect(store.usage).toMatchObject({ damaged: 3, shards: 4 });
    for (const { hash } of kept) expect(await store.holds(hash)).toBe(false);
    expect(await store.holds(fine.hash)).toBe(true);
    await meanwhile(() => Promise.resolve());
    expect(store.usage.damaged).toBe(3);
    await writeFile(pathOf(kept[0]!.hash), original);
    await scrub();
    expect(await store.holds(kept[0]!.hash)).toBe(true);
    await store.delete(kept[1]!.hash);
    expect(store.usage.damaged).toBe(1);
  });

  it('goes on where it was', async () => {
    const hashes = [];
    for (let i = 0; i < 4; i += 1) hashes.push((await keep(randomBytes(10))).hash);
    hashes.sort();
    await store.noteScrubbed(hashes[1]!);
    await meanwhile(() => Promise.resolve());
    expect(store.scrubbedTo).toBe(hashes[1]);
    for (const hash of hashes) await writeFile(pathOf(hash), '');
    await scrub();
    expect(store.usage.damaged).toBe(2);
    expect(store.scrubbedTo).toBe('');
    await scrub();
    expect(store.usage.damaged).toBe(4);
  });
});
