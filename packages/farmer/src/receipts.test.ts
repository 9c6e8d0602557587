import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open as openLmdb } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { Identity, silentLogger } from '@granary/kad';
import type { SignedTransfer } from '@granary/payments';
import {
  type ContractTerms,
  type Receipt,
  contractHash,
  countersignReceipt,
  proposeContract,
  signToken,
  toHex,
} from '@granary/protocol';
import { contractTerms } from './contract-terms.test-support.js';
import { Farmer } from './farmer.js';
import { type TransferClient, clientsOf } from './transfer-client.test-support.js';

/** A unit for a byte that goes out, in fine parts: the price of a GB is a thousand million units. */
const PRICE = '1000000000';
const renter = Identity.generate();
const identity = Identity.generate();
let directory: string;
let life = 0;
let farmer: Farmer;
const sockets: WebSocket[] = [];
const Client = clientsOf(() => farmer, renter, sockets);

const home = () => join(directory, `farmer${life}`);
const open = (egressPrice = PRICE) =>
  Farmer.open({
    directory: home(),
    identity,
    host: '127.0.0.1',
    port: 0,
    bootstrap: [],
    quotaBytes: 40_000_000,
    policy: { storagePrice: '0', egressPrice },
    payments: { creditLimit: 1_000_000_000n },
    logger: silentLogger,
  });

/** What is on the disk at this moment is all that is left: another one begins with it. */
async function kill(): Promise<void> {
  const killed = farmer;
  const before = home();
  life += 1;
  await cp(before, home(), { recursive: true, filter: (path) => !path.endsWith('lock') });
  for (const socket of sockets.splice(0)) socket.terminate();
  await killed.stop();
  farmer = await open();
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-receipts-'));
  farmer = await open();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await farmer.stop();
  await rm(directory, { recursive: true, force: true });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

function tokenFor(contract: string, direction: 'upload' | 'download' | 'delete', length = 0) {
  return signToken(renter, {
    contract,
    renter: renter.nodeId,
    renterKey: toHex(renter.publicKey),
    farmer: identity.nodeId,
    direction,
    offset: 0,
    length,
    expires: Date.now() + 60_000,
    nonce: toHex(randomBytes(16)),
  });
}

function countersign(client: TransferClient, receipt: Receipt): void {
  const signature = countersignReceipt(renter, receipt);
  client.send({ type: 'countersign', contract: receipt.body.contract, signature });
}

async function store(client: TransferClient, shard: Uint8Array, change: Partial<ContractTerms>) {
  const terms = contractTerms({ renter, farmer: identity }, shard, change);
  const hash = contractHash(terms);
  const proposal = proposeContract(renter, terms);
  client.send({ type: 'upload', proposal, token: tokenFor(hash, 'upload') });
  expect((await client.answer()).type).toBe('ready');
  client.sendBytes(shard);
  const { receipt } = await client.answer();
  countersign(client, receipt as Receipt);
  return hash;
}

/** Read the first bytes of a shard, whole leaves, and sign for them. */
async function read(client: TransferClient, hash: string, bytes: number): Promise<void> {
  client.send({ type: 'download', level: 0, token: tokenFor(hash, 'download', bytes) });
  expect((await client.answer()).type).toBe('data');
  await client.next();
  for (let come = 0; come < bytes;) come += ((await client.next()) as Buffer).length;
  countersign(client, (await client.answer())['receipt'] as Receipt);
}

/** Whatever was sent before is done with when this is answered. */
async function settled(client: TransferClient): Promise<void> {
  client.send({ type: 'cancel' });
  expect((await client.answer()).type).toBe('cancelled');
}

const account = () => farmer.payee.book.account(renter.nodeId, 'credit');
const claimed = () => farmer.payee.claim(renter.nodeId, 'credit').body.claimed;

async function unbooked(at: string): Promise<SignedTransfer[]> {
  const path = join(at, 'contracts.lmdb');
  const book = openLmdb({ path, noSubdir: true, maxDbs: 16, readOnly: true });
  const rows = book.openDB<SignedTransfer, string>({ name: 'unbooked' });
  const found = [...rows.getRange()].map(({ value }) => value);
  await book.close();
  return found;
}

describe('receipts that were signed just before a farmer is killed', () => {
  it('are paid each, and once, however often it is killed after that', async () => {
    const client = await Client.open();
    const shard = randomBytes(100_000);
    const hash = await store(client, shard, { egressPrice: PRICE });
    for (const bytes of [4096, 8192, 12_288]) await read(client, hash, bytes);
    await settled(client);
    expect(account()).toBeUndefined();
    await kill();
    await until(() => account()?.receipts === 4);
    expect(claimed()).toBe('24576');
    // They are in the book now; that they need not be kept is not on the disk yet.
    expect(await unbooked(home())).toHaveLength(4);
    await kill();
    const again = await Client.open();
    await read(again, hash, 4096);
    await settled(again);
    await kill();
    await until(() => account()?.receipts === 5);
    expect(claimed()).toBe('28672');
  });

  it('are paid though the shard was deleted after them', async () => {
    const client = await Client.open();
    const hash = await store(client, randomBytes(50_000), { egressPrice: PRICE });
    await read(client, hash, 4096);
    client.send({ type: 'delete', token: tokenFor(hash, 'delete') });
    countersign(client, (await client.answer())['receipt'] as Receipt);
    await settled(client);
    await kill();
    await until(() => account()?.receipts === 3);
    expect(claimed()).toBe('4096');
    await until(() => farmer.payee.book.position(renter.nodeId, hash)?.ended === 'deleted');
  });

  it('are kept no longer than until they are in the book of payments', async () => {
    const client = await Client.open();
    const hash = await store(client, randomBytes(50_000), { egressPrice: PRICE });
    for (let i = 0; i < 5; i += 1) await read(client, hash, 4096);
    await settled(client);
    expect(await unbooked(home())).toHaveLength(6);
    await farmer.payee.flush();
    await read(client, hash, 4096);
    await settled(client);
    expect(await unbooked(home())).toHaveLength(1);
    await farmer.stop();
    expect(await unbooked(home())).toHaveLength(0);
    farmer = await open();
    await until(() => account()?.receipts === 7);
  });

  it('are not kept where nothing is owed', async () => {
    await farmer.stop();
    farmer = await open('0');
    const client = await Client.open();
    const hash = await store(client, randomBytes(50_000), { egressPrice: '0' });
    await read(client, hash, 4096);
    await settled(client);
    expect(await unbooked(home())).toHaveLength(0);
  });

  it('are found as an older version has kept them: the last one of a contract', async () => {
    const client = await Client.open();
    const hash = await store(client, randomBytes(50_000), { egressPrice: PRICE });
    await read(client, hash, 8192);
    await settled(client);
    const receipts = await unbooked(home());
    const last = receipts.find(({ receipt }) => receipt.body.direction === 'download')!;
    await kill();
    await farmer.stop();
    const path = join(home(), 'contracts.lmdb');
    const book = openLmdb({ path, noSubdir: true, maxDbs: 16 });
    const { receipt, renterSignature } = last;
    await book
      .openDB<string, string>({ name: 'countersignatures' })
      .put(hash, JSON.stringify({ receipt, renterSignature }));
    await book.openDB({ name: 'unbooked' }).drop();
    await book.close();
    for (const name of ['payments.lmdb', 'payments.lmdb-lock']) await rm(join(home(), name));
    farmer = await open();
    await until(() => account()?.receipts === 1);
    expect(claimed()).toBe('8192');
  });
});
