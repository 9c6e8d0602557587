import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { AheadClock, onEveryDatabase, small, userWithBucket } from './databases.test-support.js';
import type { MetadataStore } from './metadata-store.js';

const newContent = () => randomBytes(16).toString('hex');
const HOUR = 3_600_000;

async function begin(store: MetadataStore, owner: string, key = 'big') {
  const { details } = small('bucket', key, '', owner);
  return store.createUpload({
    bucket: 'bucket',
    key,
    owner,
    storageClass: 'STANDARD',
    details,
    retention: null,
    legalHold: false,
    attributes: { checksum: 'CRC32' },
  });
}

/** Store a part of which the content is claimed. */
async function part(store: MetadataStore, uploadId: string, partNumber: number, size: number) {
  const contentId = newContent();
  await store.beginContents([contentId], HOUR);
  await store.putPart('bucket', 'big', uploadId, {
    partNumber,
    size,
    etag: `part-${partNumber}-${size}`,
    checksums: [],
    body: { kind: 'extents', extents: [{ contentId, offset: 0, length: size }] },
  });
  return contentId;
}

onEveryDatabase('uploads and contents', (place) => {
  it('makes an object of the parts that are named; the others become garbage', async () => {
    const store = await (await place()).open();
    const owner = await userWithBucket(store);
    const { uploadId } = await begin(store, owner);
    const one = await part(store, uploadId, 1, 100);
    const replaced = await part(store, uploadId, 2, 50);
    const two = await part(store, uploadId, 2, 100);
    const left = await part(store, uploadId, 5, 7);
    const last = await part(store, uploadId, 9, 30);
    expect((await store.bucketUsage('bucket')).bytes).toBe(237);
    await expect(store.deleteBucket('bucket')).rejects.toMatchObject({
      code: 'METADATA_BUCKET_NOT_EMPTY',
    });
    const listed = await store.listParts('bucket', 'big', uploadId, 1, 2);
    expect(listed.map(({ partNumber, size }) => [partNumber, size])).toEqual([
      [2, 100],
      [5, 7],
    ]);
    const complete = (parts: readonly (readonly [number, number])[]) =>
      store.completeUpload('bucket', 'big', uploadId, {
        parts: parts.map(([partNumber, size]) => ({
          partNumber,
          etag: `part-${partNumber}-${size}`,
        })),
        etag: 'whole-3',
        checksums: [],
      });
    await expect(complete([[2, 50]])).rejects.toMatchObject({ code: 'METADATA_INVALID_PART' });
    await expect(complete([[3, 50]])).rejects.toMatchObject({ code: 'METADATA_INVALID_PART' });
    const chosen = [
      [1, 100],
      [2, 100],
      [9, 30],
    ] as const;
    const version = await complete(chosen);
    expect(version).toMatchObject({ size: 230, etag: 'whole-3', isLatest: true });
    expect(version.body).toEqual({ kind: 'parts', partsId: uploadId, count: 3 });
    // The answer was lost, and it is asked for again.
    expect(await complete(chosen)).toEqual(version);
    expect(await store.version('bucket', 'big')).toEqual(version);
    const at = async (from: { offset: number } | { partNumber: number }) =>
      (await store.versionParts(uploadId, from, 1)).map((p) => [p.partNumber, p.start])[0];
    expect(await at({ offset: 0 })).toEqual([1, 0]);
    expect(await at({ offset: 99 })).toEqual([1, 0]);
    expect(await at({ offset: 100 })).toEqual([2, 100]);
    expect(await at({ offset: 229 })).toEqual([9, 200]);
    expect(await at({ offset: 230 })).toBeUndefined();
    expect(await at({ partNumber: 2 })).toEqual([2, 100]);
    expect(await store.bucketUsage('bucket')).toEqual({ objects: 1, bytes: 230 });
    expect(new Set(await store.garbageContents(100))).toEqual(new Set([replaced, left]));
    // A copy shares them, so that they stay when the original goes.
    await store.putVersion({
      ...small('bucket', 'copy', '', owner),
      size: 230,
      body: { kind: 'copy', bucket: 'bucket', key: 'big', versionId: 'null' },
    });
    await store.deleteObject({ bucket: 'bucket', key: 'big' });
    expect(new Set(await store.garbageContents(100))).toEqual(new Set([replaced, left]));
    await store.forgetContents([replaced, left, one]);
    const copy = await store.version('bucket', 'copy');
    const copied = copy?.body.kind === 'parts' ? copy.body.partsId : '';
    const parts = await store.versionParts(copied, { offset: 150 }, 10);
    expect(parts.map(({ start }) => start)).toEqual([100, 200]);
    await store.deleteObject({ bucket: 'bucket', key: 'copy' });
    expect(new Set(await store.garbageContents(100))).toEqual(new Set([one, two, last]));
    await store.deleteBucket('bucket');
  });

  it('never completes without a part that was acknowledged meanwhile being accounted for', async () => {
    const where = await place();
    const [one, two] = [await where.open(), await where.open()];
    const owner = await userWithBucket(one);
    for (let i = 0; i < 10; i += 1) {
      const { uploadId } = await begin(one, owner);
      await part(one, uploadId, 1, 10);
      const [late, done] = await Promise.allSettled([
        part(two, uploadId, 2, 20),
        one.completeUpload('bucket', 'big', uploadId, {
          parts: [{ partNumber: 1, etag: 'part-1-10' }],
          etag: 'whole',
          checksums: [],
        }),
      ]);
      expect(done.status).toBe('fulfilled');
      if (late.status === 'rejected') {
        expect(late.reason).toMatchObject({ code: 'METADATA_NO_SUCH_UPLOAD' });
      }
      expect(await one.bucketUsage('bucket')).toEqual({ objects: 1, bytes: 10 });
      expect(await one.versionParts(uploadId, { partNumber: 1 }, 10)).toHaveLength(1);
    }
  });

  it('lists uploads with prefixes and markers, and aborts them', async () => {
    const store = await (await place()).open();
    const owner = await userWithBucket(store);
    const ids: string[] = [];
    for (const name of ['a', 'a', 'b/1', 'b/2', 'c']) {
      ids.push((await begin(store, owner, name)).uploadId);
    }
    const page = await store.listUploads({ bucket: 'bucket', delimiter: '/', limit: 3 });
    expect(page.commonPrefixes).toEqual(['b/']);
    expect(page.uploads.map(({ key }) => key)).toEqual(['a', 'a']);
    expect(page.next).toEqual({ keyMarker: 'b/', uploadIdMarker: null });
    const rest = await store.listUploads({
      bucket: 'bucket',
      delimiter: '/',
      keyMarker: 'b/',
      limit: 3,
    });
    expect(rest.uploads.map(({ key }) => key)).toEqual(['c']);
    const [first] = (await store.listUploads({ bucket: 'bucket', limit: 1 })).uploads;
    const second = await store.listUploads({
      bucket: 'bucket',
      keyMarker: 'a',
      uploadIdMarker: first!.uploadId,
      limit: 1,
    });
    expect(second.uploads[0]!.key).toBe('a');
    expect(second.uploads[0]!.uploadId).not.toBe(first!.uploadId);
    await store.abortUpload('bucket', 'a', ids[0]!);
    await expect(store.abortUpload('bucket', 'a', ids[0]!)).rejects.toMatchObject({
      code: 'METADATA_NO_SUCH_UPLOAD',
    });
  });

  it('takes contents whose claim has run out, and refuses them afterwards', async () => {
    const clock = new AheadClock();
    const store = await (await place()).open(clock);
    const owner = await userWithBucket(store);
    const [kept, lost, given] = [newContent(), newContent(), newContent()];
    await store.beginContents([kept, lost, given], HOUR);
    const put = (contentId: string) =>
      store.putVersion({
        ...small('bucket', contentId, '', owner),
        size: 5,
        body: { kind: 'extents', extents: [{ contentId, offset: 0, length: 5 }] },
      });
    await put(kept);
    await store.abandonContents([given, kept]);
    expect(await store.garbageContents(10)).toEqual([given]);
    clock.ahead += HOUR + 1;
    expect(new Set(await store.garbageContents(10))).toEqual(new Set([given, lost]));
    await expect(put(lost)).rejects.toMatchObject({ code: 'METADATA_CONTENT_LOST' });
    await expect(store.renewContents([lost], HOUR)).rejects.toMatchObject({
      code: 'METADATA_CONTENT_LOST',
    });
    expect(await store.version('bucket', lost)).toBeUndefined();
    await put(kept);
    await store.deleteObject({ bucket: 'bucket', key: kept });
    expect(await store.garbageContents(10)).toContain(kept);
  });

  it('packs small bodies together, and moves those of a sparse pack', async () => {
    const clock = new AheadClock();
    const store = await (await place()).open(clock);
    const owner = await userWithBucket(store);
    for (let i = 0; i < 10; i += 1) {
      await store.putVersion(small('bucket', `k${i}`, `text ${i}`, owner));
      // They come oldest first; those of one millisecond in any order.
      clock.ahead += 1;
    }
    const bodies = await store.inlineBodies(100, clock.now() + 1000);
    expect(bodies.map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(
      Array.from({ length: 10 }, (_, i) => `text ${i}`),
    );
    expect(await store.inlineBodies(100, 0)).toEqual([]);
    await store.deleteObject({ bucket: 'bucket', key: 'k0' });
    const pack = newContent();
    await store.beginContents([pack], HOUR);
    let offset = 0;
    const extents = bodies.map(({ ref, bytes }) => {
      const extent = { contentId: pack, offset, length: bytes.length };
      offset += bytes.length;
      return { ref, extent };
    });
    expect(await store.packBodies(pack, extents)).toBe(9);
    expect(await store.inlineBodies(100, clock.now() + 1000)).toEqual([]);
    expect((await store.version('bucket', 'k3'))?.body).toEqual({
      kind: 'extents',
      extents: [{ contentId: pack, offset: 18, length: 6 }],
    });
    for (let i = 1; i < 8; i += 1) await store.deleteObject({ bucket: 'bucket', key: `k${i}` });
    expect(await store.garbageContents(10)).toEqual([]);
    expect(await store.sparseContents(0.1, 10)).toEqual([]);
    expect(await store.sparseContents(0.5, 10)).toEqual([pack]);
    const found = await store.extentsOf(pack, 100);
    expect(found).toHaveLength(2);
    const next = newContent();
    await store.beginContents([next], HOUR);
    await store.deleteObject({ bucket: 'bucket', key: 'k8' });
    const moves = found.map(({ ref, extent }, i) => ({
      ref,
      from: extent,
      to: { contentId: next, offset: 6 * i, length: 6 },
    }));
    expect(await store.moveExtents(next, moves)).toBe(1);
    expect((await store.version('bucket', 'k9'))?.body).toMatchObject({
      extents: [{ contentId: next }],
    });
    expect(await store.garbageContents(10)).toEqual([pack]);
  });

  it('never makes garbage of what is copied at the same time', async () => {
    const where = await place();
    const [one, two] = [await where.open(), await where.open()];
    const owner = await userWithBucket(one);
    for (let i = 0; i < 12; i += 1) {
      const contentId = newContent();
      await one.beginContents([contentId], HOUR);
      await one.putVersion({
        ...small('bucket', 'from', '', owner),
        size: 5,
        body: { kind: 'extents', extents: [{ contentId, offset: 0, length: 5 }] },
      });
      const [copied] = await Promise.allSettled([
        two.putVersion({
          ...small('bucket', 'to', '', owner),
          size: 5,
          body: { kind: 'copy', bucket: 'bucket', key: 'from', versionId: 'null' },
        }),
        one.deleteObject({ bucket: 'bucket', key: 'from' }),
        one.garbageContents(10),
        two.garbageContents(10),
      ]);
      const garbage = await one.garbageContents(100);
      expect(garbage.includes(contentId)).toBe(copied.status === 'rejected');
      if (copied.status === 'rejected') {
        expect(copied.reason).toMatchObject({ code: 'METADATA_NO_SUCH_VERSION' });
      } else await one.deleteObject({ bucket: 'bucket', key: 'to' });
      await one.forgetContents(await one.garbageContents(100));
    }
  });
});
