import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { toBase64 } from '@granary/kad';
import { formatAccessGrant, formatShareLink, fromHex } from '@granary/protocol';
import { TestGranary, put } from './care.test-support.js';
import { readList, writeCatalogue } from './grant-catalogue.js';
import {
  type AccessGrantInfo,
  type GrantedScope,
  type Renter,
  RenterError,
  RenterKeys,
  openGrant,
  openShare,
} from './index.js';
import type { RenterCore } from './renter-core.js';
import { segmentKey } from './segment-cipher.js';
import { grantKeysOf, shareKeysOf } from './share-pages.js';

let granary: TestGranary;
let renter: Renter;
const opened: GrantedScope[] = [];
const contents = new Map<string, Buffer>();

/** Store random bytes, and remember them. */
async function store(name: string, size: number, who = renter): Promise<Buffer> {
  const content = randomBytes(size);
  await put(who, name, content);
  contents.set(name, content);
  return content;
}

async function start(farmers: number): Promise<void> {
  granary = await TestGranary.start(farmers);
  renter = await granary.renter();
}
const stop = () => granary.stop();
afterEach(async () => {
  await Promise.all(opened.splice(0).map((scope) => scope.close()));
});

const textOf = async (granted: AccessGrantInfo) =>
  formatAccessGrant({ ...granted.link, page: null, addresses: await renter.linkAddresses() });

async function open(grant: string): Promise<GrantedScope> {
  const scope = await openGrant(grant, {
    clock: granary.clock,
    bootstrap: granary.farmers.map(({ address }) => address).filter((address) => address !== ''),
    settings: { hedgeMs: 200 },
  });
  opened.push(scope);
  return scope;
}

async function bytesOf(scope: GrantedScope, name: string, offset = 0, length?: number) {
  const parts: Uint8Array[] = [];
  const range = { offset, ...(length !== undefined && { length }) };
  for await (const part of scope.get(name, range)) parts.push(part);
  return Buffer.concat(parts);
}

const namesOf = (scope: GrantedScope, options = {}) => [...scope.list(options)].map((o) => o.name);
const codeOf = (error: unknown) => (error instanceof RenterError ? error.code : String(error));
const failure = (work: Promise<unknown>) => work.then(() => 'no error', codeOf);
const scopeOf = (prefix: string) => ({ bucket: 'test', prefix });
const coreOf = (one: Renter) => (one as unknown as { core: RenterCore }).core;

describe('an access grant', () => {
  beforeAll(async () => {
    await start(6);
    await store('album/1.jpg', 300_000);
    await store('album/2.jpg', 700_000);
    await store('album/empty', 0);
    await store('albums', 1000);
    await store('private', 5000);
  });
  afterAll(stop);

  it('lists and reads what is in its scope, in ranges, too, and nothing else', async () => {
    const granted = await renter.grant(scopeOf('album/'));
    expect(granted).toMatchObject({ state: 'open', objects: 3, untold: 0, prefix: 'album/' });
    const scope = await open(await textOf(granted));
    expect(scope.info).toMatchObject({ bucket: 'test', prefix: 'album/', objects: 3 });
    expect(namesOf(scope)).toEqual(['album/1.jpg', 'album/2.jpg', 'album/empty']);
    expect(namesOf(scope, { prefix: 'album/2' })).toEqual(['album/2.jpg']);
    expect(namesOf(scope, { after: 'album/1.jpg', limit: 1 })).toEqual(['album/2.jpg']);
    for (const name of namesOf(scope)) {
      expect((await bytesOf(scope, name)).equals(contents.get(name)!)).toBe(true);
      expect(scope.head(name).size).toBe(contents.get(name)!.length);
    }
    const middle = await bytesOf(scope, 'album/2.jpg', 250_000, 200_000);
    expect(middle.equals(contents.get('album/2.jpg')!.subarray(250_000, 450_000))).toBe(true);
    expect(await failure(bytesOf(scope, 'albums'))).toBe('RENTER_NOT_FOUND');
    expect(await failure(bytesOf(scope, 'private'))).toBe('RENTER_NOT_FOUND');
    expect(await failure(bytesOf(scope, 'album/2.jpg', 1, 700_000))).toBe('RENTER_RANGE');
    // What it keeps for itself is not among the owner's objects.
    const listed: string[] = [];
    for await (const { name } of renter.list('test')) listed.push(name);
    expect(listed).toEqual(['album/1.jpg', 'album/2.jpg', 'album/empty', 'albums', 'private']);
  });

  it('of a whole bucket, and of nothing yet, work', async () => {
    const whole = await open(await textOf(await renter.grant(scopeOf(''))));
    expect(namesOf(whole)).toContain('private');
    expect((await bytesOf(whole, 'private')).equals(contents.get('private')!)).toBe(true);
    const nothing = await open(await textOf(await renter.grant(scopeOf('to come/'))));
    expect(namesOf(nothing)).toEqual([]);
    const content = await store('to come/first', 2000);
    expect(await nothing.refresh()).toBe(true);
    expect((await bytesOf(nothing, 'to come/first')).equals(content)).toBe(true);
    expect(await nothing.refresh()).toBe(false);
  });

  it('follows what comes, is replaced and goes, by itself where a read needs it', async () => {
    const granted = await renter.grant(scopeOf('moving/'));
    await store('moving/a', 400_000);
    await store('moving/b', 1000);
    const scope = await open(await textOf(granted));
    expect(namesOf(scope)).toEqual(['moving/a', 'moving/b']);
    await bytesOf(scope, 'moving/a', 0, 10);
    const second = await store('moving/a', 400_000);
    // It was open before: what it knew of is gone, and it finds that out.
    expect(await failure(bytesOf(scope, 'moving/a', 300_000))).toBe('RENTER_SHARE_ENDED');
    expect((await bytesOf(scope, 'moving/a')).equals(second)).toBe(true);
    await renter.delete({ bucket: 'test', name: 'moving/b' });
    await scope.refresh();
    expect(namesOf(scope)).toEqual(['moving/a']);
    // The catalogues that were in force before are gone from the farmers.
    const [now] = (await renter.grants()).filter(({ id }) => id === granted.id);
    expect(now).toMatchObject({ objects: 1 });
    const kept: string[] = [];
    for await (const { name } of coreOf(renter).store.manifests('.index', '', `grant-${now!.id}`)) {
      kept.push(name);
    }
    expect(kept.length).toBe(1);
  });

  it('has the keys of its segments, and no others', async () => {
    const core = coreOf(renter);
    const granted = await renter.grant(scopeOf('album/'));
    const row = (await core.store.grant(granted.id))!;
    const { owner, secret } = core.keys.grant(fromHex(row.id));
    const { reader } = grantKeysOf(owner.nodeId, secret);
    const made = { objects: 0, list: 0 };
    const pages: Buffer[] = [];
    const { gunzipSync } = await import('node:zlib');
    // Pages come one by one, and then the list.
    for await (const piece of writeCatalogue(core, row, reader, made))
      pages.push(Buffer.from(piece));
    const texts = pages.slice(0, 2).map((page) => gunzipSync(page).toString());
    const list = Buffer.concat(pages).subarray(made.list);
    const all = `${texts.join('')}${gunzipSync(list).toString()}`;
    const inScope: boolean[] = [];
    for await (const manifest of core.store.manifests('test', '', '')) {
      const objectKey = core.keys.objectKey(fromHex(manifest.objectId));
      const mine = manifest.name.startsWith('album/');
      expect(all).not.toContain(toBase64(objectKey));
      expect(all.includes(`"${manifest.name}"`)).toBe(mine);
      for await (const { salt, shards } of core.store.segments(manifest.objectId)) {
        inScope.push(mine);
        expect(all.includes(toBase64(segmentKey(objectKey, fromHex(salt))))).toBe(mine);
        for (const { contract } of shards) {
          expect(all.includes(toBase64(fromHex(contract)))).toBe(mine);
        }
      }
    }
    expect(new Set(inScope)).toEqual(new Set([true, false]));
    for (const key of [core.keys.storeKey, core.keys.rootKey, core.keys.exportKey]) {
      expect(all).not.toContain(toBase64(key));
    }
  });

  it('is no share link, nor the other way round, and has keys of its own', async () => {
    const granted = await renter.grant(scopeOf('album/'));
    const { grant, secret } = granted.link;
    const addresses = await renter.linkAddresses();
    const asShare = formatShareLink({ share: grant, secret, addresses, page: null });
    expect(await failure(openShare(asShare, { clock: granary.clock }))).toBe('RENTER_SHARE');
    const shared = await renter.share({ bucket: 'test', name: 'private' });
    const asGrant = { grant: shared.link.share, secret: shared.link.secret, addresses };
    expect(await failure(openGrant(asGrant, { clock: granary.clock }))).toBe('RENTER_SHARE');
    const other = { grant, secret: randomBytes(32), addresses };
    expect(await failure(openGrant(other, { clock: granary.clock }))).toBe('RENTER_SHARE');
  });

  it('that has expired says so, to who opens it then and to who opened it before', async () => {
    const granted = await renter.grant(scopeOf('album/'), {
      expires: granary.clock.now() + 3_600_000,
    });
    const text = await textOf(granted);
    const before = await open(text);
    granary.clock.shift += 3_600_001;
    expect(await failure(open(text))).toBe('RENTER_SHARE_EXPIRED');
    expect(() => [...before.list()]).toThrow(/has expired/);
    expect(await failure(bytesOf(before, 'album/1.jpg'))).toBe('RENTER_SHARE_EXPIRED');
    const found = (await renter.grants()).find(({ id }) => id === granted.id);
    expect(found).toMatchObject({ state: 'expired' });
    const past = { expires: granary.clock.now() };
    expect(await failure(renter.grant(scopeOf(''), past))).toBe('RENTER_SHARE');
  });

  it('that was taken back is refused by its record and by farmers', async () => {
    const granted = await renter.grant(scopeOf('album/'), {
      expires: granary.clock.now() + 3_600_000,
    });
    const text = await textOf(granted);
    const before = await open(text);
    await bytesOf(before, 'album/1.jpg', 0, 10);
    expect(await renter.revokeGrant(granted.id.slice(0, 6))).toMatchObject({
      state: 'revoked',
      untold: 0,
    });
    expect(await failure(open(text))).toBe('RENTER_SHARE_ENDED');
    // Who had it open knows where the shards are, and is refused by those that have them.
    expect(await failure(bytesOf(before, 'album/2.jpg'))).toBe('RENTER_SHARE_ENDED');
    expect(await failure(renter.revokeGrant('ff'.repeat(8)))).toBe('RENTER_NOT_FOUND');
    granary.clock.shift += 31 * 24 * 3600 * 1000;
    await renter.care();
    expect((await renter.grants()).some(({ id }) => id === granted.id)).toBe(false);
  });
});

describe('an access grant, when the network changes', () => {
  beforeAll(() => start(5));
  afterAll(stop);

  it('works with n - k farmers gone, follows repairs, and is there after a recovery', async () => {
    const content = await store('kept/file', 600_000);
    const granted = await renter.grant(scopeOf('kept/'));
    const text = await textOf(granted);
    const before = await open(text);
    await bytesOf(before, 'kept/file', 0, 10);
    for (let i = 0; i < 3; i += 1) await granary.addFarmer();
    await renter.care();
    const { farmers } = await renter.stat({ bucket: 'test', name: 'kept/file' });
    for (const { nodeId } of farmers.slice(0, 3)) await granary.remove(granary.farmer(nodeId));
    expect((await bytesOf(await open(text), 'kept/file')).equals(content)).toBe(true);
    await renter.care();
    granary.clock.shift += 13 * 3600 * 1000;
    const report = await renter.care();
    expect(report.repaired).toBeGreaterThan(0);
    expect(report.shares.failures).toEqual([]);
    expect((await bytesOf(before, 'kept/file')).equals(content)).toBe(true);
    for (const { nodeId } of farmers.slice(3)) await granary.remove(granary.farmer(nodeId));
    // Of those that it first led to nobody is left.
    expect((await bytesOf(before, 'kept/file')).equals(content)).toBe(true);

    const bootstrap = [granary.farmers.at(-1)!.address];
    await granary.addFarmer({ bootstrap });
    await granary.addFarmer({ bootstrap });
    const other = await granary.renter('other');
    await other.recover();
    expect(await other.grants()).toMatchObject([{ id: granted.id, state: 'open', placed: 0 }]);
    expect((await other.care()).shares).toMatchObject({ placed: 1, failures: [] });
    expect((await bytesOf(await open(text), 'kept/file')).equals(content)).toBe(true);
    await other.revokeGrant(granted.id);
    expect(await failure(open(text))).toBe('RENTER_SHARE_ENDED');
  });
});

describe('keys of access grants', () => {
  it('are others for every grant, and others than those of shares', () => {
    const id = fc.uint8Array({ minLength: 8, maxLength: 8 });
    const entropy = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(entropy, id, id, (master, one, two) => {
        const keys = RenterKeys.fromEntropy(master);
        const [a, b, share] = [keys.grant(one), keys.grant(two), keys.share(one)];
        const same = Buffer.from(one).equals(Buffer.from(two));
        expect(a.owner.nodeId === b.owner.nodeId).toBe(same);
        expect(Buffer.from(a.secret).equals(Buffer.from(b.secret))).toBe(same);
        expect(a.owner.nodeId).not.toBe(share.owner.nodeId);
        const mine = grantKeysOf(a.owner.nodeId, a.secret);
        const asShare = shareKeysOf(a.owner.nodeId, a.secret);
        expect(mine.reader.nodeId).not.toBe(asShare.reader.nodeId);
        expect(mine.reader.nodeId).not.toBe(keys.identity.nodeId);
        expect(Buffer.from(mine.pageKey).equals(Buffer.from(asShare.pageKey))).toBe(false);
      }),
      { numRuns: 20 },
    );
  });
});

describe('a list that is not as it should be', () => {
  const object = {
    name: 'a/b',
    size: 10,
    sha256: '00'.repeat(32),
    stored: 1,
    shared: 1,
    expires: null,
    k: 2,
    n: 3,
    chunkSize: 1024,
    cellSize: 4096,
    segmentBytes: 1008,
    segments: 1,
    perPage: 4,
  };
  const sound = { object, at: 0, pages: [100] };
  const packed = (bytes: Uint8Array) =>
    (async function* () {
      yield await Promise.resolve(bytes);
    })();
  const read = (text: string, prefix = 'a/') => readList(packed(gzipSync(text)), prefix);

  it('is refused, whatever is wrong with it', async () => {
    expect(await read(`${JSON.stringify(sound)}\n`)).toEqual([sound]);
    for (const wrong of [
      { ...sound, pages: [] },
      { ...sound, pages: [1, 2] },
      { ...sound, at: -1 },
      { ...sound, more: 1 },
      { ...sound, object: { ...object, name: 'outside' } },
      { ...sound, object: { ...object, perPage: 0 } },
    ]) {
      expect(await failure(read(JSON.stringify(wrong)))).toBe('RENTER_SHARE');
    }
    // One that would fill the memory.
    expect(await failure(read('x'.repeat(65 * 1024 * 1024)))).toBe('RENTER_SHARE');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1 }), async (bytes) => {
        expect(await failure(readList(packed(bytes), ''))).toBe('RENTER_SHARE');
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.json(), async (text) => {
        expect(await failure(read(text))).toBe('RENTER_SHARE');
      }),
    );
  });
});
