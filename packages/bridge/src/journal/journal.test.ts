import { randomBytes } from 'node:crypto';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import { expect, it } from 'vitest';
import { ContentKeeper } from '../contents/content-keeper.js';
import { onEveryDatabase, small, userWithBucket } from '../metadata/databases.test-support.js';
import type { MetadataStore } from '../metadata/metadata-store.js';
import { openMetadataStore } from '../metadata/open-metadata.js';
import { MemoryBackend } from '../s3/bridge.test-support.js';
import type { JournalBackend } from './journal-backend.js';
import { stateOf } from './journal-name.js';
import { JournalWriter } from './journal-writer.js';
import { findJournals, recoverMetadata } from './recover-metadata.js';

const { signal } = new AbortController();
const common = { clock: systemClock, random: systemRandom, logger: silentLogger };

/** A network in memory, with contents and a journal. */
class MemoryJournal extends MemoryBackend implements JournalBackend {
  readonly entries = new Map<string, Buffer>();

  async putEntry(name: string, stream: AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const part of stream) parts.push(Uint8Array.from(part));
    if (this.failure !== undefined) throw this.failure;
    this.entries.set(name, Buffer.concat(parts));
  }

  async *getEntry(name: string): AsyncGenerator<Uint8Array> {
    await Promise.resolve();
    const bytes = this.entries.get(name);
    if (bytes === undefined) throw new Error(`there is no ${name}`);
    yield bytes;
  }

  listEntries() {
    const entries = [...this.entries].map(([name, { length }]) => ({ name, size: length }));
    return Promise.resolve(entries.sort((a, b) => (a.name < b.name ? -1 : 1)));
  }

  deleteEntry(name: string): Promise<void> {
    this.entries.delete(name);
    return Promise.resolve();
  }

  listContents() {
    return Promise.resolve([...this.contents.keys()]);
  }
}

/** Everything that a store tells, but for what is derived by time. */
async function everything(store: MetadataStore): Promise<unknown> {
  const users = await store.listUsers({ limit: 1000 });
  const keys = [];
  for (const { id } of users) keys.push(await store.listAccessKeys(id, { limit: 1000 }));
  const buckets = [];
  for (const bucket of await store.listBuckets({ limit: 1000 })) {
    const { name } = bucket;
    const { versions } = await store.listVersions({ bucket: name, limit: 1000 });
    const whole = [];
    for (const { key, versionId } of versions) {
      const version = await store.version(name, key, versionId);
      const parts =
        version?.body.kind === 'parts'
          ? await store.versionParts(version.body.partsId, { partNumber: 1 }, 100)
          : [];
      whole.push({ version, parts });
    }
    const { uploads } = await store.listUploads({ bucket: name, limit: 1000 });
    const parts = [];
    for (const { key, uploadId } of uploads) {
      parts.push(await store.listParts(name, key, uploadId, 0, 100));
    }
    const objects = await store.listObjects({ bucket: name, limit: 1000 });
    buckets.push({ bucket, whole, uploads, parts, objects, usage: await store.bucketUsage(name) });
  }
  return { users, keys, buckets };
}

async function storeContent(store: MetadataStore, network: MemoryJournal, bytes: Buffer) {
  const contentId = randomBytes(16).toString('hex');
  await store.beginContents([contentId], 60_000);
  network.contents.set(contentId, bytes);
  const extents = [{ contentId, offset: 0, length: bytes.length }];
  return { kind: 'extents', extents } as const;
}

onEveryDatabase('the journal', (place) => {
  const setUp = async (options: Partial<ConstructorParameters<typeof JournalWriter>[0]> = {}) => {
    const where = await place();
    const store = await where.open();
    const owner = await userWithBucket(store);
    const network = new MemoryJournal();
    const writer = (metadata = store) =>
      new JournalWriter({ metadata, backend: network, roundMs: 1000, ...common, ...options });
    const recovered = async () => {
      const fresh = await (await place()).open();
      return {
        fresh,
        report: await recoverMetadata(fresh, network, await store.journalName(), signal),
      };
    };
    return { where, store, owner, network, writer, recovered };
  };

  it('brings back all that happened before the last round, whatever it was', async () => {
    // So small that changes are merged, and snapshots made, all the time.
    const { where, store, owner, network, writer, recovered } = await setUp({
      maxParts: 4,
      minSnapshotBytes: 6000,
    });
    await store.createBucket({ name: 'kept', owner, objectLock: true });
    const other = await where.open();
    const below = (n: number) => Math.floor(Math.random() * n);
    const act = async (on: MetadataStore, i: number) => {
      const bucket = below(3) === 0 ? 'kept' : 'bucket';
      const key = `key ${below(12)} ü`;
      const kind = below(12);
      if (kind < 5) {
        await on.putVersion(small(bucket, key, `text ${i}`, owner));
      } else if (kind < 7) {
        const bytes = randomBytes(50);
        const body = await storeContent(on, network, bytes);
        await on.putVersion({ ...small(bucket, key, 'x', owner), body, size: bytes.length });
      } else if (kind < 9) await on.deleteObject({ bucket, key });
      else if (kind === 9) {
        const { details, storageClass } = small(bucket, key, 'x', owner);
        const lock = { retention: null, legalHold: false, attributes: { i } };
        const upload = await on.createUpload({
          bucket,
          key,
          owner,
          storageClass,
          details,
          ...lock,
        });
        const body = { kind: 'inline', bytes: Buffer.from(`part ${i}`) } as const;
        const part = { partNumber: 1, size: body.bytes.length, etag: `${i}`, checksums: [], body };
        await on.putPart(bucket, key, upload.uploadId, part);
        if (below(2) === 0) {
          const completion = { parts: [{ partNumber: 1, etag: `${i}` }], etag: 'm', checksums: [] };
          await on.completeUpload(bucket, key, upload.uploadId, completion);
        }
      } else if (kind === 10) {
        await on.createAccessKey({
          id: `KEY${i}`,
          userId: owner,
          secret: 'secret',
          expires: null,
          disabled: false,
          description: '',
          scope: null,
        });
      } else {
        await on.changeBucket(bucket, { documents: { tagging: { i } } });
      }
    };
    const [mine, theirs] = [writer(), writer(other)];
    const keeper = new ContentKeeper({
      metadata: store,
      backend: network,
      journal: mine,
      roundMs: 1000,
      packMs: 0,
      ...common,
    });
    for (let i = 0; i < 120; i += 4) {
      await Promise.all([
        act(store, i),
        act(other, i + 1),
        act(store, i + 2),
        act(other, i + 3),
        ...(below(2) === 0 ? [mine.round(signal)] : []),
        // Another bridge, too, before it deletes something.
        ...(below(3) === 0 ? [theirs.writeChanges(signal)] : []),
        ...(below(4) === 0 ? [keeper.round(signal)] : []),
      ]);
    }
    await mine.round(signal);
    const { fresh, report } = await recovered();
    expect(report.lost).toEqual([]);
    expect(report.written).toBeGreaterThan(Date.now() - 60_000);
    expect(await everything(fresh)).toEqual(await everything(store));
    expect(
      stateOf(await store.journalName(), await network.listEntries()).changes.length,
    ).toBeLessThan(8);

    // The new one goes on where the old one ended, on the same journal.
    await act(fresh, 1001);
    await fresh.putVersion(small('bucket', 'after', 'recovery', owner));
    await fresh.deleteObject({ bucket: 'bucket', key: 'key 1 ü' });
    await writer(fresh).round(signal);
    const again = await recovered();
    expect(await everything(again.fresh)).toEqual(await everything(fresh));
    expect(await fresh.hasChanges()).toBe(false);
    // What nothing refers to is known as garbage, and nothing else is.
    const kept = new Set(network.contents.keys());
    for (const id of await again.fresh.garbageContents(1000)) kept.delete(id);
    const { buckets } = (await everything(again.fresh)) as { buckets: object[] };
    for (const id of network.contents.keys()) {
      expect(JSON.stringify(buckets).includes(id), id).toBe(kept.has(id));
    }
  });

  it('does not let a late writer take newer changes back', async () => {
    const { store, owner, network, writer, recovered } = await setUp();
    await writer().round(signal);
    await store.putVersion(small('bucket', 'a', 'old', owner));
    // One reads, and is then slow; another writes what came later.
    const late = await store.readChanges();
    await store.putVersion(small('bucket', 'a', 'new', owner));
    await store.deleteObject({ bucket: 'bucket', key: 'gone' });
    await writer().round(signal);
    const slow = new JournalWriter({
      metadata: {
        ...store,
        hasChanges: () => Promise.resolve(true),
        readChanges: () => Promise.resolve({ ...late, more: false }),
      },
      backend: network,
      roundMs: 1000,
      ...common,
    });
    await slow.writeChanges(signal);
    const { fresh } = await recovered();
    expect((await fresh.version('bucket', 'a'))?.etag).toBe('etag-of-new');
    expect(await everything(fresh)).toEqual(await everything(store));
  });

  it('keeps what garbage was until the network knows that it is garbage', async () => {
    const { store, owner, network, writer, recovered } = await setUp();
    const body = await storeContent(store, network, Buffer.from('first'));
    const version = { ...small('bucket', 'a', 'first', owner), body };
    await store.putVersion(version);
    await writer().round(signal);
    await store.putVersion(small('bucket', 'a', 'second', owner));
    const journal = writer();
    const keeper = new ContentKeeper({
      metadata: store,
      backend: network,
      journal,
      roundMs: 1000,
      packMs: 3_600_000,
      ...common,
    });
    network.failure = new Error('no network');
    await expect(keeper.round(signal)).rejects.toThrow('no network');
    network.failure = undefined;
    expect(network.contents.size).toBe(1);
    expect((await recovered()).report.lost).toEqual([]);
    expect((await keeper.round(signal)).deleted).toBe(1);
    const { fresh, report } = await recovered();
    expect(report.lost).toEqual([]);
    expect((await fresh.version('bucket', 'a'))?.etag).toBe('etag-of-second');
  });

  it('leaves out what the network has not all of, and shows what was before it', async () => {
    const { store, owner, network, writer, recovered } = await setUp();
    await store.changeBucket('bucket', { versioning: 'enabled' });
    const first = await store.putVersion(small('bucket', 'a', 'first', owner));
    const body = await storeContent(store, network, Buffer.from('second'));
    await store.putVersion({ ...small('bucket', 'a', 'second', owner), body });
    await writer().round(signal);
    network.contents.clear();
    const { fresh, report } = await recovered();
    expect(report.lost).toEqual([{ bucket: 'bucket', key: 'a' }]);
    expect((await fresh.version('bucket', 'a'))?.versionId).toBe(first.versionId);
    const { objects } = await fresh.listObjects({ bucket: 'bucket', limit: 10 });
    expect(objects.map(({ etag }) => etag)).toEqual(['etag-of-first']);
    expect(await fresh.bucketUsage('bucket')).toEqual({ objects: 1, bytes: 5 });
  });

  it('begins anew with a snapshot after a time without a journal', async () => {
    const { store, owner, writer, recovered } = await setUp();
    await writer().round(signal);
    await store.putVersion(small('bucket', 'unseen', 'x', owner));
    await store.discardChanges();
    await store.putVersion(small('bucket', 'seen', 'x', owner));
    await writer().round(signal);
    const { fresh } = await recovered();
    expect(await everything(fresh)).toEqual(await everything(store));
  });

  it('begins anew with a snapshot when the database was set back to an older state', async () => {
    const { store, owner, network, writer, recovered } = await setUp();
    await writer().round(signal);
    await store.putVersion(small('bucket', 'a', 'old', owner));
    await writer().round(signal);
    const old = new Map(network.entries);
    for (let i = 0; i < 3; i += 1) {
      await store.putVersion(small('bucket', 'a', `newer ${i}`, owner));
      await writer().round(signal);
    }
    // A copy of the old state, in the name of the same journal.
    const newest = new Map(network.entries);
    network.entries.clear();
    for (const [name, bytes] of old) network.entries.set(name, bytes);
    const { fresh } = await recovered();
    for (const [name, bytes] of newest) network.entries.set(name, bytes);
    await fresh.putVersion(small('bucket', 'b', 'after', owner));
    await writer(fresh).round(signal);
    const again = await recovered();
    expect(await everything(again.fresh)).toEqual(await everything(fresh));
    expect((await again.fresh.version('bucket', 'a'))?.etag).toBe('etag-of-old');
  });

  it('is for the right master key and an empty database only, and can be begun again', async () => {
    const { store, owner, network, writer } = await setUp();
    const journal = await store.journalName();
    const nothing = recoverMetadata(await (await place()).open(), network, journal, signal);
    await expect(nothing).rejects.toMatchObject({ code: 'METADATA_NOT_IN_NETWORK' });
    await writer().round(signal);
    const foreign = await openMetadataStore({
      database: (await place()).url,
      masterKey: randomBytes(32),
    });
    await expect(recoverMetadata(foreign, network, journal, signal)).rejects.toMatchObject({
      code: 'METADATA_MISMATCH',
    });
    await foreign.close();
    await expect(recoverMetadata(store, network, journal, signal)).rejects.toMatchObject({
      code: 'METADATA_USER_EXISTS',
    });
    expect((await store.user(owner))?.id).toBe(owner);
    // Cut off in the middle, and done again.
    const fresh = await (await place()).open();
    const cut = { ...fresh, finishRestore: () => Promise.reject(new Error('cut off')) };
    await expect(recoverMetadata(cut, network, journal, signal)).rejects.toThrow('cut off');
    await recoverMetadata(fresh, network, await store.journalName(), signal);
    expect(await everything(fresh)).toEqual(await everything(store));
    expect(await fresh.journalName()).toBe(journal);
  });

  it('knows the journals of several databases apart', async () => {
    const { store, network, writer } = await setUp();
    await writer().round(signal);
    const second = await (await place()).open();
    await userWithBucket(second, 'second');
    await new Promise((resolve) => setTimeout(resolve, 2));
    await writer(second).round(signal);
    const found = await findJournals(network, signal);
    expect(found.map(({ name }) => name)).toEqual([
      await second.journalName(),
      await store.journalName(),
    ]);
    for (const [i, from] of [second, store].entries()) {
      const fresh = await (await place()).open();
      await recoverMetadata(fresh, network, found[i]!.name, signal);
      expect(await everything(fresh)).toEqual(await everything(from));
    }
  });
});
