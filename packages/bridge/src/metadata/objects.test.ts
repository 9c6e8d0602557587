import { expect, it } from 'vitest';
import { AheadClock, onEveryDatabase, small, userWithBucket } from './databases.test-support.js';
import type { MetadataStore } from './metadata-store.js';

const failsWith = (code: string) => ({ code });

async function textOf(store: MetadataStore, key: string, versionId?: string) {
  const version = await store.version('bucket', key, versionId);
  if (version === undefined) return undefined;
  if (version.isDeleteMarker) return 'marker';
  return version.body.kind === 'inline' ? Buffer.from(version.body.bytes).toString() : '?';
}

onEveryDatabase('objects', (place) => {
  it('keeps one version while versioning is off, and reads it back', async () => {
    const store = await (await place()).open();
    const owner = await userWithBucket(store);
    const first = await store.putVersion(small('bucket', 'a', 'one', owner));
    expect(first).toMatchObject({
      versionId: 'null',
      isLatest: true,
      size: 3,
      etag: 'etag-of-one',
    });
    await store.putVersion(small('bucket', 'a', 'second', owner));
    const read = await store.version('bucket', 'a');
    expect(read?.body).toEqual({ kind: 'inline', bytes: Buffer.from('second') });
    expect(read?.details.headers).toEqual({ 'content-type': 'text/plain' });
    expect(await store.version('bucket', 'a', 'null')).toEqual(read);
    expect(await store.bucketUsage('bucket')).toEqual({ objects: 1, bytes: 6 });
    await expect(store.deleteBucket('bucket')).rejects.toMatchObject(
      failsWith('METADATA_BUCKET_NOT_EMPTY'),
    );
    expect(await store.deleteObject({ bucket: 'bucket', key: 'a' })).toEqual({
      versionId: null,
      deleteMarker: false,
    });
    expect(await store.version('bucket', 'a')).toBeUndefined();
    expect(await store.bucketUsage('bucket')).toEqual({ objects: 0, bytes: 0 });
    await store.deleteBucket('bucket');
    await expect(store.version('bucket', 'a')).rejects.toMatchObject(
      failsWith('METADATA_NO_SUCH_BUCKET'),
    );
    await expect(store.putVersion(small('bucket', 'a', 'x', owner))).rejects.toMatchObject(
      failsWith('METADATA_NO_SUCH_BUCKET'),
    );
  });

  it('keeps versions, delete markers and the version "null" as S3 does', async () => {
    const store = await (await place()).open();
    const owner = await userWithBucket(store);
    const put = async (text: string) =>
      (await store.putVersion(small('bucket', 'a', text, owner))).versionId;
    expect(await put('unversioned')).toBe('null');
    await store.changeBucket('bucket', { versioning: 'enabled' });
    const one = await put('one');
    const two = await put('two');
    expect(new Set([one, two, 'null']).size).toBe(3);
    expect(await textOf(store, 'a')).toBe('two');
    expect(await textOf(store, 'a', 'null')).toBe('unversioned');
    expect(await textOf(store, 'a', one)).toBe('one');
    const marker = await store.deleteObject({ bucket: 'bucket', key: 'a' });
    expect(marker.deleteMarker).toBe(true);
    expect(await textOf(store, 'a')).toBe('marker');
    expect((await store.listObjects({ bucket: 'bucket', limit: 10 })).objects).toEqual([]);
    // Suspended: "null" is replaced wherever it is.
    await store.changeBucket('bucket', { versioning: 'suspended' });
    expect(await put('suspended')).toBe('null');
    expect(await textOf(store, 'a', 'null')).toBe('suspended');
    expect((await store.bucketUsage('bucket')).objects).toBe(3);
    const gone = await store.deleteObject({ bucket: 'bucket', key: 'a' });
    expect(gone).toEqual({ versionId: 'null', deleteMarker: true });
    expect(await textOf(store, 'a', 'null')).toBe('marker');
    const all = await store.listVersions({ bucket: 'bucket', limit: 10 });
    expect(all.versions.map(({ versionId, isLatest }) => [versionId, isLatest])).toEqual([
      ['null', true],
      [marker.versionId, false],
      [two, false],
      [one, false],
    ]);
    // Deleting the newest for good makes the next one the newest.
    await store.deleteObject({ bucket: 'bucket', key: 'a', versionId: 'null' });
    expect(await textOf(store, 'a')).toBe('marker');
    const undone = await store.deleteObject({
      bucket: 'bucket',
      key: 'a',
      versionId: marker.versionId!,
    });
    expect(undone).toEqual({ versionId: marker.versionId, deleteMarker: true });
    expect(await textOf(store, 'a')).toBe('two');
    expect((await store.listObjects({ bucket: 'bucket', limit: 10 })).objects).toHaveLength(1);
    await store.deleteObject({ bucket: 'bucket', key: 'a', versionId: one });
    expect(await textOf(store, 'a')).toBe('two');
    await store.deleteObject({ bucket: 'bucket', key: 'a', versionId: two });
    expect(await store.version('bucket', 'a')).toBeUndefined();
    expect(await store.bucketUsage('bucket')).toEqual({ objects: 0, bytes: 0 });
    // A marker is made even where nothing was, as AWS does.
    await store.changeBucket('bucket', { versioning: 'enabled' });
    expect((await store.deleteObject({ bucket: 'bucket', key: 'never' })).deleteMarker).toBe(true);
  });

  it('checks conditions of writes against the current version', async () => {
    const store = await (await place()).open();
    const owner = await userWithBucket(store);
    const put = (text: string, precondition: object) =>
      store.putVersion({ ...small('bucket', 'a', text, owner), precondition });
    await expect(put('x', { ifMatch: 'any' })).rejects.toMatchObject(
      failsWith('METADATA_NO_SUCH_KEY'),
    );
    await put('one', { ifNoneMatch: '*' });
    await expect(put('two', { ifNoneMatch: '*' })).rejects.toMatchObject(
      failsWith('METADATA_PRECONDITION'),
    );
    await expect(put('two', { ifMatch: 'other' })).rejects.toMatchObject(
      failsWith('METADATA_PRECONDITION'),
    );
    await put('two', { ifMatch: 'etag-of-one' });
    await expect(
      store.deleteObject({ bucket: 'bucket', key: 'a', precondition: { ifMatch: 'etag-of-one' } }),
    ).rejects.toMatchObject(failsWith('METADATA_PRECONDITION'));
    expect(await textOf(store, 'a')).toBe('two');
    await store.changeBucket('bucket', { versioning: 'enabled' });
    await store.deleteObject({ bucket: 'bucket', key: 'a' });
    // A delete marker is nothing to match.
    await put('three', { ifNoneMatch: '*' });
  });

  it('lets one of many that write a key at one time on condition go first', async () => {
    const where = await place();
    const stores = await Promise.all([where.open(), where.open(), where.open()]);
    const owner = await userWithBucket(stores[0]!);
    const results = await Promise.allSettled(
      Array.from({ length: 24 }, (_, i) =>
        stores[i % 3]!.putVersion({
          ...small('bucket', 'lock', `writer ${i}`, owner),
          precondition: { ifNoneMatch: '*' },
        }),
      ),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected')
        expect(result.reason).toMatchObject({ code: 'METADATA_PRECONDITION' });
    }
    expect(await stores[0]!.bucketUsage('bucket')).toMatchObject({ objects: 1 });
  });

  it('keeps every version of many that write and delete one key at one time', async () => {
    const where = await place();
    const stores = await Promise.all([where.open(), where.open()]);
    const [store] = stores;
    const owner = await userWithBucket(store!);
    await store!.changeBucket('bucket', { versioning: 'enabled' });
    const put = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        stores[i % 2]!.putVersion(small('bucket', 'a', `text ${i}`, owner)),
      ),
    );
    const ids = new Set(put.map(({ versionId }) => versionId));
    expect(ids.size).toBe(20);
    const page = await store!.listVersions({ bucket: 'bucket', limit: 1000 });
    expect(new Set(page.versions.map(({ versionId }) => versionId))).toEqual(ids);
    expect(page.versions.map(({ isLatest }) => isLatest)).toEqual([true, ...Array(19).fill(false)]);
    await Promise.all(
      [...ids].map((versionId, i) =>
        stores[i % 2]!.deleteObject({ bucket: 'bucket', key: 'a', versionId }),
      ),
    );
    expect(await store!.version('bucket', 'a')).toBeUndefined();
    expect(await store!.bucketUsage('bucket')).toEqual({ objects: 0, bytes: 0 });
    await store!.deleteBucket('bucket');
  });

  it('never leaves an object in a bucket that is deleted at the same time', async () => {
    const where = await place();
    const [one, two] = [await where.open(), await where.open()];
    const owner = await userWithBucket(one, 'other');
    for (let i = 0; i < 15; i += 1) {
      await one.createBucket({ name: 'bucket', owner });
      const [put, deleted] = await Promise.allSettled([
        one.putVersion(small('bucket', 'a', 'x', owner)),
        two.deleteBucket('bucket'),
      ]);
      expect([put.status, deleted.status].sort()).toEqual(['fulfilled', 'rejected']);
      if (put.status === 'fulfilled') {
        expect(await textOf(one, 'a')).toBe('x');
        await one.deleteObject({ bucket: 'bucket', key: 'a' });
        await two.deleteBucket('bucket');
      }
    }
  });

  it('keeps what is locked', async () => {
    const clock = new AheadClock();
    const store = await (await place()).open(clock);
    const owner = await userWithBucket(store, 'bucket', { objectLock: true });
    await expect(store.changeBucket('bucket', { versioning: 'suspended' })).rejects.toMatchObject(
      failsWith('METADATA_BUCKET_STATE'),
    );
    const until = clock.now() + 3_600_000;
    const { versionId } = await store.putVersion({
      ...small('bucket', 'a', 'kept', owner),
      retention: { mode: 'GOVERNANCE', until },
    });
    const remove = (more: object = {}) =>
      store.deleteObject({ bucket: 'bucket', key: 'a', versionId, ...more });
    const change = (more: object) => store.changeVersion('bucket', 'a', versionId, more);
    await expect(remove()).rejects.toMatchObject(failsWith('METADATA_LOCKED'));
    // A delete marker hides it, and takes nothing away.
    const marker = await store.deleteObject({ bucket: 'bucket', key: 'a' });
    await store.deleteObject({ bucket: 'bucket', key: 'a', versionId: marker.versionId! });
    await expect(change({ retention: null })).rejects.toMatchObject(failsWith('METADATA_LOCKED'));
    await change({ retention: { mode: 'COMPLIANCE', until } });
    await expect(remove({ bypassGovernance: true })).rejects.toMatchObject(
      failsWith('METADATA_LOCKED'),
    );
    await expect(
      change({ retention: { mode: 'GOVERNANCE', until: until + 1 }, bypassGovernance: true }),
    ).rejects.toMatchObject(failsWith('METADATA_LOCKED'));
    await change({ legalHold: true });
    clock.ahead = 2 * 3_600_000;
    await expect(remove()).rejects.toMatchObject(failsWith('METADATA_LOCKED'));
    await change({ legalHold: false, tags: { a: 'b' } });
    expect((await store.version('bucket', 'a'))?.details.tags).toEqual({ a: 'b' });
    await remove();
    await userWithBucket(store, 'plain');
    await expect(
      store.putVersion({ ...small('plain', 'a', 'x', owner), legalHold: true }),
    ).rejects.toMatchObject(failsWith('METADATA_BUCKET_STATE'));
  });

  it('holds users to their quota', async () => {
    const store = await (await place()).open();
    const owner = await userWithBucket(store, 'bucket', { quota: 10 });
    await store.putVersion(small('bucket', 'a', '12345678', owner));
    await expect(store.putVersion(small('bucket', 'b', '123', owner))).rejects.toMatchObject(
      failsWith('METADATA_QUOTA'),
    );
    expect(await store.version('bucket', 'b')).toBeUndefined();
    // What it replaces counts no more.
    await store.putVersion(small('bucket', 'a', '1234567890', owner));
    expect(await store.userUsage(owner)).toEqual({ objects: 1, bytes: 10 });
  });

  it('refuses what is malformed, and takes odd keys', async () => {
    const store = await (await place()).open();
    const owner = await userWithBucket(store);
    for (const key of ['', 'x'.repeat(1025), '\ud800']) {
      await expect(store.putVersion(small('bucket', key, 'x', owner))).rejects.toMatchObject(
        failsWith('METADATA_BAD_INPUT'),
      );
    }
    const keys = ['\0', '..', '//', 'a\0b', '\u{10ffff}', 'é', 'e\u0301', '%2F', 'x'.repeat(1024)];
    for (const key of keys) await store.putVersion(small('bucket', key, key.slice(0, 9), owner));
    const listed = await store.listObjects({ bucket: 'bucket', limit: 100 });
    const sorted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(listed.objects.map(({ key }) => key)).toEqual(sorted);
    await expect(store.bucket('no\0ne')).resolves.toBeUndefined();
    await expect(store.version('no\0ne', 'a')).rejects.toMatchObject(
      failsWith('METADATA_NO_SUCH_BUCKET'),
    );
    expect(await store.version('bucket', 'a', 'not-a-version')).toBeUndefined();
  });

  it('copies without moving bytes', async () => {
    const store = await (await place()).open();
    const owner = await userWithBucket(store);
    await store.putVersion(small('bucket', 'a', 'text', owner));
    const copy = { kind: 'copy', bucket: 'bucket', key: 'a', versionId: 'null' } as const;
    await store.putVersion({ ...small('bucket', 'b', 'text', owner), body: copy });
    // Onto itself, as clients do to change metadata.
    await store.putVersion({
      ...small('bucket', 'a', 'text', owner),
      body: copy,
      storageClass: 'IA',
    });
    expect((await store.version('bucket', 'a'))?.storageClass).toBe('IA');
    await store.deleteObject({ bucket: 'bucket', key: 'a' });
    expect(await textOf(store, 'b')).toBe('text');
    await expect(
      store.putVersion({ ...small('bucket', 'c', 'text', owner), body: copy }),
    ).rejects.toMatchObject(failsWith('METADATA_NO_SUCH_VERSION'));
  });
});
