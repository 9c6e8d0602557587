import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { Identity, silentLogger } from '@granary/kad';
import {
  type ContractTerms,
  contractHash,
  countersignReceipt,
  parseReceipt,
  proposeContract,
  readerOf,
  signReadGrant,
  signToken,
  toHex,
} from '@granary/protocol';
import { contractTerms } from './contract-terms.test-support.js';
import { Farmer } from './farmer.js';
import { type TransferClient, clientsOf } from './transfer-client.test-support.js';

const renter = Identity.generate();
const reader = Identity.generate();
const stranger = Identity.generate();
const farmerIdentity = Identity.generate();
let directory: string;
let farmer: Farmer;
const sockets: WebSocket[] = [];
const Client = clientsOf(() => farmer, renter, sockets);

const open = () =>
  Farmer.open({
    directory: join(directory, 'farmer'),
    identity: farmerIdentity,
    host: '127.0.0.1',
    port: 0,
    bootstrap: [],
    quotaBytes: 3_000_000,
    logger: silentLogger,
    policy: { storagePrice: '0', egressPrice: '0' },
    payments: { creditLimit: 100n },
  });
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-grants-'));
  farmer = await open();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await farmer.stop();
  await rm(directory, { recursive: true, force: true });
});

type Direction = 'upload' | 'download' | 'delete';
function tokenBy(by: Identity, contract: string, direction: Direction, offset = 0, length = 0) {
  return signToken(by, {
    contract,
    renter: by.nodeId,
    renterKey: toHex(by.publicKey),
    farmer: farmerIdentity.nodeId,
    direction,
    offset,
    length,
    expires: Date.now() + 60_000,
    nonce: toHex(randomBytes(16)),
  });
}

const farmerKey = { nodeId: farmerIdentity.nodeId, publicKey: toHex(farmerIdentity.publicKey) };

async function store(size = 100_000, change: Partial<ContractTerms> = {}) {
  const shard = randomBytes(size);
  const client = await Client.open();
  const terms = contractTerms({ renter, farmer: farmerIdentity }, shard, change);
  const proposal = proposeContract(renter, terms);
  const hash = contractHash(terms);
  const token = tokenBy(renter, hash, 'upload');
  client.send({ type: 'upload', proposal, token });
  expect(await client.answer()).toMatchObject({ type: 'ready' });
  client.sendBytes(shard);
  const stored = await client.answer();
  expect(stored.type).toBe('stored');
  const expected = { contract: hash, direction: 'upload', token: token.body.nonce } as const;
  const receipt = parseReceipt(stored['receipt'], farmerKey, expected);
  const signature = countersignReceipt(renter, receipt);
  client.send({ type: 'countersign', contract: hash, signature });
  return { hash, shard };
}

const grantFor = (contract: string, change: object = {}, by = renter) =>
  signReadGrant(by, {
    contract,
    ...readerOf(reader),
    expires: Date.now() + 60_000,
    limit: 1_000_000,
    ...change,
  });

/** Ask for a whole shard; the bytes, or the code of the refusal. */
async function fetchBy(
  client: TransferClient,
  who: Identity,
  { hash, shard }: { hash: string; shard: Buffer },
  grant: unknown,
  sign = true,
): Promise<Buffer | string> {
  const token = tokenBy(who, hash, 'download', 0, shard.length);
  client.send({ type: 'download', token, level: 4, grant });
  const head = await client.answer();
  if (head.type === 'error') return String(head['code']);
  await client.next(); // the proof
  const parts: Buffer[] = [];
  for (;;) {
    const frame = await client.next();
    if (Buffer.isBuffer(frame)) {
      parts.push(frame);
      continue;
    }
    expect(frame.type).toBe('sent');
    const expected = { contract: hash, direction: 'download', token: token.body.nonce } as const;
    const receipt = parseReceipt(frame['receipt'], farmerKey, expected);
    const signature = countersignReceipt(who, receipt);
    if (sign) client.send({ type: 'countersign', contract: hash, signature });
    return Buffer.concat(parts);
  }
}

it('lets the reader of a grant read one shard, and do nothing else', async () => {
  const [one, two] = [await store(), await store()];
  const client = await Client.open(reader);
  const grant = grantFor(one.hash);
  const got = await fetchBy(client, reader, one, grant);
  expect(Buffer.isBuffer(got) && got.equals(one.shard)).toBe(true);
  // Another contract, by the same grant or by one for it that only the reader signed.
  expect(await fetchBy(client, reader, two, grant)).toBe('FARMER_NOT_FOUND');
  expect(await fetchBy(client, reader, two, undefined)).toBe('FARMER_NOT_FOUND');
  expect(await fetchBy(client, reader, two, grantFor(two.hash, {}, reader))).toBe(
    'FARMER_NOT_FOUND',
  );
  // Other directions.
  client.send({ type: 'delete', token: tokenBy(reader, one.hash, 'delete') });
  expect(await client.answer()).toMatchObject({ type: 'error', code: 'FARMER_FORBIDDEN' });
  const again = await Client.open(reader);
  again.send({ type: 'delete', token: tokenBy(reader, one.hash, 'delete'), grant });
  expect(await again.answer()).toMatchObject({ type: 'error', code: 'PROTOCOL_MALFORMED' });
  expect(farmer.stats().shards).toBe(2);
});

it('refuses grants that are forged, of somebody else, altered, replayed or over', async () => {
  const one = await store();
  const client = await Client.open(reader);
  const grant = grantFor(one.hash);
  const other = await Client.open(stranger);
  expect(await fetchBy(other, stranger, one, grant)).toBe('FARMER_NOT_FOUND');
  // With the reader's token, over a connection that is not the reader's.
  expect(await fetchBy(other, reader, one, grant)).toBe('FARMER_FORBIDDEN');
  const raised = { ...grant, body: { ...grant.body, limit: 2_000_000 } };
  expect(await fetchBy(client, reader, one, raised)).toBe('FARMER_NOT_FOUND');
  expect(await fetchBy(client, reader, one, grantFor(one.hash, { expires: 1 }))).toBe(
    'PROTOCOL_EXPIRED',
  );
  const endless = grantFor(one.hash, { expires: Date.now() + 500 * 24 * 3600 * 1000 });
  expect(await fetchBy(client, reader, one, endless)).toBe('PROTOCOL_EXPIRED');
  for (const junk of [null, {}, [], 'grant', { body: {}, renterSignature: '' }]) {
    expect(await fetchBy(client, reader, one, junk)).toBe('FARMER_NOT_FOUND');
  }
  // A token is good once, with a grant as without.
  const token = tokenBy(reader, one.hash, 'download', 0, one.shard.length);
  for (const code of [undefined, 'FARMER_REPLAYED']) {
    client.send({ type: 'download', token, level: 4, grant });
    const answer = await client.answer();
    expect(answer['code']).toBe(code);
    while (code === undefined) {
      const frame = await client.next();
      if (!Buffer.isBuffer(frame)) break;
    }
  }
});

it('keeps count of what is read, over restarts, and stops at the limit', async () => {
  const one = await store();
  const grant = grantFor(one.hash, { limit: 250_000 });
  let client = await Client.open(reader);
  expect(Buffer.isBuffer(await fetchBy(client, reader, one, grant))).toBe(true);
  for (const socket of sockets.splice(0)) socket.terminate();
  await farmer.stop();
  farmer = await open();
  client = await Client.open(reader);
  expect(Buffer.isBuffer(await fetchBy(client, reader, one, grant, false))).toBe(true);
  // The rest would not be enough for another whole one, signed for or not.
  expect(await fetchBy(client, reader, one, grant)).toBe('FARMER_USED_UP');
  // The renter itself is under no limit.
  const own = await Client.open();
  expect(Buffer.isBuffer(await fetchBy(own, renter, one, undefined))).toBe(true);
});

it('counts two reads at one time, and bounds how many readers it keeps count of', async () => {
  const one = await store();
  const grant = grantFor(one.hash, { limit: 150_000 });
  const clients = [await Client.open(reader), await Client.open(reader)];
  const results = await Promise.all(clients.map((client) => fetchBy(client, reader, one, grant)));
  expect(results.filter((result) => result === 'FARMER_USED_UP')).toHaveLength(1);
  let refused: unknown;
  for (let i = 0; i < 64 && refused === undefined; i += 1) {
    const someone = Identity.generate();
    const client = await Client.open(someone);
    const result = await fetchBy(
      client,
      someone,
      one,
      grantFor(one.hash, { ...readerOf(someone), limit: 1_000_000 }),
    );
    client.socket.terminate();
    if (typeof result === 'string') refused = result;
  }
  expect(refused).toBe('FARMER_BUSY');
});

it("gives what is read by grants half of the renter's credit, until it is paid", async () => {
  const price = { storagePrice: '0', egressPrice: '1000000' };
  const one = await store(100_000, price);
  const grant = grantFor(one.hash);
  const client = await Client.open(reader);
  // 100 kB cost 100 units, the credit is 100, and half of it is for readers.
  expect(await fetchBy(client, reader, one, grant)).toBe('FARMER_UNPAID');
  const small = await store(30_000, price);
  const forSmall = grantFor(small.hash);
  expect(Buffer.isBuffer(await fetchBy(client, reader, small, forSmall))).toBe(true);
  expect(await fetchBy(client, reader, small, forSmall)).toBe('FARMER_UNPAID');
  // What is left is for the renter.
  const own = await Client.open();
  expect(Buffer.isBuffer(await fetchBy(own, renter, small, undefined))).toBe(true);
  const [row] = farmer.payee.book.pending(renter.nodeId);
  expect(row).toMatchObject({ body: { bytes: 30_000 }, shared: { grant: forSmall } });
});
