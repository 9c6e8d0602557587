import { expect, it } from 'vitest';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import { answerOf } from '../client/index.js';
import { TestBridge } from '../s3/bridge.test-support.js';
import { createLocalClient } from './local-client.js';
import { PASSWORD, clientOf, refusal } from './rest.test-support.js';

it('whoever has the database manages users without a bridge, and bridges know it at once', async () => {
  const bridge = await TestBridge.start();
  try {
    const { metadata } = bridge;
    const parts = { clock: systemClock, random: systemRandom, logger: silentLogger };
    const local = createLocalClient({ metadata, ...parts });
    const user = answerOf(
      await local.POST('/users', { body: { name: 'anna', admin: true, password: PASSWORD } }),
    );
    const params = { path: { user: user.id } };
    const key = answerOf(await local.POST('/users/{user}/access-keys', { params, body: {} }));
    const anna = clientOf(bridge, { accessKeyId: key.id, secretAccessKey: key.secret });
    expect(answerOf(await anna.GET('/session'))).toMatchObject({ user, admin: true });
    // Hashed at the cost of a bridge, and good there.
    const session = clientOf(bridge).POST('/session', {
      body: { name: 'anna', password: PASSWORD },
    });
    expect(await refusal(session)).toBe('201');
    expect((await metadata.user(user.id))!.passwordHash).toMatch(/^\$scrypt\$ln=17,/);
    expect(
      await refusal(local.PUT('/users/{user}/password', { params, body: { password: null } })),
    ).toBe('204');
    // It has no one to lock out.
    const demoted = { params, body: { admin: false } };
    expect(await refusal(local.PATCH('/users/{user}', demoted))).toBe('200');
    expect(await refusal(anna.GET('/users'))).toBe('403 Forbidden');

    // Nobody is asking, and there is no network.
    const me = { params: { path: { user: 'me' } } };
    expect(await refusal(local.GET('/users/{user}', me))).toBe('404 NoSuchUser');
    expect(await refusal(local.GET('/session'))).toBe('401 NotAuthenticated');
    expect(await refusal(local.GET('/buckets'))).toBe('404 NoSuchOperation');
    expect(await refusal(local.POST('/users', { body: { name: '' } }))).toBe('400 InvalidDocument');
  } finally {
    await bridge.stop();
  }
  // Where nobody writes a log, what is the matter is thrown as it is.
  const closed = createLocalClient({
    metadata: bridge.metadata,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
  });
  await expect(closed.GET('/users')).rejects.toThrow('database is not open');
});
