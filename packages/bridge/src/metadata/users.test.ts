import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { AheadClock, onEveryDatabase, userWithBucket } from './databases.test-support.js';
import { MAX_SESSIONS } from './metadata-store.js';
import { openMetadataStore } from './open-metadata.js';

const person = (name: string) => ({
  name,
  disabled: false,
  admin: false,
  passwordHash: 'scrypt$…',
  quota: { bytes: null, objects: null, buckets: 1 },
  attributes: { requestsPerSecond: 5 },
});

onEveryDatabase('users', (place) => {
  it('keeps sessions: so many at one time, and none that has ended or whose user is gone', async () => {
    const clock = new AheadClock();
    const store = await (await place()).open(clock);
    const user = await store.createUser(person('zoë'));
    const [other, begun] = [await store.createUser(person('other')), clock.now()];
    const id = (n: number) => n.toString(16).padStart(64, '0');
    const begin = (n: number, userId = user.id) =>
      store.createSession({ id: id(n), userId, expires: begun + n * 60_000 });
    const session = await begin(1);
    expect(await store.session(id(1))).toEqual({ session, user });
    expect(await store.session(id(2))).toBeUndefined();
    await begin(1000, other.id);
    for (let n = 2; n <= MAX_SESSIONS + 1; n++) await begin(n);
    expect(await store.session(id(1))).toBeUndefined();
    expect(await store.session(id(2))).toBeDefined();
    await store.deleteSession(id(2));
    await store.deleteSession(id(2));
    expect(await store.session(id(2))).toBeUndefined();
    clock.ahead = 10 * 60_000;
    await begin(100);
    expect(await store.session(id(5))).toBeUndefined();
    expect(await store.session(id(20))).toBeDefined();
    await store.deleteSessions(user.id);
    expect(await store.session(id(20))).toBeUndefined();
    expect(await store.session(id(1000))).toBeDefined();
    await store.deleteUser(other.id);
    expect(await store.session(id(1000))).toBeUndefined();
    await expect(begin(1001, other.id)).rejects.toMatchObject({ code: 'METADATA_NO_SUCH_USER' });
    await expect(store.session('no hash')).rejects.toMatchObject({ code: 'METADATA_BAD_INPUT' });
  });

  it('keeps users, their access keys and buckets', async () => {
    const store = await (await place()).open();
    const user = await store.createUser(person('zoë'));
    expect(await store.user(user.id)).toEqual(user);
    expect(await store.userByName('zoë')).toEqual(user);
    await expect(store.createUser(person('zoë'))).rejects.toMatchObject({
      code: 'METADATA_USER_EXISTS',
    });
    const other = await store.createUser(person('Adam'));
    // By bytes, in every database: capitals come first.
    expect((await store.listUsers({ limit: 10 })).map(({ name }) => name)).toEqual(['Adam', 'zoë']);
    await expect(store.changeUser(other.id, { name: 'zoë' })).rejects.toMatchObject({
      code: 'METADATA_USER_EXISTS',
    });
    expect((await store.changeUser(other.id, { disabled: true, admin: true })).disabled).toBe(true);
    const key = await store.createAccessKey({
      id: 'GRANARYKEY',
      userId: user.id,
      secret: 's3cret',
      expires: null,
      disabled: false,
      description: 'backup',
      scope: { buckets: ['b'] },
    });
    expect(await store.accessKey('GRANARYKEY')).toEqual({ key, user });
    expect(await store.accessKey("' OR 1=1 --")).toBeUndefined();
    await store.changeAccessKey('GRANARYKEY', { disabled: true });
    expect((await store.listAccessKeys(user.id, { limit: 5 }))[0]?.disabled).toBe(true);
    await store.createBucket({ name: 'b1', owner: user.id, documents: { cors: [1] } });
    await expect(store.createBucket({ name: 'b2', owner: user.id })).rejects.toMatchObject({
      code: 'METADATA_QUOTA',
    });
    await expect(store.createBucket({ name: 'b1', owner: other.id })).rejects.toMatchObject({
      code: 'METADATA_BUCKET_EXISTS',
    });
    const changed = await store.changeBucket('b1', { documents: { policy: {}, cors: null } });
    expect(changed.documents).toEqual({ policy: {} });
    expect(await store.bucket('b1')).toEqual(changed);
    expect(await store.listBuckets({ owner: other.id, limit: 10 })).toEqual([]);
    await expect(store.deleteUser(user.id)).rejects.toMatchObject({ code: 'METADATA_USER_IN_USE' });
    await store.deleteBucket('b1');
    await store.deleteUser(user.id);
    expect(await store.accessKey('GRANARYKEY')).toBeUndefined();
    await expect(store.deleteAccessKey('GRANARYKEY')).rejects.toMatchObject({
      code: 'METADATA_NO_SUCH_ACCESS_KEY',
    });
  });

  it('makes one bucket of many that are asked for at one time', async () => {
    const where = await place();
    const [one, two] = [await where.open(), await where.open()];
    const owner = await userWithBucket(one, 'other');
    const made = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) =>
        (i % 2 === 0 ? one : two).createBucket({ name: 'wanted', owner }),
      ),
    );
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of made) {
      if (result.status === 'rejected') {
        expect(result.reason).toMatchObject({ code: 'METADATA_BUCKET_EXISTS' });
      }
    }
  });

  it('can be opened by many at one time when it is new, and only with its master key', async () => {
    const where = await place();
    const stores = await Promise.all(Array.from({ length: 4 }, () => where.open()));
    await userWithBucket(stores[0]!);
    expect(await stores[3]!.bucket('bucket')).toBeDefined();
    await stores[1]!.ping();
    await expect(
      openMetadataStore({ database: where.url, masterKey: randomBytes(32) }),
    ).rejects.toMatchObject({ code: 'METADATA_MISMATCH' });
  });
});
