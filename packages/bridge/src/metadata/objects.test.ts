import { expect, it } from 'vitest';
import { onEveryDatabase, small, userWithBucket } from './databases.test-support.js';

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
    expect(await store.bucketUsage('bucket')).toEqual({ objects: 1, bytes: 6 });
    expect(await store.deleteObject({ bucket: 'bucket', key: 'a' })).toEqual({
      versionId: null,
      deleteMarker: false,
    });
    expect(await store.version('bucket', 'a')).toBeUndefined();
    expect(await store.bucketUsage('bucket')).toEqual({ objects: 0, bytes: 0 });
    await store.deleteBucket('bucket');
    await expect(store.version('bucket', 'a')).rejects.toMatchObject({
      code: 'METADATA_NO_SUCH_BUCKET',
    });
  });
});
