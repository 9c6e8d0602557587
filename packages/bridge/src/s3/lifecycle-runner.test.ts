import { silentLogger, systemRandom } from '@granary/kad';
import { expect, it } from 'vitest';
import {
  AheadClock,
  onEveryDatabase,
  small,
  userWithBucket,
} from '../metadata/databases.test-support.js';
import type { MetadataStore } from '../metadata/metadata-store.js';
import type { Retention } from '../metadata/records.js';
import type { LifecycleRule } from './lifecycle.js';
import { LifecycleRunner } from './lifecycle-runner.js';

const DAY = 86_400_000;
const { signal } = new AbortController();
const NOTHING = { expired: 0, noncurrent: 0, markers: 0, uploads: 0, locked: 0 };

const rule = (rest: Partial<LifecycleRule>, filter: object = {}): LifecycleRule => ({
  id: JSON.stringify([rest, filter]),
  enabled: true,
  filter: { prefix: '', tags: {}, ...filter },
  ...rest,
});

onEveryDatabase('lifecycle', (place) => {
  const setUp = async (options: { objectLock?: boolean } = {}) => {
    const clock = new AheadClock();
    const store = await (await place()).open(clock);
    const owner = await userWithBucket(store, 'bucket', options);
    const runner = new LifecycleRunner({
      metadata: store,
      roundMs: 1000,
      clock,
      random: systemRandom,
      logger: silentLogger,
    });
    const rules = (...lifecycle: LifecycleRule[]) =>
      store.changeBucket('bucket', { documents: { lifecycle } });
    const put = async (key: string, text: string, more: object = {}) =>
      (await store.putVersion({ ...small('bucket', key, text, owner), ...more })).versionId;
    return { clock, store, owner, runner, rules, put };
  };

  const keysOf = async (store: MetadataStore) => {
    const { objects } = await store.listObjects({ bucket: 'bucket', limit: 1000 });
    return objects.map(({ key }) => key);
  };
  const versionsOf = async (store: MetadataStore) => {
    const { versions } = await store.listVersions({ bucket: 'bucket', limit: 1000 });
    return versions.map(({ key, versionId, isDeleteMarker }) => [
      key,
      isDeleteMarker ? 'marker' : versionId,
    ]);
  };

  it('ends objects after days, at a date, by prefix, tags and size, and no others', async () => {
    const { clock, store, runner, rules, put } = await setUp();
    const details = (tags: Record<string, string>) => ({
      details: { headers: {}, metadata: {}, tags, acl: null, encryption: null },
    });
    await put('days/a', 'x');
    await put('other/a', 'x');
    await put('tagged/a', 'x', details({ keep: 'no', more: '1' }));
    await put('tagged/b', 'x', details({ keep: 'yes' }));
    await put('tagged/c', 'x');
    await put('sized/small', 'x');
    await put('sized/middle', 'x'.repeat(10));
    await put('sized/large', 'x'.repeat(100));
    await put('dated/a', 'x');
    await put('off/a', 'x');
    const date = Math.ceil((clock.now() + 10 * DAY) / DAY) * DAY;
    await rules(
      rule({ expireDays: 3 }, { prefix: 'days/' }),
      rule({ expireDays: 3 }, { prefix: 'tagged/', tags: { keep: 'no' } }),
      rule({ expireDays: 3 }, { prefix: 'sized/', largerThan: 1, smallerThan: 100 }),
      rule({ expireAt: date }, { prefix: 'dated/' }),
      rule({ expireDays: 1, enabled: false }, { prefix: 'off/' }),
    );
    expect(await runner.round(signal)).toEqual(NOTHING);
    // Days end at midnight: three days to the second are too early.
    clock.ahead = 3 * DAY - 1000;
    expect(await runner.round(signal)).toEqual(NOTHING);
    clock.ahead = 4 * DAY;
    await put('days/young', 'x');
    expect(await runner.round(signal)).toEqual({ ...NOTHING, expired: 3 });
    const left = ['other/a', 'sized/large', 'sized/small', 'tagged/b', 'tagged/c', 'off/a'];
    expect(await keysOf(store)).toEqual([...left, 'days/young', 'dated/a'].sort());
    clock.ahead = date - Date.now() + 1000;
    expect(await runner.round(signal)).toEqual({ ...NOTHING, expired: 2 });
    expect(await keysOf(store)).toEqual(left.sort());
    expect(await store.bucketUsage('bucket')).toMatchObject({ objects: left.length });
  });

  it('hides what ends where versions are kept, and takes markers that nothing is behind', async () => {
    const { clock, store, runner, rules, put } = await setUp();
    await store.changeBucket('bucket', { versioning: 'enabled' });
    const first = await put('a', '1');
    await rules(rule({ expireDays: 1 }));
    clock.ahead = 3 * DAY;
    expect(await runner.round(signal)).toEqual({ ...NOTHING, expired: 1 });
    expect(await versionsOf(store)).toEqual([
      ['a', 'marker'],
      ['a', first],
    ]);
    // The marker has something behind it, so it stays.
    clock.ahead = 9 * DAY;
    expect(await runner.round(signal)).toEqual(NOTHING);
    await store.deleteObject({ bucket: 'bucket', key: 'a', versionId: first });
    await store.deleteObject({ bucket: 'bucket', key: 'young' });
    expect(await runner.round(signal)).toEqual({ ...NOTHING, markers: 1 });
    expect(await versionsOf(store)).toEqual([['young', 'marker']]);
    await rules(rule({ expireMarkers: true }));
    expect(await runner.round(signal)).toEqual({ ...NOTHING, markers: 1 });
    expect(await versionsOf(store)).toEqual([]);
  });

  it('deletes old versions so long after they were replaced, but for the newest', async () => {
    const { clock, store, runner, rules, put } = await setUp();
    await store.changeBucket('bucket', { versioning: 'enabled' });
    const ids: string[] = [];
    for (let i = 0; i < 4; i += 1) ids.push(await put('a', `version ${i}`));
    clock.ahead = 5 * DAY;
    // Version 3 is replaced only now.
    ids.push(await put('a', 'version 4'));
    await put('b', 'alone');
    await rules(rule({ noncurrentDays: 3, noncurrentKeep: 2 }, { prefix: 'a' }));
    expect(await runner.round(signal)).toEqual({ ...NOTHING, noncurrent: 2 });
    const left = (await versionsOf(store)).filter(([key]) => key === 'a');
    expect(left.map(([, id]) => id)).toEqual([ids[4], ids[3], ids[2]]);
    await rules(rule({ noncurrentDays: 3 }));
    expect(await runner.round(signal)).toEqual({ ...NOTHING, noncurrent: 1 });
    clock.ahead = 10 * DAY;
    expect(await runner.round(signal)).toEqual({ ...NOTHING, noncurrent: 1 });
    expect((await versionsOf(store)).map(([, id]) => id)).toContain(ids[4]);
    expect(await keysOf(store)).toEqual(['a', 'b']);
  });

  it('leaves what is locked as long as it is locked', async () => {
    const { clock, store, runner, rules, put } = await setUp({ objectLock: true });
    const lock = (mode: Retention['mode'], days: number) => ({
      retention: { mode, until: clock.now() + days * DAY },
    });
    const ids = [
      await put('a', 'compliance', lock('COMPLIANCE', 20)),
      await put('a', 'governance', lock('GOVERNANCE', 20)),
      await put('a', 'held', { legalHold: true }),
      await put('a', 'free'),
      await put('a', 'current', lock('COMPLIANCE', 20)),
    ];
    await rules(rule({ noncurrentDays: 1, expireDays: 1 }));
    clock.ahead = 5 * DAY;
    // The current one is hidden by a marker, which deletes nothing.
    expect(await runner.round(signal)).toEqual({
      ...NOTHING,
      expired: 1,
      noncurrent: 1,
      locked: 3,
    });
    const left = (await versionsOf(store)).map(([, id]) => id);
    expect(left).toEqual(['marker', ids[4], ids[2], ids[1], ids[0]]);
    clock.ahead = 30 * DAY;
    expect(await runner.round(signal)).toMatchObject({ noncurrent: 3, locked: 1 });
    expect((await versionsOf(store)).map(([, id]) => id)).toEqual(['marker', ids[2]]);
  });

  it('aborts uploads that were not finished, with their parts', async () => {
    const { clock, store, owner, runner, rules } = await setUp();
    const { details, storageClass } = small('bucket', 'x', 'x', owner);
    const begin = async (key: string) => {
      const lock = { retention: null, legalHold: false, attributes: {} };
      const made = { bucket: 'bucket', key, owner, storageClass, details, ...lock };
      const { uploadId } = await store.createUpload(made);
      const bytes = Buffer.from('part');
      const part = { partNumber: 1, size: 4, etag: 'e', checksums: [] };
      await store.putPart('bucket', key, uploadId, { ...part, body: { kind: 'inline', bytes } });
    };
    await begin('tmp/old');
    await begin('kept');
    await rules(rule({ abortDays: 2 }, { prefix: 'tmp/' }));
    expect(await runner.round(signal)).toEqual(NOTHING);
    clock.ahead = 4 * DAY;
    await begin('tmp/young');
    expect(await runner.round(signal)).toEqual({ ...NOTHING, uploads: 1 });
    const { uploads } = await store.listUploads({ bucket: 'bucket', limit: 10 });
    expect(uploads.map(({ key }) => key)).toEqual(['kept', 'tmp/young']);
    expect(await store.bucketUsage('bucket')).toEqual({ objects: 0, bytes: 8 });
  });

  it('walks more than a page, and does its rounds under a lease', async () => {
    const { clock, store, runner, rules, put } = await setUp();
    await store.changeBucket('bucket', { versioning: 'enabled' });
    for (let i = 0; i < 505; i += 1) {
      await put(`key ${i}`, 'old');
      await put(`key ${i}`, 'new');
    }
    await rules(rule({ noncurrentDays: 1 }));
    clock.ahead = 3 * DAY;
    runner.start();
    const { versions } = await waitFor(async () => {
      const page = await store.listVersions({ bucket: 'bucket', limit: 1000 });
      return page.versions.length === 505 && page.next === null ? page : undefined;
    });
    expect(versions.every(({ isLatest }) => isLatest)).toBe(true);
    await runner.stop();
    expect(await store.countJobs('lifecycle')).toMatchObject({ leased: 0, failing: 0 });
  });
});

async function waitFor<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < 600; i += 1) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('did not happen');
}
