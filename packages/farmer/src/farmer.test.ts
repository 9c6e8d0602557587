import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { Identity, silentLogger } from '@granary/kad';
import {
  type ContractProposal,
  type ContractTerms,
  ShardTree,
  completeContract,
  contractHash,
  countersignReceipt,
  parseReceipt,
  proposeContract,
  signToken,
  toHex,
  verifyRangeProof,
} from '@granary/protocol';
import { contractTerms } from './contract-terms.test-support.js';
import { Farmer, type FarmerOptions } from './farmer.js';
import { type Message, type TransferClient, clientsOf } from './transfer-client.test-support.js';

const renter = Identity.generate();
const stranger = Identity.generate();
const farmerIdentity = Identity.generate();
let directory: string;
let farmer: Farmer;
const sockets: WebSocket[] = [];
const Client = clientsOf(() => farmer, renter, sockets);

const options = (change: Partial<FarmerOptions> = {}): FarmerOptions => ({
  directory: join(directory, 'farmer'),
  identity: farmerIdentity,
  host: '127.0.0.1',
  port: 0,
  bootstrap: [],
  quotaBytes: 3_000_000,
  logger: silentLogger,
  ...change,
});

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-farmer-'));
  farmer = await Farmer.open(options());
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await farmer.stop();
  await rm(directory, { recursive: true, force: true });
});

const termsFor = (shard: Uint8Array, change: Partial<ContractTerms> = {}) =>
  contractTerms({ renter, farmer: farmerIdentity }, shard, change);

function tokenFor(
  contract: string,
  direction: 'upload' | 'download' | 'delete',
  change: { by?: Identity; offset?: number; length?: number; expires?: number } = {},
) {
  const by = change.by ?? renter;
  return signToken(by, {
    contract,
    renter: by.nodeId,
    renterKey: toHex(by.publicKey),
    farmer: farmerIdentity.nodeId,
    direction,
    offset: change.offset ?? 0,
    length: change.length ?? 0,
    expires: change.expires ?? Date.now() + 60_000,
    nonce: toHex(randomBytes(16)),
  });
}

const upload = (
  proposal: ContractProposal,
  token = tokenFor(contractHash(proposal.terms), 'upload'),
) => ({
  type: 'upload',
  proposal,
  token,
});

async function store(shard: Uint8Array, change: Partial<ContractTerms> = {}) {
  const client = await Client.open();
  const proposal = proposeContract(renter, termsFor(shard, change));
  const hash = contractHash(proposal.terms);
  const token = tokenFor(hash, 'upload');
  client.send(upload(proposal, token));
  const ready = await client.answer();
  expect(ready).toMatchObject({ type: 'ready', offset: 0 });
  completeContract(proposal, ready['farmerSignature'] as string);
  for (let at = 0; at < shard.length; at += 100_000)
    client.socket.send(shard.subarray(at, at + 100_000));
  const stored = await client.answer();
  expect(stored.type).toBe('stored');
  const farmerKey = { nodeId: farmerIdentity.nodeId, publicKey: toHex(farmerIdentity.publicKey) };
  const receipt = parseReceipt(stored['receipt'], farmerKey, {
    contract: hash,
    direction: 'upload',
    token: token.body.nonce,
  });
  client.send({
    type: 'countersign',
    contract: hash,
    signature: countersignReceipt(renter, receipt),
  });
  return { client, proposal, hash, shard };
}

const shardFiles = async () =>
  (await readdir(join(directory, 'farmer', 'shards'), { recursive: true })).filter(
    (n) => n.length > 60,
  );
const partials = () => readdir(join(directory, 'farmer', 'partial'));
const refused = async (client: TransferClient, message: object, code: string) => {
  client.send(message);
  expect(await client.answer()).toMatchObject({ type: 'error', code });
};

describe('uploads', () => {
  it('are acknowledged when they are on the disk, and once more when asked again', async () => {
    const { client, proposal, hash } = await store(randomBytes(500_000));
    expect(await shardFiles()).toHaveLength(1);
    expect(farmer.stats()).toMatchObject({
      shards: 1,
      usedBytes: 500_000,
      reservedBytes: 0,
      uploads: 1,
    });
    client.send(upload(proposal));
    expect(await client.answer()).toMatchObject({
      type: 'stored',
      receipt: { body: { bytes: 0, contract: hash } },
    });
    await farmer.stop();
    farmer = await Farmer.open(options());
    expect(farmer.stats()).toMatchObject({ shards: 1, usedBytes: 500_000 });
  });

  it('go on at the last whole leaf after a break, also over a restart', async () => {
    const shard = randomBytes(400_000);
    const proposal = proposeContract(renter, termsFor(shard));
    const first = await Client.open();
    first.send(upload(proposal));
    await first.answer();
    first.socket.send(shard.subarray(0, 150_001));
    first.send({ type: 'cancel' });
    expect(await first.answer()).toEqual({ type: 'cancelled' });
    await farmer.stop();
    farmer = await Farmer.open(options());
    expect(farmer.stats()).toMatchObject({ shards: 0, reservedBytes: 400_000 });
    const second = await Client.open();
    second.send(upload(proposal));
    const offset = Math.floor(150_001 / 4096) * 4096;
    expect(await second.answer()).toMatchObject({ type: 'ready', offset });
    second.socket.send(shard.subarray(offset, 300_000));
    second.socket.send(shard.subarray(300_000));
    expect(await second.answer()).toMatchObject({
      type: 'stored',
      receipt: { body: { bytes: 400_000 - offset } },
    });
    expect(await partials()).toEqual([]);
  });

  it('of wrong bytes, or too many, leave nothing', async () => {
    const shard = randomBytes(100_000);
    for (const wrong of [randomBytes(100_000), randomBytes(100_001)]) {
      const client = await Client.open();
      client.send(
        upload(
          proposeContract(renter, termsFor(shard, { end: Date.now() + 3_600_000 + wrong.length })),
        ),
      );
      await client.answer();
      client.socket.send(wrong);
      expect(await client.answer()).toMatchObject({ type: 'error', code: 'FARMER_WRONG_BYTES' });
      await client.untilClosed();
      expect(await shardFiles()).toEqual([]);
      expect(await partials()).toEqual([]);
      expect(farmer.stats()).toMatchObject({ usedBytes: 0, reservedBytes: 0 });
    }
  });

  it('of one shard on two connections: the later takes over', async () => {
    const shard = randomBytes(200_000);
    const proposal = proposeContract(renter, termsFor(shard));
    const first = await Client.open();
    first.send(upload(proposal));
    await first.answer();
    first.socket.send(shard.subarray(0, 81_920));
    const second = await Client.open();
    second.send(upload(proposal));
    const ready = await second.answer();
    expect(ready.type).toBe('ready');
    second.socket.send(shard.subarray(ready['offset'] as number));
    expect(await second.answer()).toMatchObject({ type: 'stored' });
    await first.untilClosed();
    expect(farmer.stats()).toMatchObject({ shards: 1, usedBytes: 200_000, reservedBytes: 0 });
  });

  it('are refused outside the terms, with a reason', async () => {
    const shard = randomBytes(1000);
    const client = await Client.open();
    const propose = (change: Partial<ContractTerms>) =>
      upload(proposeContract(renter, termsFor(shard, change)));
    const now = Date.now();
    await refused(client, propose({ end: now - 1, begin: now - 2 }), 'FARMER_TERMS');
    await refused(client, propose({ begin: now + 3_000_000 }), 'FARMER_TERMS');
    await refused(client, propose({ end: now + 800 * 86_400_000 }), 'FARMER_TERMS');
    await refused(client, propose({ currency: 'shells' }), 'FARMER_TERMS');
    await refused(client, propose({ shardSize: 4_000_000 }), 'FARMER_FULL');
    const other = { farmer: stranger.nodeId, farmerKey: toHex(stranger.publicKey) };
    await refused(client, propose(other), 'FARMER_FORBIDDEN');
    const forged = {
      ...proposeContract(renter, termsFor(shard)),
      renterSignature: 'ab'.repeat(64),
    };
    await refused(client, upload(forged), 'PROTOCOL_BAD_SIGNATURE');
    await refused(
      client,
      upload(proposeContract(renter, termsFor(shard)), tokenFor('ab'.repeat(32), 'upload')),
      'FARMER_FORBIDDEN',
    );
    await farmer.stop();
    farmer = await Farmer.open(options({ policy: { storagePrice: '5', egressPrice: '3' } }));
    const again = await Client.open();
    await refused(again, propose({}), 'FARMER_TERMS');
    await refused(again, propose({ storagePrice: '5', egressPrice: '2' }), 'FARMER_TERMS');
    again.send(propose({ storagePrice: '5', egressPrice: '3' }));
    expect(await again.answer()).toMatchObject({ type: 'ready' });
  });

  it('at one time do not oversell the space', async () => {
    const shards = Array.from({ length: 8 }, () => randomBytes(700_000));
    const answers = await Promise.all(
      shards.map(async (shard) => {
        const client = await Client.open();
        client.send(upload(proposeContract(renter, termsFor(shard))));
        return client.answer();
      }),
    );
    expect(answers.filter(({ type }) => type === 'ready')).toHaveLength(4);
    expect(answers.filter(({ code }) => code === 'FARMER_FULL')).toHaveLength(4);
    expect(farmer.stats()).toMatchObject({ reservedBytes: 2_800_000, freeBytes: 200_000 });
  });
});

describe('downloads', () => {
  it('come with a proof, whole and in part', async () => {
    const { client, hash, shard } = await store(randomBytes(300_000));
    for (const [offset, length, level] of [
      [0, 300_000, 4],
      [8192, 12_288, 0],
      [262_144, 37_856, 4],
      [299_008, 992, 0],
    ] as const) {
      client.send({
        type: 'download',
        token: tokenFor(hash, 'download', { offset, length }),
        level,
      });
      const head = await client.answer();
      expect(head.type).toBe('data');
      const proof = (await client.next()) as Buffer;
      const nodes = proof.subarray(0, (head['nodes'] as number) * 32);
      const first = offset / (4096 * 2 ** level);
      const siblings = proof.subarray(nodes.length);
      expect(
        verifyRangeProof(ShardTree.of(shard).root(), shard.length, level, first, {
          nodes,
          siblings,
        }),
      ).toBe(true);
      let bytes = Buffer.alloc(0);
      while (bytes.length < length) bytes = Buffer.concat([bytes, (await client.next()) as Buffer]);
      expect(bytes.equals(shard.subarray(offset, offset + length))).toBe(true);
      expect(await client.answer()).toMatchObject({
        type: 'sent',
        receipt: { body: { bytes: length } },
      });
    }
  });

  it('are refused to others, off the nodes, and with a used or expired token', async () => {
    const { client, hash } = await store(randomBytes(300_000));
    const download = (token: object, level = 0) => ({ type: 'download', token, level });
    const range = { offset: 0, length: 4096 };
    const other = await Client.open(stranger);
    await refused(
      other,
      download(tokenFor(hash, 'download', { ...range, by: stranger })),
      'FARMER_NOT_FOUND',
    );
    // Somebody who has got hold of a token can't use it over a connection of their own.
    await refused(other, download(tokenFor(hash, 'download', range)), 'FARMER_FORBIDDEN');
    await refused(
      client,
      download(tokenFor(hash, 'download', { offset: 1, length: 4095 })),
      'FARMER_RANGE',
    );
    await refused(
      client,
      download(tokenFor(hash, 'download', { offset: 0, length: 300_001 })),
      'FARMER_RANGE',
    );
    await refused(client, download(tokenFor(hash, 'download', range), 4), 'FARMER_RANGE');
    await refused(
      client,
      download(tokenFor('00'.repeat(32), 'download', range)),
      'FARMER_NOT_FOUND',
    );
    await refused(client, download(tokenFor(hash, 'upload', range)), 'PROTOCOL_BAD_SIGNATURE');
    await refused(
      client,
      download(tokenFor(hash, 'download', { ...range, expires: Date.now() - 1 })),
      'PROTOCOL_EXPIRED',
    );
    const token = tokenFor(hash, 'download', range);
    client.send(download(token));
    while (((await client.next()) as Message).type !== 'sent');
    await refused(client, download(token), 'FARMER_REPLAYED');
  });

  it('stop when they are cancelled, and the connection goes on', async () => {
    const { client, hash } = await store(randomBytes(2_900_000));
    client.send({
      type: 'download',
      token: tokenFor(hash, 'download', { length: 2_900_000 }),
      level: 4,
    });
    client.send({ type: 'cancel' });
    let frame = await client.next();
    while (Buffer.isBuffer(frame) || frame.type === 'data') frame = await client.next();
    expect(frame.type).toBe('cancelled');
    client.send({ type: 'delete', token: tokenFor(hash, 'delete') });
    expect(await client.answer()).toMatchObject({ type: 'deleted' });
  });
});

describe('deletes', () => {
  it('are signed for, once and again, and can not be undone by an old proposal', async () => {
    const { client, hash, proposal } = await store(randomBytes(50_000));
    const other = await Client.open(stranger);
    await refused(
      other,
      { type: 'delete', token: tokenFor(hash, 'delete', { by: stranger }) },
      'FARMER_FORBIDDEN',
    );
    client.send({ type: 'delete', token: tokenFor(hash, 'delete') });
    expect(await client.answer()).toMatchObject({
      type: 'deleted',
      receipt: { body: { bytes: 50_000 } },
    });
    expect(await shardFiles()).toEqual([]);
    expect(farmer.stats()).toMatchObject({ shards: 0, usedBytes: 0 });
    client.send({ type: 'delete', token: tokenFor(hash, 'delete') });
    expect(await client.answer()).toMatchObject({
      type: 'deleted',
      receipt: { body: { bytes: 0 } },
    });
    await refused(client, upload(proposal), 'FARMER_GONE');
    client.send({ type: 'delete', token: tokenFor('12'.repeat(32), 'delete') });
    expect(await client.answer()).toMatchObject({
      type: 'deleted',
      receipt: { body: { bytes: 0 } },
    });
  });
});

describe('a farmer', () => {
  it('drops reservations nobody comes back to, and shards whose contract has ended', async () => {
    await farmer.stop();
    farmer = await Farmer.open(options({ reservationMs: 4000, graceMs: 500 }));
    const { hash } = await store(randomBytes(1000), { end: Date.now() + 5000 });
    const client = await Client.open();
    client.send(upload(proposeContract(renter, termsFor(randomBytes(5000)))));
    await client.answer();
    client.send({ type: 'cancel' });
    await client.answer();
    expect(farmer.stats()).toMatchObject({ shards: 1, reservedBytes: 5000 });
    const end = Date.now() + 30_000;
    while ((farmer.stats().shards > 0 || farmer.stats().reservedBytes > 0) && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(farmer.stats()).toMatchObject({ shards: 0, reservedBytes: 0 });
    // The book says so first: a crash between the two is made up for at the next start.
    const left = async () => [...(await shardFiles()), ...(await partials())];
    while ((await left()).length > 0 && Date.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await left()).toEqual([]);
    await refused(
      client,
      { type: 'download', token: tokenFor(hash, 'download', { length: 1000 }), level: 0 },
      'FARMER_NOT_FOUND',
    );
  });

  it('removes files that belong to nothing, and reports shards that are missing', async () => {
    const { hash } = await store(randomBytes(1000));
    const kept = join(directory, 'farmer', 'shards', hash.slice(0, 2), hash);
    // The bytes, one leaf hash, and a trailer with the contract.
    expect((await stat(kept)).size).toBeGreaterThan(1032 + 500);
    await farmer.stop();
    await rm(kept);
    const orphan = 'ab'.repeat(32);
    await writeFile(join(directory, 'farmer', 'partial', orphan), 'x');
    farmer = await Farmer.open(options());
    expect(await partials()).toEqual([]);
    const end = Date.now() + 5000;
    while (farmer.stats().missing === 0 && Date.now() < end)
      await new Promise((r) => setTimeout(r, 20));
    expect(farmer.stats()).toMatchObject({ missing: 1, shards: 1 });
  });

  it('has its directory for itself', async () => {
    // The lock of a live process that is not this one.
    await farmer.stop();
    await writeFile(join(directory, 'farmer', 'lock'), String(process.ppid));
    await expect(Farmer.open(options())).rejects.toMatchObject({ code: 'FARMER_LOCKED' });
    // A lock that a dead process left is taken over.
    await writeFile(join(directory, 'farmer', 'lock'), '999999999');
    farmer = await Farmer.open(options());
    expect(farmer.stats().shards).toBe(0);
  });

  it('closes on frames that make no sense, with a typed error', async () => {
    for (const frame of [
      'nonsense',
      '{"type":"none"}',
      Buffer.from('bytes'),
      '{"type":"countersign","contract":"x"}',
    ]) {
      const client = await Client.open();
      client.socket.send(frame);
      expect(await client.answer()).toMatchObject({ type: 'error' });
      await client.untilClosed();
    }
    expect(farmer.stats().connections).toBe(0);
  });
});
