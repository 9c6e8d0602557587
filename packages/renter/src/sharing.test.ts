import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Identity } from '@granary/kad';
import {
  HttpsTransport,
  KademliaNode,
  MemoryValueStore,
  createTlsCredentials,
  silentLogger,
} from '@granary/kad';
import {
  GET_SHARE_METHOD,
  LIST_CONTRACTS_METHOD,
  PUT_SHARE_METHOD,
  REVOKE_READER_METHOD,
  type ShareRecord,
  formatShareLink,
  parseShareLink,
  signShareRecord,
} from '@granary/protocol';
import { TestGranary, put, read } from './care.test-support.js';
import { type Renter, RenterError, type ShareInfo, type SharedObject, openShare } from './index.js';
import type { RenterStore } from './renter-store.js';
import { shareKeysOf } from './share-pages.js';

let granary: TestGranary;
let renter: Renter;
const opened: SharedObject[] = [];
const nodes: KademliaNode[] = [];
const content = randomBytes(900_000);
const file = { bucket: 'test', name: 'folder/file.bin' };

async function start(farmers: number): Promise<void> {
  granary = await TestGranary.start(farmers);
  renter = await granary.renter();
  await put(renter, file.name, content);
}
const stop = () => granary.stop();
afterEach(async () => {
  await Promise.all(opened.splice(0).map((shared) => shared.close()));
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
});

const linkTo = async (share: ShareInfo) =>
  formatShareLink({ ...share.link, page: null, addresses: await renter.linkAddresses() });

async function open(link: string): Promise<SharedObject> {
  const shared = await openShare(link, {
    clock: granary.clock,
    bootstrap: granary.farmers.map(({ address }) => address).filter((address) => address !== ''),
    settings: { hedgeMs: 200 },
  });
  opened.push(shared);
  return shared;
}

async function bytesOf(shared: SharedObject, offset = 0, length?: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  const range = { offset, ...(length !== undefined && { length }) };
  for await (const part of shared.read(range)) parts.push(part);
  return Buffer.concat(parts);
}

const codeOf = (error: unknown) => (error instanceof RenterError ? error.code : String(error));
const failure = (work: Promise<unknown>) => work.then(() => 'no error', codeOf);
const messageOfFailure = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: Error) => error.message,
  );

async function nodeOf(identity: Identity): Promise<KademliaNode> {
  const credentials = await createTlsCredentials(identity, granary.clock);
  const node = new KademliaNode({
    identity,
    transport: new HttpsTransport({ credentials, logger: silentLogger }),
    storage: new MemoryValueStore(),
    logger: silentLogger,
    clock: granary.clock,
  });
  await node.start();
  nodes.push(node);
  await node.join([granary.farmers[0]!.address]);
  return node;
}

describe('a share', () => {
  beforeAll(() => start(6));
  afterAll(stop);

  it('of nothing and of several at one time work, each by its own link alone', async () => {
    await put(renter, 'empty', new Uint8Array(0));
    const empty = await renter.share({ bucket: 'test', name: 'empty' });
    expect((await bytesOf(await open(await linkTo(empty)))).length).toBe(0);
    const [one, two] = [await renter.share(file), await renter.share(file)];
    const mixed = { ...one, link: { share: one.link.share, secret: two.link.secret } };
    expect(await failure(open(await linkTo(mixed)))).toBe('RENTER_SHARE');
    const unknown = { ...one, link: { ...one.link, share: 'ab'.repeat(32) } };
    expect(await failure(open(await linkTo(unknown)))).toBe('RENTER_NOT_FOUND');
    await renter.unshare(one.id);
    expect((await bytesOf(await open(await linkTo(two)))).equals(content)).toBe(true);
  });

  it('that has expired says so, to who opens it then and to who opened it before', async () => {
    const made = await renter.share(file, { expires: granary.clock.now() + 3_600_000 });
    const link = await linkTo(made);
    const before = await open(link);
    await bytesOf(before, 0, 10);
    granary.clock.shift += 3_600_001;
    expect(await failure(open(link))).toBe('RENTER_SHARE_EXPIRED');
    expect(await failure(bytesOf(before))).toBe('RENTER_SHARE_EXPIRED');
    const listed = await renter.shares();
    expect(listed.find(({ id }) => id === made.id)).toMatchObject({ state: 'expired' });
    expect(await failure(renter.share(file, { expires: granary.clock.now() }))).toBe(
      'RENTER_SHARE',
    );
  });

  it('of what is replaced or deleted says so', async () => {
    const file = { bucket: 'test', name: 'of/versions' };
    await put(renter, file.name, content);
    const replaced = await linkTo(await renter.share(file));
    const before = await open(replaced);
    await put(renter, file.name, randomBytes(1000));
    expect(await messageOfFailure(open(replaced))).toMatch(/replaced .* by another version/);
    expect(await failure(bytesOf(before))).toBe('RENTER_SHARE_ENDED');
    const deleted = await linkTo(await renter.share(file));
    await renter.delete(file);
    expect(await messageOfFailure(open(deleted))).toMatch(/has deleted what was shared/);
    expect(await failure(renter.share(file))).toBe('RENTER_NOT_FOUND');
  });

  it('is read as often as its owner has allowed', async () => {
    const made = await renter.share(file, { reads: 2 });
    const shared = await open(await linkTo(made));
    let refused: string | undefined;
    for (let i = 0; i < 8 && refused === undefined; i += 1) {
      const outcome = await failure(bytesOf(shared));
      if (outcome !== 'no error') refused = outcome;
    }
    expect(refused).toBe('RENTER_SHARE_LIMIT');
    expect(await failure(renter.share(file, { reads: 0 }))).toBe('RENTER_SHARE');
  });

  it('lets nobody who has its link write it, list, or take anything back in its owner’s name', async () => {
    const made = await renter.share(file);
    const link = parseShareLink(await linkTo(made));
    const { reader } = shareKeysOf(link.share, link.secret);
    const node = await nodeOf(reader);
    const contacts = granary.farmers.map(({ contact }) => contact);
    const query = { share: link.share, page: 0 };
    let kept = 0;
    for (const contact of contacts) {
      const { record } = (await node.call(contact, GET_SHARE_METHOD, query)) as {
        record: ShareRecord | null;
      };
      if (record === null) continue;
      kept += 1;
      const text = JSON.stringify(record);
      for (const secret of ['file.bin', 'folder', granary.keys.identity.nodeId]) {
        expect(text).not.toContain(secret);
      }
      const forged = signShareRecord(reader, 0, record.body.sequence + 1, new Uint8Array(10));
      const swapped = { ...forged, body: { ...record.body, sequence: record.body.sequence + 1 } };
      await expect(node.call(contact, PUT_SHARE_METHOD, swapped)).rejects.toThrow(/signature/);
      // One of its own it may place, like anybody: it is of another share.
      expect(await node.call(contact, PUT_SHARE_METHOD, forged)).toEqual({ kept: true });
      const old = { ...record, body: { ...record.body, sequence: 1 } };
      await expect(node.call(contact, PUT_SHARE_METHOD, old)).rejects.toThrow(/signature/);
      expect(await node.call(contact, LIST_CONTRACTS_METHOD, { after: '' })).toEqual({
        contracts: [],
        more: false,
      });
      const until = granary.clock.now() + 1000;
      await node.call(contact, REVOKE_READER_METHOD, { reader: reader.nodeId, until });
    }
    expect(kept).toBeGreaterThanOrEqual(3);
    expect((await bytesOf(await open(await linkTo(made)))).equals(content)).toBe(true);
  });

  it('of an object of many pages is read in ranges from the middle', async () => {
    // 14 segments, two on each page.
    const small = { chunkSize: 1024, segmentSize: 1024, sharePageBytes: 2000 };
    const many = await granary.renter('many', small);
    const long = randomBytes(14_000);
    await put(many, 'long', long);
    const made = await many.share({ bucket: 'test', name: 'long' });
    const shared = await open(await linkTo(made));
    expect((await bytesOf(shared, 13_000)).equals(long.subarray(13_000))).toBe(true);
    expect((await bytesOf(shared)).equals(long)).toBe(true);
    await many.unshare(made.id);
    expect(await failure(bytesOf(shared))).toBe('RENTER_SHARE_ENDED');
  });

  it('is read into a file, goes on with what is there of it, and anew when that is not right', async () => {
    const folder = await mkdtemp(join(granary.directory, 'files-'));
    const target = join(folder, 'out');
    const shared = await open(await linkTo(await renter.share(file)));
    expect(await shared.readToFile(target)).toEqual({ resumedBytes: 0 });
    expect((await readFile(target)).equals(content)).toBe(true);
    const part = `${target}.${shared.info.sha256.slice(0, 8)}.granary-part`;
    await writeFile(part, content.subarray(0, 600_000));
    const { resumedBytes } = await shared.readToFile(target);
    expect(resumedBytes).toBeGreaterThan(0);
    expect(resumedBytes).toBeLessThanOrEqual(600_000);
    expect((await readFile(target)).equals(content)).toBe(true);
    // Bytes that never reached the disk.
    await writeFile(part, Buffer.alloc(600_000));
    expect(await shared.readToFile(target)).toEqual({ resumedBytes: 0 });
    expect((await readFile(target)).equals(content)).toBe(true);
    // As much as there should be, and more.
    await writeFile(part, Buffer.concat([content, content]));
    await shared.readToFile(target);
    expect((await readFile(target)).equals(content)).toBe(true);
    expect(await readdir(folder)).toEqual(['out']);
  });

  it('that was taken back is refused by its link and by farmers, and says so', async () => {
    const made = await renter.share(file, { expires: granary.clock.now() + 3_600_000 });
    const link = await linkTo(made);
    const before = await open(link);
    await bytesOf(before, 0, 10);
    expect(await renter.unshare(made.id.slice(0, 6))).toMatchObject({
      state: 'revoked',
      untold: 0,
    });
    expect(await messageOfFailure(open(link))).toMatch(/its owner has taken this share back/);
    // Whoever had opened it before is refused by the farmers.
    expect(await failure(bytesOf(before))).toBe('RENTER_SHARE_ENDED');
    const listed = await renter.shares();
    expect(listed.find(({ id }) => id === made.id)).toMatchObject({ state: 'revoked' });
    expect((await read(renter, file.name)).equals(content)).toBe(true);
    // In a month nobody speaks of it any more.
    granary.clock.shift += 31 * 24 * 3600 * 1000;
    await renter.care();
    const later = await renter.shares();
    expect(later.find(({ id }) => id === made.id)).toBeUndefined();
  });
});

/** How long what goes on in the background is waited for. */
const patience = { timeout: 25_000, interval: 200 };

it('is paid for by its owner, by receipts that the reader has signed, to the byte', async () => {
  granary = await TestGranary.start(0);
  // One unit a byte.
  const policy = { storagePrice: '0', egressPrice: '1000000000' };
  for (let i = 0; i < 5; i += 1) {
    await granary.addFarmer({ policy, payments: { creditLimit: 10_000_000n } });
  }
  renter = await granary.renter('renter', { maxEgressPrice: 1_000_000_000n });
  try {
    await put(renter, file.name, content);
    const shared = await open(await linkTo(await renter.share(file)));
    expect((await bytesOf(shared)).equals(content)).toBe(true);
    const us = granary.keys.identity.nodeId;
    const signed = () =>
      granary.farmers.flatMap(({ payee }) => payee.book.pending(us)).filter((row) => row.shared);
    // Any two of five shards of every segment, and what came of those that were cancelled.
    await vi.waitFor(() => {
      const bytes = signed().reduce((sum, { body }) => sum + body.bytes, 0);
      expect(bytes).toBeGreaterThan(content.length);
    }, patience);
    await shared.close();
    // A receipt may still be on its way.
    await vi.waitFor(async () => {
      await renter.pay();
      expect(signed()).toEqual([]);
      const fine = 1_000_000_000n * 2_592_000_000n;
      let [ours, theirs, read] = [0n, 0n, 0n];
      for (const { payee, contact } of granary.farmers) {
        theirs += payee.book.account(us, 'credit')?.egress ?? 0n;
        ours += renter.payer.book.account(contact.nodeId, 'credit')?.egress ?? 0n;
        for (const { receipt } of payee.book.receipts(us, 'credit', 0, 1000)) {
          if (receipt.body.direction === 'download') read += BigInt(receipt.body.bytes);
        }
      }
      expect([ours, theirs]).toEqual([read * fine, read * fine]);
      expect(read).toBeGreaterThan(BigInt(content.length));
    }, patience);
  } finally {
    await stop();
  }
});

describe('a share, when the network changes', () => {
  // As many as shards of a segment: all of them have one of each.
  beforeEach(() => start(5));
  afterEach(stop);

  it('is read whole and in ranges by whoever has the link, with n - k farmers gone', async () => {
    const link = await linkTo(await renter.share(file));
    const { farmers } = await renter.stat(file);
    for (const { nodeId } of farmers.slice(0, 3)) await granary.remove(granary.farmer(nodeId));
    const shared = await open(link);
    expect(shared.info).toMatchObject({ name: 'file.bin', size: content.length, expires: null });
    expect((await bytesOf(shared)).equals(content)).toBe(true);
    for (const [from, length] of [
      [0, 1],
      [250_000, 300_000],
      [content.length - 1, 1],
    ] as const) {
      const part = await bytesOf(shared, from, length);
      expect(part.equals(content.subarray(from, from + length))).toBe(true);
    }
    expect(await failure(bytesOf(shared, 1, content.length))).toBe('RENTER_RANGE');
    expect((await bytesOf(shared, content.length)).length).toBe(0);
  });

  it('follows its shards to where repairs put them, also for who has it open', async () => {
    const made = await renter.share(file);
    const link = await linkTo(made);
    const before = await open(link);
    await bytesOf(before, 0, 10);
    for (let i = 0; i < 3; i += 1) await granary.addFarmer();
    await renter.care();
    const holders = (await renter.stat(file)).farmers.map(({ nodeId }) => granary.farmer(nodeId));
    for (const farmer of holders.slice(0, 3)) await granary.remove(farmer);
    await renter.care();
    granary.clock.shift += 13 * 3600 * 1000;
    const report = await renter.care();
    expect(report.repaired).toBeGreaterThan(0);
    expect(report.shares).toMatchObject({ placed: 1, failures: [] });
    expect((await bytesOf(before)).equals(content)).toBe(true);
    // Of those that the link first led to nobody is left.
    for (const farmer of holders.slice(3)) await granary.remove(farmer);
    expect((await bytesOf(before)).equals(content)).toBe(true);
    expect((await bytesOf(await open(link))).equals(content)).toBe(true);
  });

  it('is there again after a recovery from the words, and can be taken back then', async () => {
    const made = await renter.share(file);
    const link = await linkTo(made);
    const other = await granary.renter('other');
    await other.recover();
    expect(await other.shares()).toMatchObject([{ id: made.id, state: 'open', placed: 0 }]);
    expect((await other.care()).shares).toMatchObject({ placed: 1, failures: [] });
    expect((await bytesOf(await open(link))).equals(content)).toBe(true);
    await other.unshare(made.id);
    expect(await failure(open(link))).toBe('RENTER_SHARE_ENDED');
  });

  it('has its grants renewed in time, and works while its owner is away', async () => {
    const day = 24 * 3600 * 1000;
    const lasting = await granary.renter('lasting', { durationMs: 300 * day });
    await put(lasting, 'kept', content);
    const made = await lasting.share({ bucket: 'test', name: 'kept' });
    const link = await linkTo(made);
    expect(made.grantedUntil - granary.clock.now()).toBeGreaterThan(179 * day);
    const shared = await open(link);
    granary.clock.shift += 100 * day;
    expect((await bytesOf(shared)).equals(content)).toBe(true);
    await lasting.care();
    const [later] = await lasting.shares();
    expect(later!.grantedUntil - granary.clock.now()).toBeGreaterThan(179 * day);

    // Taken back by somebody else in the middle of the next renewal, which must not open it again.
    granary.clock.shift += 100 * day;
    const { store } = (lasting as unknown as { core: { store: RenterStore } }).core;
    const manifest = store.manifest.bind(store);
    let meanwhile: Promise<ShareInfo> | undefined;
    store.manifest = async (path) => {
      const found = await manifest(path);
      if (meanwhile === undefined) await (meanwhile = lasting.unshare(made.id));
      return found;
    };
    await lasting.care();
    expect((await meanwhile)!.state).toBe('revoked');
    expect((await lasting.shares())[0]).toMatchObject({ state: 'revoked', untold: 0 });
    await expect(bytesOf(shared)).rejects.toMatchObject({ code: 'RENTER_SHARE_ENDED' });
  });
});
