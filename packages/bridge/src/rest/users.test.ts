import { HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import { answerOf } from '../client/index.js';
import { AheadClock, onEveryDatabase } from '../metadata/databases.test-support.js';
import { TestBridge } from '../s3/bridge.test-support.js';
import { NO_RATE_LIMITS } from '../users/rate-limits.js';
import { PASSWORD, addAdmin, clientOf, refusal } from './rest.test-support.js';

const NO_QUOTA = { bytes: null, objects: null, buckets: null };

onEveryDatabase('the REST API', (place) => {
  async function withBridge(
    work: (bridge: TestBridge, clock: AheadClock) => Promise<void>,
  ): Promise<void> {
    const clock = new AheadClock();
    const metadata = await (await place()).open(clock);
    const bridge = await TestBridge.start({ metadata, clock });
    try {
      await work(bridge, clock);
    } finally {
      await bridge.bridge.close(1000);
    }
  }

  it('an admin makes, finds, changes and deletes users', () =>
    withBridge(async (bridge) => {
      const admin = clientOf(bridge, (await addAdmin(bridge)).credentials);
      const body = {
        name: 'zoë ../\u{1F40B}',
        password: PASSWORD,
        quota: { ...NO_QUOTA, buckets: 1 },
      };
      const made = answerOf(await admin.POST('/users', { body }));
      expect(made).toMatchObject({
        name: body.name,
        admin: false,
        disabled: false,
        hasPassword: true,
        quota: body.quota,
        rateLimits: NO_RATE_LIMITS,
      });
      expect(JSON.stringify(made)).not.toContain('scrypt');
      expect(await refusal(admin.POST('/users', { body }))).toBe('409 UserExists');
      const query = { name: body.name };
      const { users } = answerOf(await admin.GET('/users', { params: { query } }));
      expect(users).toEqual([made]);
      const params = { path: { user: made.id } };
      const changed = answerOf(
        await admin.PATCH('/users/{user}', {
          params,
          body: {
            name: 'zoe',
            quota: { bytes: 1000 },
            rateLimits: { requests: { perSecond: 10, burst: 20 } },
          },
        }),
      );
      // What was left out stayed.
      expect(changed).toEqual({
        ...made,
        name: 'zoe',
        quota: { bytes: 1000, objects: null, buckets: 1 },
        rateLimits: { requests: { perSecond: 10, burst: 20 }, bytes: null },
      });
      expect(answerOf(await admin.GET('/users/{user}', { params }))).toEqual(changed);
      const first = answerOf(await admin.GET('/users', { params: { query: { limit: 1 } } }));
      const after = first.next!;
      const rest = answerOf(await admin.GET('/users', { params: { query: { after } } }));
      expect([...first.users, ...rest.users].map(({ name }) => name)).toContain('zoe');
      expect(first.users).toHaveLength(1);
      // Some databases take no NUL.
      for (const query of [{ after: '\0' }, { name: 'a\0' }]) {
        const answer = await refusal(admin.GET('/users', { params: { query } }));
        expect(answer).toBe('after' in query ? '400 InvalidArgument' : '200');
        const owned = { query: { after: '\0' } };
        expect(await refusal(admin.GET('/buckets', { params: owned }))).toBe('400 InvalidArgument');
      }
      const nul = { body: { name: 'a\0' } };
      expect(await refusal(admin.POST('/users', nul))).toBe('400 InvalidArgument');
      answerOf(await admin.DELETE('/users/{user}', { params }));
      expect(await refusal(admin.GET('/users/{user}', { params }))).toBe('404 NoSuchUser');
      expect(await refusal(admin.DELETE('/users/{user}', { params }))).toBe('404 NoSuchUser');
    }));

  it('no admin locks the last one out', () =>
    withBridge(async (bridge) => {
      const { id, credentials } = await addAdmin(bridge);
      const admin = clientOf(bridge, credentials);
      for (const user of [id, 'me']) {
        const params = { path: { user } };
        for (const body of [{ admin: false }, { disabled: true }]) {
          expect(await refusal(admin.PATCH('/users/{user}', { params, body }))).toBe(
            '409 WouldLockOut',
          );
        }
        expect(await refusal(admin.DELETE('/users/{user}', { params }))).toBe('409 WouldLockOut');
      }
    }));

  it('users log in, act as themselves, change their password, and log out', () =>
    withBridge(async (bridge, clock) => {
      const anybody = clientOf(bridge);
      const admin = clientOf(bridge, (await addAdmin(bridge)).credentials);
      const user = answerOf(
        await admin.POST('/users', { body: { name: 'anna', password: PASSWORD } }),
      );
      const login = (password = PASSWORD, name = 'anna') =>
        anybody.POST('/session', { body: { name, password } });
      expect(await refusal(login('wrong password'))).toBe('401 WrongPassword');
      expect(await refusal(login(PASSWORD, 'nobody'))).toBe('401 WrongPassword');
      expect(await refusal(login(PASSWORD, 'owner'))).toBe('401 WrongPassword');
      const { token, expires } = answerOf(await login());
      expect(Date.parse(expires) - clock.now()).toBeGreaterThan(11 * 3_600_000);
      const anna = clientOf(bridge, { token });
      expect(answerOf(await anna.GET('/session'))).toEqual({
        user,
        by: 'session',
        accessKeyId: null,
        scope: null,
        admin: false,
      });
      answerOf(await anna.POST('/buckets', { body: { name: 'annas' } }));
      const usage = answerOf(
        await anna.GET('/users/{user}/usage', { params: { path: { user: 'me' } } }),
      );
      expect(usage).toEqual({ bytes: 0, objects: 0, buckets: 1 });

      const me = { params: { path: { user: 'me' } } };
      const change = (body: { password: string | null; current?: string }) =>
        anna.PUT('/users/{user}/password', { ...me, body });
      const better = `${PASSWORD} staple`;
      expect(await refusal(change({ password: better }))).toBe('401 WrongPassword');
      expect(await refusal(change({ password: better, current: 'wrong password' }))).toBe(
        '401 WrongPassword',
      );
      expect(await refusal(change({ password: 'short', current: PASSWORD }))).toBe(
        '400 InvalidDocument',
      );
      expect(await refusal(change({ password: better, current: PASSWORD }))).toBe('204');
      // All sessions ended with it.
      expect(await refusal(anna.GET('/session'))).toBe('401 BadCredentials');
      expect(await refusal(login())).toBe('401 WrongPassword');

      const again = clientOf(bridge, { token: answerOf(await login(better)).token });
      expect(await refusal(again.DELETE('/session'))).toBe('204');
      expect(await refusal(again.GET('/session'))).toBe('401 BadCredentials');

      const late = clientOf(bridge, { token: answerOf(await login(better)).token });
      expect(await refusal(late.GET('/session'))).toBe('200');
      clock.ahead += 13 * 3_600_000;
      expect(await refusal(late.GET('/session'))).toBe('401 BadCredentials');

      const last = clientOf(bridge, { token: answerOf(await login(better)).token });
      const params = { path: { user: user.id } };
      answerOf(await admin.PATCH('/users/{user}', { params, body: { disabled: true } }));
      expect(await refusal(last.GET('/session'))).toBe('401 BadCredentials');
      expect(await refusal(login(better))).toBe('401 WrongPassword');
      answerOf(await admin.PATCH('/users/{user}', { params, body: { disabled: false } }));
      expect(await refusal(last.GET('/session'))).toBe('401 BadCredentials');
      answerOf(await admin.PUT('/users/{user}/password', { params, body: { password: null } }));
      expect(await refusal(login(better))).toBe('401 WrongPassword');
      expect(await refusal(admin.DELETE('/users/{user}', { params }))).toBe('409 UserInUse');
    }));

  it('access keys are made, limited, listed and taken away, and S3 knows them at once', () =>
    withBridge(async (bridge, clock) => {
      const client = clientOf(bridge, bridge.owner.credentials);
      answerOf(await client.POST('/buckets', { body: { name: 'box' } }));
      const me = { path: { user: 'me' } };
      const expires = new Date(clock.now() + 60_000).toISOString();
      const scope = { buckets: ['box'], rights: ['list' as const] };
      const made = answerOf(
        await client.POST('/users/{user}/access-keys', {
          params: me,
          body: { scope, expires, description: 'reads' },
        }),
      );
      expect(made).toMatchObject({ scope, expires, description: 'reads', disabled: false });
      const { secret, ...shown } = made;
      const params = { path: { id: made.id } };
      expect(answerOf(await client.GET('/access-keys/{id}', { params }))).toEqual(shown);
      const { accessKeys } = answerOf(
        await client.GET('/users/{user}/access-keys', { params: me }),
      );
      expect(accessKeys).toContainEqual(shown);
      expect(JSON.stringify(accessKeys)).not.toContain(secret);

      const s3 = new S3Client({
        endpoint: bridge.bridge.url,
        region: 'us-east-1',
        forcePathStyle: true,
        maxAttempts: 1,
        credentials: { accessKeyId: made.id, secretAccessKey: secret },
      });
      const head = () =>
        s3.send(new HeadBucketCommand({ Bucket: 'box' })).then(
          () => 'ok',
          (error: Error) => error.name,
        );
      expect(await head()).toBe('ok');
      answerOf(await client.PATCH('/access-keys/{id}', { params, body: { disabled: true } }));
      expect(await head()).not.toBe('ok');
      answerOf(
        await client.PATCH('/access-keys/{id}', {
          params,
          body: { disabled: false, expires: null, scope: null, description: '' },
        }),
      );
      expect(await head()).toBe('ok');
      answerOf(await client.DELETE('/access-keys/{id}', { params }));
      expect(await head()).not.toBe('ok');
      expect(await refusal(client.GET('/access-keys/{id}', { params }))).toBe(
        '404 NoSuchAccessKey',
      );
      s3.destroy();
    }));

  it('quotas hold for REST as for S3', () =>
    withBridge(async (bridge) => {
      const admin = clientOf(bridge, (await addAdmin(bridge)).credentials);
      const client = clientOf(bridge, bridge.owner.credentials);
      answerOf(
        await admin.PATCH('/users/{user}', {
          params: { path: { user: bridge.owner.id } },
          body: { quota: { bytes: 10, buckets: 1 } },
        }),
      );
      answerOf(await client.POST('/buckets', { body: { name: 'box' } }));
      expect(await refusal(client.POST('/buckets', { body: { name: 'another' } }))).toBe(
        '403 QuotaExceeded',
      );
      const put = (key: string) =>
        client.PUT('/buckets/{bucket}/object', {
          params: { path: { bucket: 'box' }, query: { key } },
          body: Buffer.from('eight...'),
        });
      expect(await refusal(put('first'))).toBe('201');
      expect(await refusal(put('second'))).toBe('403 QuotaExceeded');
      const target = '/box/second';
      expect((await bridge.raw({ method: 'PUT', target, body: 'eight...' })).code).toBe(
        'QuotaExceeded',
      );
    }));
});

it('an admin sees how the bridge does', async () => {
  const bridge = await TestBridge.start({ version: '1.2.3' });
  try {
    const admin = clientOf(bridge, (await addAdmin(bridge)).credentials);
    const status = answerOf(await admin.GET('/status'));
    expect(status).toMatchObject({
      version: '1.2.3',
      database: true,
      network: true,
      requests: { running: 1, most: 256 },
      jobs: [{ queue: 'contents' }, { queue: 'lifecycle' }, { queue: 'journal' }],
    });
    bridge.backend.failure = new Error('away');
    expect(answerOf(await admin.GET('/status'))).toMatchObject({ database: true, network: false });
  } finally {
    await bridge.stop();
  }
});
