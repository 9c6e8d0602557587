import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import * as https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { open as openLmdb } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { Identity, silentLogger, systemClock } from '@granary/kad';
import {
  type ContractTerms,
  MAX_DATA_FRAME,
  MIN_DATA_FRAME,
  type Receipt,
  STREAM_LEVEL,
  ShardTree,
  TRANSFER_PATH,
  TRANSFER_SUBPROTOCOL,
  USUAL_DATA_FRAME,
  checkCountersignature,
  completeContract,
  contractHash,
  countersignReceipt,
  hashSpan,
  levelCount,
  leafCount,
  nodeSpan,
  parseReceipt,
  proposeContract,
  signToken,
  toHex,
  verifyRangeProof,
} from '@granary/protocol';
import { contractTerms } from './contract-terms.test-support.js';
import { Farmer, type FarmerOptions } from './farmer.js';
import {
  type Message,
  type TransferClient,
  clientsOf,
  portOf,
} from './transfer-client.test-support.js';

const renter = Identity.generate();
const stranger = Identity.generate();
const farmerIdentity = Identity.generate();
const farmerKey = { nodeId: farmerIdentity.nodeId, publicKey: toHex(farmerIdentity.publicKey) };
const renterKey = { nodeId: renter.nodeId, publicKey: toHex(renter.publicKey) };
let directory: string;
let farmer: Farmer;
const sockets: WebSocket[] = [];
const Client = clientsOf(() => farmer, renter, sockets);

const open = (change: Partial<FarmerOptions> = {}) =>
  Farmer.open({
    directory: join(directory, 'farmer'),
    identity: farmerIdentity,
    host: '127.0.0.1',
    port: 0,
    bootstrap: [],
    quotaBytes: 40_000_000,
    logger: silentLogger,
    ...change,
  });
const reopen = async (change: Partial<FarmerOptions> = {}) => {
  await farmer.stop();
  farmer = await open(change);
};

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-transfers-'));
  farmer = await open();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await farmer.stop();
  await rm(directory, { recursive: true, force: true });
});

const port = () => portOf(farmer);

const termsFor = (shard: Uint8Array, change: Partial<ContractTerms> = {}) =>
  contractTerms({ renter, farmer: farmerIdentity }, shard, change);

async function refused(client: TransferClient, message: object, code: string): Promise<void> {
  client.send(message);
  expect(await client.answer()).toMatchObject({ type: 'error', code });
}

type TokenChange = { by?: Identity; offset?: number; length?: number; farmer?: string };
function tokenFor(
  contract: string,
  direction: 'upload' | 'download' | 'delete',
  change: TokenChange = {},
) {
  const { by = renter, offset = 0, length = 0, farmer: to = farmerKey.nodeId } = change;
  return signToken(by, {
    contract,
    renter: by.nodeId,
    renterKey: toHex(by.publicKey),
    farmer: to,
    direction,
    offset,
    length,
    expires: Date.now() + 60_000,
    nonce: toHex(randomBytes(16)),
  });
}

function offer(shard: Uint8Array, change: Partial<ContractTerms> = {}) {
  const proposal = proposeContract(renter, termsFor(shard, change));
  const hash = contractHash(proposal.terms);
  const upload = () => ({ type: 'upload', proposal, token: tokenFor(hash, 'upload') });
  return { proposal, hash, upload, shard };
}

async function store(client: TransferClient, shard: Uint8Array) {
  const offered = offer(shard);
  client.send(offered.upload());
  expect(await client.answer()).toMatchObject({ type: 'ready', offset: 0 });
  client.sendBytes(shard);
  const stored = await client.answer();
  expect(stored.type).toBe('stored');
  return { ...offered, receipt: stored['receipt'] as Receipt };
}

const download = (hash: string, offset: number, length: number, level: number, frame?: number) => ({
  type: 'download',
  token: tokenFor(hash, 'download', { offset, length }),
  level,
  ...(frame !== undefined && { frame }),
});

/** Take a download's answer and check all of it as a careful renter would. */
async function fetched(
  client: TransferClient,
  shard: Uint8Array,
  request: ReturnType<typeof download>,
) {
  const { level, token } = request;
  const { offset, length, contract } = token.body;
  client.send(request);
  const head = await client.answer();
  expect(head.type).toBe('data');
  const proof = (await client.next()) as Buffer;
  const nodes = proof.subarray(0, (head['nodes'] as number) * 32);
  const siblings = proof.subarray(nodes.length);
  expect(siblings.length).toBe((head['siblings'] as number) * 32);
  const span = nodeSpan(level);
  const root = ShardTree.of(shard).root();
  const first = Math.floor(offset / span);
  expect(verifyRangeProof(root, shard.length, level, first, { nodes, siblings })).toBe(true);
  const parts: Buffer[] = [];
  for (let size = 0; size < length; size += parts.at(-1)!.length) {
    parts.push((await client.next()) as Buffer);
    // As large as was asked for, or as is usual; the last one has what is left.
    expect(parts.at(-1)!.length).toBe(Math.min(request.frame ?? USUAL_DATA_FRAME, length - size));
  }
  const bytes = Buffer.concat(parts);
  for (let at = 0, i = 0; at < bytes.length; at += span, i += 1) {
    const node = hashSpan(bytes.subarray(at, at + span));
    expect(Buffer.from(node).equals(nodes.subarray(i * 32, i * 32 + 32))).toBe(true);
  }
  const sent = await client.answer();
  expect(sent.type).toBe('sent');
  const expected = { contract, direction: 'download', token: token.body.nonce } as const;
  expect(parseReceipt(sent['receipt'], farmerKey, expected).body.bytes).toBe(length);
  return bytes;
}

const partials = () => readdir(join(directory, 'farmer', 'partial'));
const shardPath = (hash: string) => join(directory, 'farmer', 'shards', hash.slice(0, 2), hash);
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe('uploads', () => {
  it('of one contract by two connections at a time end in one shard, whole, whatever the order', async () => {
    const [first, second] = await Promise.all([Client.open(), Client.open()]);
    const settled = async (client: TransferClient, shard: Uint8Array) => {
      const answer = await client.answer();
      if (answer.type !== 'ready') return answer;
      client.sendBytes(shard.subarray(answer['offset'] as number), MAX_DATA_FRAME);
      return client.answer();
    };
    for (let round = 0; round < 4; round += 1) {
      const shard = randomBytes(300_000);
      const { hash, upload } = offer(shard);
      const begin = farmer.stats();
      const a = round === 0 ? first : await Client.open();
      const b = round === 0 ? second : await Client.open();
      a.send(upload());
      // Before, at, and after the moment when the first has sent all it has.
      if (round === 0) b.send(upload());
      expect(await a.answer().then((answer) => answer.type)).toMatch(/ready|error/);
      a.sendBytes(shard, MAX_DATA_FRAME);
      if (round === 1) b.send(upload());
      if (round === 2) await until(async () => !(await partials()).includes(hash));
      if (round === 3) await until(async () => farmer.stats().uploads > begin.uploads);
      if (round >= 2) b.send(upload());
      const answers = await Promise.all([
        a.next().catch(() => undefined),
        settled(b, shard).catch(() => undefined),
      ]);
      expect(answers.filter((answer) => (answer as Message)?.type === 'stored')).not.toEqual([]);
      const reader = await Client.open();
      expect(
        (await fetched(reader, shard, download(hash, 0, 300_000, STREAM_LEVEL))).equals(shard),
      ).toBe(true);
      expect(farmer.stats()).toMatchObject({
        shards: begin.shards + 1,
        usedBytes: begin.usedBytes + 300_000,
        reservedBytes: 0,
      });
    }
  });

  it('whose acknowledgement was not seen are acknowledged again, and never lost', async () => {
    for (let round = 0; round < 10; round += 1) {
      const shard = randomBytes(200_000);
      const { hash, upload } = offer(shard);
      const [first, second] = await Promise.all([Client.open(), Client.open()]);
      first.send(upload());
      expect((await first.answer()).type).toBe('ready');
      first.sendBytes(shard);
      // The farmer takes the last bytes while the second asks.
      second.send(upload());
      const answer = await second.answer();
      if (answer.type === 'ready') {
        second.sendBytes(shard.subarray(answer['offset'] as number));
        expect((await second.answer()).type).toBe('stored');
      } else {
        expect(answer.type).toBe('stored');
      }
      expect((await readFile(shardPath(hash))).subarray(0, shard.length).equals(shard)).toBe(true);
    }
    expect(farmer.stats()).toMatchObject({ shards: 10, usedBytes: 2_000_000, reservedBytes: 0 });
  });

  describe('that come whole with their request', () => {
    const whole = (offered: ReturnType<typeof offer>) => ({ ...offered.upload(), whole: true });

    it('are stored without a word in between, and again when that was not heard', async () => {
      const client = await Client.open();
      for (const size of [1, 4096, 70_000, MAX_DATA_FRAME]) {
        const shard = randomBytes(size);
        const offered = offer(shard);
        for (const bytes of [size, 0]) {
          client.send(whole(offered));
          client.sendBytes(shard, MAX_DATA_FRAME);
          const stored = await client.answer();
          expect(stored).toMatchObject({ type: 'stored', receipt: { body: { bytes } } });
          completeContract(offered.proposal, stored['farmerSignature'] as string);
        }
        const all = download(offered.hash, 0, size, 0);
        expect((await fetched(client, shard, all)).equals(shard)).toBe(true);
      }
      expect(farmer.stats()).toMatchObject({ shards: 4, uploads: 4, reservedBytes: 0 });
      expect(await partials()).toEqual([]);
    });

    it('leave the connection good when they are refused, whenever their bytes come', async () => {
      const client = await Client.open();
      const refusals: [Partial<ContractTerms>, string][] = [
        [{ shardSize: 41_000_000 }, 'FARMER_FULL'],
        [{ begin: Date.now() - 2000, end: Date.now() - 1000 }, 'FARMER_TERMS'],
        [{ farmerKey: toHex(stranger.publicKey) }, 'FARMER_FORBIDDEN'],
      ];
      for (const [change, code] of refusals) {
        const shard = randomBytes(100_000);
        await refused(client, whole(offer(shard, change)), code);
        client.sendBytes(shard, MAX_DATA_FRAME);
        client.send(whole(offer(shard, change)));
        client.sendBytes(shard, MAX_DATA_FRAME);
        expect(await client.answer()).toMatchObject({ type: 'error', code });
      }
      const spoilt = offer(randomBytes(5000));
      client.send(whole(spoilt));
      client.sendBytes(randomBytes(5000));
      expect(await client.answer()).toMatchObject({ code: 'FARMER_WRONG_BYTES' });
      expect(farmer.stats()).toMatchObject({ shards: 0, usedBytes: 0, reservedBytes: 0 });
      await store(client, randomBytes(3000));
    });

    it('can be called off before their bytes, and what is not one frame of them ends all', async () => {
      const client = await Client.open();
      const shard = randomBytes(50_000);
      client.send(whole(offer(shard)));
      client.send({ type: 'cancel' });
      expect(await client.answer()).toEqual({ type: 'cancelled' });
      const wrong: ((client: TransferClient) => void)[] = [
        ({ socket }) => socket.send(shard.subarray(1)),
        ({ socket }) => socket.send(Buffer.concat([shard, shard])),
        ({ socket }) => socket.send(Buffer.alloc(0)),
        (other) => other.send({ type: 'delete', token: tokenFor('12'.repeat(32), 'delete') }),
      ];
      for (const say of wrong) {
        const other = await Client.open();
        other.send(whole(offer(shard)));
        say(other);
        expect(await other.answer()).toMatchObject({ type: 'error', code: 'FARMER_PROTOCOL' });
        expect(await other.untilClosed()).toBe(1008);
      }
      // Only one frame is passed over after a refusal.
      const ended = { begin: Date.now() - 2000, end: Date.now() - 1000 };
      await refused(client, whole(offer(shard, ended)), 'FARMER_TERMS');
      client.sendBytes(shard, 25_000);
      expect(await client.untilClosed()).toBe(1008);
      expect(farmer.stats()).toMatchObject({ shards: 0, usedBytes: 0, reservedBytes: 0 });
    });

    it('go where a part of them is, and are not taken twice when two connections bring them', async () => {
      for (let round = 0; round < 6; round += 1) {
        const shard = randomBytes(200_000);
        const offered = offer(shard);
        const [first, second] = await Promise.all([Client.open(), Client.open()]);
        first.send(round % 2 === 0 ? offered.upload() : whole(offered));
        if (round % 2 === 0) await first.answer();
        first.sendBytes(shard.subarray(0, round % 2 === 0 ? 90_000 : shard.length), MAX_DATA_FRAME);
        second.send(whole(offered));
        second.sendBytes(shard, MAX_DATA_FRAME);
        expect(await second.answer()).toMatchObject({ type: 'stored' });
        const kept = await readFile(shardPath(offered.hash));
        expect(kept.subarray(0, shard.length).equals(shard)).toBe(true);
      }
      expect(farmer.stats()).toMatchObject({ shards: 6, usedBytes: 1_200_000, reservedBytes: 0 });
      expect(await partials()).toEqual([]);
    });
  });

  it('go on after the connection was cut, where the disk was', async () => {
    const shard = randomBytes(900_000);
    const { upload, hash } = offer(shard);
    const first = await Client.open();
    first.send(upload());
    await first.answer();
    first.sendBytes(shard.subarray(0, 500_000));
    await until(() => farmer.stats().bytesIn === 500_000);
    first.tls.destroy();
    await until(() => farmer.stats().connections === 0);
    // What a crash may leave behind the last whole leaf does not count.
    const second = await Client.open();
    second.send(upload());
    const offset = Math.floor(500_000 / 4096) * 4096;
    expect(await second.answer()).toMatchObject({ type: 'ready', offset });
    second.sendBytes(shard.subarray(offset));
    expect(await second.answer()).toMatchObject({ type: 'stored' });
    const all = download(hash, 0, 900_000, STREAM_LEVEL);
    expect((await fetched(second, shard, all)).equals(shard)).toBe(true);
  });

  it('from a part that was spoilt on the disk are refused at the end, then begin anew', async () => {
    const shard = randomBytes(100_000);
    const { upload, hash } = offer(shard);
    const first = await Client.open();
    first.send(upload());
    await first.answer();
    first.sendBytes(shard.subarray(0, 50_000));
    first.send({ type: 'cancel' });
    expect((await first.answer()).type).toBe('cancelled');
    await writeFile(join(directory, 'farmer', 'partial', hash), randomBytes(45_056));
    first.send(upload());
    const { offset } = (await first.answer()) as Message & { offset: number };
    expect(offset).toBe(45_056);
    first.sendBytes(shard.subarray(offset));
    expect(await first.answer()).toMatchObject({ type: 'error', code: 'FARMER_WRONG_BYTES' });
    expect(await first.untilClosed()).toBe(1008);
    const second = await Client.open();
    second.send(upload());
    expect(await second.answer()).toMatchObject({ type: 'ready', offset: 0 });
    second.sendBytes(shard);
    expect((await second.answer()).type).toBe('stored');
  });

  it('of shards of any size around the leaves read back', async () => {
    const client = await Client.open();
    for (const size of [0, 1, 4095, 4096, 4097, 8192, 65_536, 65_537, 262_145]) {
      const shard = randomBytes(size);
      const { hash } = await store(client, shard);
      const level = size % 2 === 0 ? 0 : STREAM_LEVEL;
      expect((await fetched(client, shard, download(hash, 0, size, level))).equals(shard)).toBe(
        true,
      );
    }
  });

  it('that stall or idle or never begin are ended with a reason, their part kept', async () => {
    await reopen({ timeouts: { helloMs: 250, idleMs: 300, stallMs: 350 } });
    const mute = await Client.open();
    const ended = async (client: TransferClient) => {
      expect(await client.answer()).toMatchObject({ type: 'error', code: 'FARMER_TIMEOUT' });
      expect(await client.untilClosed()).toBe(1008);
    };
    await ended(mute);
    const stalled = await Client.open();
    const { upload } = offer(randomBytes(100_000));
    stalled.send(upload());
    expect((await stalled.answer()).type).toBe('ready');
    stalled.sendBytes(randomBytes(8192));
    await ended(stalled);
    expect(await partials()).toHaveLength(1);
    const idle = await Client.open();
    idle.send({ type: 'cancel' });
    expect((await idle.answer()).type).toBe('cancelled');
    await ended(idle);
  });

  it('on a farmer that stops are told so, and go on with the next', async () => {
    const shard = randomBytes(200_000);
    const { upload } = offer(shard);
    const client = await Client.open();
    client.send(upload());
    await client.answer();
    client.sendBytes(shard.subarray(0, 122_880));
    await until(() => farmer.stats().bytesIn === 122_880);
    await reopen();
    await client.untilClosed();
    const again = await Client.open();
    again.send(upload());
    expect(await again.answer()).toMatchObject({ type: 'ready', offset: 122_880 });
  });
});

describe('proposals', () => {
  it('that bind the farmer by another key than its own are refused', async () => {
    const client = await Client.open();
    const { upload } = offer(randomBytes(10), { farmerKey: toHex(stranger.publicKey) });
    await refused(client, upload(), 'FARMER_FORBIDDEN');
  });

  it('with any one field spoilt are refused without a reservation, and the connection goes on', async () => {
    const client = await Client.open();
    const { proposal, hash } = offer(randomBytes(1000));
    const spoilt: unknown = null;
    for (const field of Object.keys(proposal.terms)) {
      for (const value of [spoilt, -1, 'x', { a: 1 }]) {
        if (value === null && (field === 'auditRoot' || field === 'channel')) continue;
        const terms = { ...proposal.terms, [field]: value };
        client.send({
          type: 'upload',
          proposal: { ...proposal, terms },
          token: tokenFor(hash, 'upload'),
        });
        const { type, code } = await client.answer();
        expect([type, String(code)], field).toEqual([
          'error',
          expect.stringMatching(/^(PROTOCOL_MALFORMED|PROTOCOL_BAD_SIGNATURE)$/),
        ]);
      }
    }
    expect(farmer.stats()).toMatchObject({ reservedBytes: 0, connections: 1 });
    expect(await partials()).toEqual([]);
  });
});

describe('downloads', () => {
  it('of any range on the nodes of any level carry a proof; of any other are refused', async () => {
    const client = await Client.open();
    const shard = randomBytes(210_000);
    const { hash } = await store(client, shard);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 6 }),
        fc.nat(),
        fc.nat(),
        fc.boolean(),
        async (level, a, b, shift) => {
          const count = levelCount(leafCount(shard.length), level);
          const first = a % count;
          const last = first + (b % (count - first));
          const offset = first * nodeSpan(level);
          const end = Math.min(shard.length, (last + 1) * nodeSpan(level));
          if (!shift) {
            const bytes = await fetched(client, shard, download(hash, offset, end - offset, level));
            expect(bytes.equals(shard.subarray(offset, end))).toBe(true);
          } else {
            await refused(
              client,
              download(hash, offset + 1, end - offset - 1, level),
              'FARMER_RANGE',
            );
            await refused(client, download(hash, offset, end - offset - 1, level), 'FARMER_RANGE');
            await refused(
              client,
              download(hash, offset, shard.length + 4096, level),
              'FARMER_RANGE',
            );
            await refused(client, download(hash, offset, 0, level), 'FARMER_RANGE');
          }
        },
      ),
      { numRuns: 40, seed: 7 },
    );
  });

  it('come in frames of the size that the renter asks for, within bounds', async () => {
    const client = await Client.open();
    const shard = randomBytes(MAX_DATA_FRAME + 300_000);
    const { hash } = await store(client, shard);
    const inFramesOf = (frame?: number) => download(hash, 0, shard.length, STREAM_LEVEL, frame);
    for (const frame of [undefined, MIN_DATA_FRAME, 100_000, MAX_DATA_FRAME]) {
      expect((await fetched(client, shard, inFramesOf(frame))).equals(shard)).toBe(true);
    }
    for (const frame of [0, MIN_DATA_FRAME - 1, 5000.5, MAX_DATA_FRAME + 1]) {
      await refused(await Client.open(), inFramesOf(frame), 'PROTOCOL_MALFORMED');
    }
  });

  it('work without a certificate, by the token alone, and only once', async () => {
    const { hash, shard } = await store(await Client.open(), randomBytes(10_000));
    const bare = await Client.openBare();
    const request = download(hash, 0, 10_000, STREAM_LEVEL);
    expect((await fetched(bare, shard, request)).equals(shard)).toBe(true);
    await refused(bare, request, 'FARMER_REPLAYED');
    const other = await Client.openBare();
    await refused(other, request, 'FARMER_REPLAYED');
  });

  it('need a token for this farmer that nobody changed', async () => {
    const client = await Client.open();
    const { hash } = await store(client, randomBytes(10_000));
    const { token } = download(hash, 0, 4096, 0);
    const changed = { ...token, body: { ...token.body, length: 8192 } };
    await refused(client, { type: 'download', token: changed, level: 0 }, 'PROTOCOL_BAD_SIGNATURE');
    const elsewhere = tokenFor(hash, 'download', { length: 4096, farmer: stranger.nodeId });
    await refused(
      client,
      { type: 'download', token: elsewhere, level: 0 },
      'PROTOCOL_BAD_SIGNATURE',
    );
    // One that claims the renter's name with another key.
    const body = { ...token.body, renterKey: toHex(stranger.publicKey) };
    await refused(
      client,
      { type: 'download', token: signToken(stranger, body), level: 0 },
      'PROTOCOL_BAD_SIGNATURE',
    );
    // A refused token was not used up.
    client.send({ type: 'download', token, level: 0 });
    expect((await client.answer()).type).toBe('data');
  });

  it('of a shard that was cut short on the disk end in an error, and count as missing', async () => {
    const client = await Client.open();
    const { hash, upload } = await store(client, randomBytes(50_000));
    await truncate(shardPath(hash), 20_000);
    await refused(client, download(hash, 0, 50_000, STREAM_LEVEL), 'FARMER_DISK');
    await client.untilClosed();
    // It is no idempotent success either: the renter has to learn of the loss.
    await refused(await Client.open(), upload(), 'FARMER_NOT_FOUND');
    await reopen();
    await until(() => farmer.stats().missing === 1);
    expect(farmer.stats().shards).toBe(1);
  });

  it('that nobody reads end after a time', async () => {
    const client = await Client.open();
    const { hash } = await store(client, randomBytes(32_000_000));
    // The session's own time to close is on this clock too.
    const setTimeout = (run: () => void, ms: number) => systemClock.setTimeout(run, ms / 20);
    await reopen({ timeouts: { stallMs: 6000 }, clock: { ...systemClock, setTimeout } });
    const lazy = await Client.open();
    lazy.tls.pause();
    lazy.socket.pause();
    lazy.send(download(hash, 0, 32_000_000, STREAM_LEVEL));
    await until(() => farmer.stats().connections === 1 && farmer.stats().refused === 1);
    expect(farmer.stats()).toMatchObject({ downloads: 0 });
    expect(farmer.stats().bytesOut).toBeLessThan(32_000_000);
    await until(() => farmer.stats().connections === 0);
  });
});

describe('deletes', () => {
  it('stop an upload in work, and what was sent leaves nothing', async () => {
    const shard = randomBytes(500_000);
    const { upload, hash } = offer(shard);
    const first = await Client.open();
    first.send(upload());
    await first.answer();
    first.sendBytes(shard.subarray(0, 200_000));
    const second = await Client.open();
    const token = tokenFor(hash, 'delete');
    second.send({ type: 'delete', token });
    const { receipt } = (await second.answer()) as Message & { receipt: Receipt };
    const expected = { contract: hash, direction: 'delete', token: token.body.nonce } as const;
    expect(parseReceipt(receipt, farmerKey, expected).body.bytes).toBe(0);
    await first.untilClosed();
    expect(await partials()).toEqual([]);
    expect(farmer.stats()).toMatchObject({ reservedBytes: 0, usedBytes: 0, shards: 0 });
    await refused(second, upload(), 'FARMER_GONE');
    await reopen();
    await refused(await Client.open(), upload(), 'FARMER_GONE');
  });

  it('that overtake their upload keep it out', async () => {
    const { upload, hash } = offer(randomBytes(1000));
    const client = await Client.open();
    client.send({ type: 'delete', token: tokenFor(hash, 'delete') });
    expect((await client.answer()).type).toBe('deleted');
    await refused(client, upload(), 'FARMER_GONE');
    await reopen();
    await refused(await Client.open(), upload(), 'FARMER_GONE');
  });

  it('of one shard by many connections free its space once', async () => {
    const client = await Client.open();
    await store(client, randomBytes(70_000));
    const { hash } = await store(client, randomBytes(30_000));
    const others = await Promise.all(Array.from({ length: 4 }, () => Client.open()));
    for (const other of others) other.send({ type: 'delete', token: tokenFor(hash, 'delete') });
    const freed = await Promise.all(
      others.map(async (other) => ((await other.answer())['receipt'] as Receipt).body.bytes),
    );
    expect(freed.sort((a, b) => a - b)).toEqual([0, 0, 0, 30_000]);
    expect(farmer.stats()).toMatchObject({ shards: 1, usedBytes: 70_000 });
  });
});

describe('countersignatures', () => {
  it('are kept with their receipt, and only good ones', async () => {
    const client = await Client.open();
    const { hash, receipt } = await store(client, randomBytes(1000));
    const countersign = (signature: string) => ({ type: 'countersign', contract: hash, signature });
    await refused(
      client,
      countersign(countersignReceipt(stranger, receipt)),
      'PROTOCOL_BAD_SIGNATURE',
    );
    client.send(countersign(countersignReceipt(renter, receipt)));
    await refused(client, countersign(countersignReceipt(renter, receipt)), 'FARMER_PROTOCOL');
    await client.untilClosed();
    await farmer.stop();
    const book = openLmdb({
      path: join(directory, 'farmer', 'contracts.lmdb'),
      noSubdir: true,
      maxDbs: 8,
    });
    const kept = book.openDB<string, string>({ name: 'countersignatures' }).get(hash)!;
    await book.close();
    const { receipt: signed, renterSignature } = JSON.parse(kept) as {
      receipt: Receipt;
      renterSignature: string;
    };
    expect(signed).toEqual(receipt);
    checkCountersignature(signed, renterKey, renterSignature);
    farmer = await open();
  });
});

describe('the end point', () => {
  const upgrade = (path: string, protocol: string | undefined) =>
    new Promise<{ status: number; body: unknown }>((resolve, reject) => {
      const request = https.request({
        host: '127.0.0.1',
        port: port(),
        path,
        rejectUnauthorized: false,
        agent: false,
        headers: {
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '13',
          'sec-websocket-key': randomBytes(16).toString('base64'),
          ...(protocol !== undefined && { 'sec-websocket-protocol': protocol }),
        },
      });
      request.on('upgrade', () => resolve({ status: 101, body: undefined }));
      request.on('response', (response) => {
        let text = '';
        response.on('data', (part: Buffer) => (text += part.toString()));
        response.on('end', () =>
          resolve({ status: response.statusCode!, body: JSON.parse(text) as unknown }),
        );
      });
      request.on('error', reject);
      request.end();
    });

  it('is at one path and speaks one subprotocol', async () => {
    expect(await upgrade('/else', TRANSFER_SUBPROTOCOL)).toMatchObject({
      status: 404,
      body: { error: { code: 'FARMER_NOT_FOUND' } },
    });
    for (const protocol of [undefined, 'chat', `${TRANSFER_SUBPROTOCOL}0`]) {
      expect(await upgrade(TRANSFER_PATH, protocol)).toMatchObject({
        status: 400,
        body: { error: { code: 'FARMER_PROTOCOL' } },
      });
    }
    const good = `chat, ${TRANSFER_SUBPROTOCOL}`;
    expect(await upgrade(TRANSFER_PATH, good)).toMatchObject({ status: 101 });
  });

  it('closes on frames that are too large, empty or out of place', async () => {
    const tooLong = await Client.open();
    tooLong.socket.send(Buffer.alloc(MAX_DATA_FRAME + 1));
    expect([1006, 1009]).toContain(await tooLong.untilClosed());
    const longText = await Client.open();
    longText.socket.send(JSON.stringify({ type: 'cancel', more: 'x'.repeat(70_000) }));
    expect(await longText.answer()).toMatchObject({ type: 'error', code: 'PROTOCOL_TOO_LARGE' });
    expect(await longText.untilClosed()).toBe(1008);
    for (const wrong of [
      Buffer.alloc(0),
      '{"type":"countersign"}',
      '{"type":"delete","token":1}',
    ]) {
      const client = await Client.open();
      client.send(offer(randomBytes(100_000)).upload());
      expect((await client.answer()).type).toBe('ready');
      client.socket.send(wrong);
      const { type, code } = await client.answer();
      expect(type).toBe('error');
      expect(code).toMatch(/^(FARMER_PROTOCOL|PROTOCOL_MALFORMED)$/);
      expect(await client.untilClosed()).toBe(1008);
    }
    await until(() => farmer.stats().connections === 0);
  });

  it('ends a flood of requests', async () => {
    const client = await Client.open();
    for (let i = 0; i < 1000; i += 1) client.send({ type: 'cancel' });
    expect(await client.untilClosed()).toBe(1008);
  });

  it('takes no more connections from one address than it should', async () => {
    const clients = await Promise.allSettled(Array.from({ length: 260 }, () => Client.openBare()));
    expect(clients.filter(({ status }) => status === 'fulfilled')).toHaveLength(256);
    for (const socket of sockets.splice(0)) socket.terminate();
    await until(() => farmer.stats().connections === 0);
    expect((await store(await Client.open(), randomBytes(10))).hash).toHaveLength(64);
  });
});
