import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerOf } from '../client/index.js';
import type { KeyScope } from '../s3/access/key-scope.js';
import { type Credentials, TestBridge } from '../s3/bridge.test-support.js';
import { PASSWORD, addAdmin, clientOf, refusal } from './rest.test-support.js';
import { description } from './checked-fetch.test-support.js';

let bridge: TestBridge;
const path = { bucket: 'box' };

beforeAll(async () => {
  bridge = await TestBridge.start();
  const owner = clientOf(bridge, bridge.owner.credentials);
  answerOf(await owner.POST('/buckets', { body: { name: 'box' } }));
  for (const key of ['public/a', 'private/b']) {
    answerOf(
      await owner.PUT('/buckets/{bucket}/object', {
        params: { path, query: { key } },
        body: Buffer.from(key),
      }),
    );
  }
});
afterAll(() => bridge.stop());

/** Send what no client would. */
function send(
  target: string,
  {
    method = 'GET',
    as,
    headers,
    body,
  }: {
    method?: string;
    as?: string;
    headers?: Record<string, string>;
    body?: string;
  } = {},
) {
  return bridge.raw({
    method,
    target: `/_granary/v1${target}`,
    as: null,
    ...(body !== undefined && { body }),
    headers: { ...headers, ...(as !== undefined && { authorization: as }) },
  });
}
const basic = ({ accessKeyId, secretAccessKey }: Credentials) =>
  `Basic ${Buffer.from(`${accessKeyId}:${secretAccessKey}`).toString('base64')}`;
const codeOf = ({ status, body }: { status: number; body: Buffer }) =>
  `${status} ${(JSON.parse(body.toString() || '{}') as { code?: string }).code ?? ''}`.trim();

/** Every operation on objects of the box, with what came of it. */
async function tryAll(credentials: Credentials, key = 'public/a') {
  const client = clientOf(bridge, credentials);
  const one = { params: { path, query: { key } } };
  return {
    get: await refusal(client.GET('/buckets/{bucket}/object', { ...one, parseAs: 'text' })),
    head: await refusal(client.HEAD('/buckets/{bucket}/object', one)),
    put: await refusal(
      client.PUT('/buckets/{bucket}/object', {
        params: { path, query: { key: `${key}.new` } },
        body: Buffer.from('x'),
      }),
    ),
    list: await refusal(client.GET('/buckets/{bucket}/objects', { params: { path } })),
    bucket: await refusal(client.GET('/buckets/{bucket}', { params: { path } })),
    change: await refusal(
      client.PATCH('/buckets/{bucket}', {
        params: { path },
        body: { versioning: 'suspended' },
      }),
    ),
    remove: await refusal(
      client.DELETE('/buckets/{bucket}/object', {
        params: { path, query: { key: `${key}.new` } },
      }),
    ),
    removeBucket: await refusal(client.DELETE('/buckets/{bucket}', { params: { path } })),
  };
}

const DENIED = '403 AccessDenied';

describe("somebody else's bucket", () => {
  it('is closed to users, and to admins as long as they are no more than that', async () => {
    for (const stranger of [await bridge.user('stranger'), await addAdmin(bridge)]) {
      expect(await tryAll(stranger.credentials)).toEqual({
        get: DENIED,
        head: '403',
        put: DENIED,
        list: DENIED,
        bucket: DENIED,
        change: DENIED,
        remove: DENIED,
        removeBucket: DENIED,
      });
    }
  });

  it('is open as far as its policy says, here as in S3', async () => {
    const friend = await bridge.user('friend');
    const policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { AWS: friend.id },
          Action: 's3:GetObject',
          Resource: 'arn:aws:s3:::box/public/*',
        },
      ],
    });
    await bridge.raw({ method: 'PUT', target: '/box?policy', body: policy });
    expect(await tryAll(friend.credentials)).toMatchObject({ get: '200', put: DENIED });
    expect(await tryAll(friend.credentials, 'private/b')).toMatchObject({ get: DENIED });
    await bridge.raw({ method: 'DELETE', target: '/box?policy' });
  });
});

describe('a key that is limited', () => {
  const all = {
    get: '200',
    head: '200',
    put: '201',
    list: '200',
    bucket: '200',
    change: '200',
    remove: '204',
    removeBucket: '409 BucketNotEmpty',
  };
  const none = {
    get: DENIED,
    head: '403',
    put: DENIED,
    list: DENIED,
    bucket: DENIED,
    change: DENIED,
    remove: DENIED,
    removeBucket: DENIED,
  };
  it.each<[KeyScope, Partial<typeof all>]>([
    [{ buckets: ['other', 'bo'] }, {}],
    [{ rights: [] }, {}],
    [{ rights: ['read'] }, { get: '200', head: '200' }],
    [{ rights: ['write'] }, { put: '201' }],
    [{ rights: ['delete'] }, { remove: '204' }],
    [{ rights: ['list'] }, { list: '200', bucket: '200' }],
    [{ rights: ['manage', 'admin'] }, { change: '409 InvalidBucketState' }],
    [{ prefixes: ['public/'] }, { get: '200', head: '200', put: '201', remove: '204' }],
    [{ prefixes: ['private/'] }, {}],
  ])('%j does no more than that', async (scope, allowed) => {
    const found = await tryAll(await bridge.key(scope));
    const expected: Record<string, string> = { ...none, ...allowed };
    if (scope.rights?.includes('manage') === true) {
      expected['change'] = all.change;
      expected['removeBucket'] = all.removeBucket;
    }
    expect(found).toEqual(expected);
  });

  it('lists the buckets that it is good for, and makes no others', async () => {
    const key = await bridge.key({ buckets: ['site-*'] });
    const client = clientOf(bridge, key);
    expect(answerOf(await client.GET('/buckets')).buckets).toEqual([]);
    expect(await refusal(client.POST('/buckets', { body: { name: 'other' } }))).toBe(DENIED);
    expect(await refusal(client.POST('/buckets', { body: { name: 'site-1' } }))).toBe('201');
    expect(answerOf(await client.GET('/buckets')).buckets).toMatchObject([{ name: 'site-1' }]);
  });

  it.each<KeyScope>([{ buckets: ['*'] }, { prefixes: [''] }, { rights: ['list', 'manage'] }])(
    '%j manages no keys, not even itself',
    async (scope) => {
      const key = await bridge.key(scope);
      const client = clientOf(bridge, key);
      const me = { params: { path: { user: 'me' } } };
      const itself = { params: { path: { id: key.accessKeyId } } };
      const answers = [
        client.POST('/users/{user}/access-keys', { ...me, body: {} }),
        client.GET('/users/{user}/access-keys', me),
        client.GET('/access-keys/{id}', itself),
        client.PATCH('/access-keys/{id}', { ...itself, body: { scope: null } }),
        client.DELETE('/access-keys/{id}', itself),
        client.PUT('/users/{user}/password', { ...me, body: { password: PASSWORD } }),
      ];
      for (const answer of answers) expect(await refusal(answer)).toBe('403 Forbidden');
    },
  );

  it('that ends makes none that ends later', async () => {
    const ends = Date.now() + 600_000;
    const client = clientOf(bridge, await bridge.key(null, ends));
    const me = { params: { path: { user: 'me' } } };
    const make = (expires: string | null) =>
      client.POST('/users/{user}/access-keys', { ...me, body: { expires } });
    expect(await refusal(make(null))).toBe('403 Forbidden');
    expect(await refusal(make(new Date(ends + 1).toISOString()))).toBe('403 Forbidden');
    expect(await refusal(make(new Date(0).toISOString()))).toBe('400 InvalidDocument');
    const made = answerOf(await make(new Date(ends).toISOString()));
    const id = { params: { path: { id: made.id } } };
    expect(
      await refusal(client.PATCH('/access-keys/{id}', { ...id, body: { expires: null } })),
    ).toBe('403 Forbidden');
  });
});

describe('credentials that are good for nothing', () => {
  it.each([
    ['none', undefined, '401 NotAuthenticated'],
    ['another scheme', 'Digest x', '401 BadCredentials'],
    ['no colon', `Basic ${Buffer.from('name').toString('base64')}`, '401 BadCredentials'],
    ['no base64', 'Basic \u00ff\u00ff', '401 BadCredentials'],
    ['an empty key', `Basic ${Buffer.from(':').toString('base64')}`, '401 BadCredentials'],
    ['a token of nobody', `Bearer gs_${'A'.repeat(43)}`, '401 BadCredentials'],
    ['a key without a secret', 'Bearer GRKEY', '401 BadCredentials'],
    ['an odd ID', `Basic ${Buffer.from("' OR 1=1:x").toString('base64')}`, '401 BadCredentials'],
  ])('%s', async (_what, as, code) => {
    const answer = await send('/session', as === undefined ? {} : { as });
    expect(codeOf(answer)).toBe(code);
    // Not Basic: browsers would ask for it and keep it.
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="granary"');
  });

  it('a wrong secret, a key that has ended, was disabled or deleted', async () => {
    const { credentials } = bridge.owner;
    const wrong = { ...credentials, secretAccessKey: `${credentials.secretAccessKey}x` };
    expect(codeOf(await send('/session', { as: basic(wrong) }))).toBe('401 BadCredentials');
    const ended = await bridge.key(null, Date.now() - 1);
    expect(codeOf(await send('/session', { as: basic(ended) }))).toBe('401 BadCredentials');
    const key = await bridge.key(null);
    expect(codeOf(await send('/session', { as: basic(key) }))).toBe('200');
    const bearer = `Bearer ${key.accessKeyId}.${key.secretAccessKey}`;
    expect(codeOf(await send('/session', { as: bearer }))).toBe('200');
    await bridge.metadata.changeAccessKey(key.accessKeyId, { disabled: true });
    expect(codeOf(await send('/session', { as: basic(key) }))).toBe('401 BadCredentials');
    await bridge.metadata.deleteAccessKey(key.accessKeyId);
    expect(codeOf(await send('/session', { as: bearer }))).toBe('401 BadCredentials');
  });

  it('a signature of S3 is none here, and a session none there', async () => {
    const target = '/_granary/v1/session';
    expect(codeOf(await bridge.raw({ target }))).toBe('401 BadCredentials');
    const as = basic(bridge.owner.credentials);
    const s3 = await bridge.raw({ target: '/box', as: null, headers: { authorization: as } });
    expect(s3.status).not.toBe(200);
  });
});

describe('what is for admins', () => {
  const forAdmins = Object.entries({
    'GET /users': undefined,
    'POST /users': { name: 'x' },
    'PATCH /users/ID': { admin: true },
    'PATCH /users/me': { admin: true },
    'DELETE /users/ID': undefined,
    'GET /users/ID': undefined,
    'GET /users/ID/usage': undefined,
    'GET /users/ID/access-keys': undefined,
    'POST /users/ID/access-keys': {},
    'PUT /users/ID/password': { password: PASSWORD },
    'GET /buckets?owner=ID': undefined,
    'GET /status': undefined,
  });

  it.each(forAdmins)('%s is refused to others', async (request, body) => {
    const [method, target] = request.replace('ID', bridge.owner.id).split(' ') as [string, string];
    const document = {
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      }),
    };
    expect(codeOf(await send(target, document))).toBe('401 NotAuthenticated');
    const user = await bridge.user(`user of ${request}`);
    expect(codeOf(await send(target, { ...document, as: basic(user.credentials) }))).toBe(
      '403 Forbidden',
    );
    // An admin's key that is limited does not have the right, either.
    for (const scope of [{ rights: ['manage' as const] }, { buckets: ['*'] }]) {
      const admin = await addAdmin(bridge, scope);
      expect(codeOf(await send(target, { ...document, as: basic(admin.credentials) }))).toBe(
        '403 Forbidden',
      );
    }
  });

  it('a key of an admin that names the right does that and nothing else', async () => {
    const { credentials } = await addAdmin(bridge, { rights: ['admin'] });
    const client = clientOf(bridge, credentials);
    expect(await refusal(client.GET('/users'))).toBe('200');
    expect(await refusal(client.POST('/buckets', { body: { name: 'not-mine' } }))).toBe(DENIED);
    // Who is no admin has nothing of the right.
    const user = clientOf(bridge, await bridge.key({ rights: ['admin'] }));
    expect(await refusal(user.GET('/users'))).toBe('403 Forbidden');
  });

  it("others' keys are not there for who is no admin", async () => {
    const user = clientOf(bridge, (await bridge.user('curious')).credentials);
    const params = { path: { id: bridge.owner.credentials.accessKeyId } };
    expect(await refusal(user.GET('/access-keys/{id}', { params }))).toBe('404 NoSuchAccessKey');
    expect(await refusal(user.DELETE('/access-keys/{id}', { params }))).toBe('404 NoSuchAccessKey');
  });

  it('a right of place goes with no right to administer', async () => {
    const admin = clientOf(bridge, (await addAdmin(bridge)).credentials);
    const body = { scope: { rights: ['admin' as const], buckets: ['x'] } };
    const params = { path: { user: 'me' } };
    expect(await refusal(admin.POST('/users/{user}/access-keys', { params, body }))).toBe(
      '400 InvalidDocument',
    );
  });
});

describe('requests that are not as described', () => {
  const as = () => basic(bridge.owner.credentials);
  const json = { 'content-type': 'application/json' };
  const post = (body: string, headers: Record<string, string> = json) =>
    send('/buckets', { method: 'POST', as: as(), headers, body });

  it.each([
    ['no JSON', '{"name":', '400 InvalidJson'],
    ['nothing', '', '400 InvalidJson'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('latin1'), '400 InvalidDocument'],
    ['another type', '"box"', '400 InvalidDocument'],
    ['null', 'null', '400 InvalidDocument'],
    ['a list', '[]', '400 InvalidDocument'],
    ['a member too few', '{}', '400 InvalidDocument'],
    ['a member too many', '{"name":"fine","admin":true}', '400 InvalidDocument'],
    ['a prototype', '{"name":"fine","__proto__":{"objectLock":true}}', '400 InvalidDocument'],
    ['deep nesting', '['.repeat(30_000) + ']'.repeat(30_000), '400 InvalidDocument'],
  ])('%s', async (_what, body, code) => {
    expect(codeOf(await post(body))).toBe(code);
  });

  it('say where they are not', async () => {
    const admin = basic((await addAdmin(bridge)).credentials);
    const body = JSON.stringify({ name: '', quota: { bytes: -1, objects: 1.5, buckets: 'x' } });
    const answer = await send('/users', { method: 'POST', as: admin, headers: json, body });
    const problem = JSON.parse(answer.body.toString()) as { errors: { in: string; at: string }[] };
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(problem.errors.map((error) => `${error.in} ${error.at}`)).toEqual([
      'body /name',
      'body /quota/bytes',
      'body /quota/objects',
      'body /quota/buckets',
    ]);
  });

  it('with a body that a page of another site could send are refused', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      expect(codeOf(await post('{"name":"x"}', { 'content-type': type }))).toBe(
        '415 UnsupportedMediaType',
      );
    }
    expect(codeOf(await post('{"name":"x"}', {}))).toBe('415 UnsupportedMediaType');
  });

  it('with too large a body are refused, announced or not', async () => {
    const large = JSON.stringify({ name: 'x'.repeat(70_000) });
    expect(codeOf(await post(large))).toBe('413 DocumentTooLarge');
    const head = `POST /_granary/v1/buckets HTTP/1.1\r\nHost: x\r\nAuthorization: ${as()}\r\nContent-Type: application/json\r\n`;
    const chunk = `4000\r\n${'x'.repeat(0x4000)}\r\n`;
    const chunked = await bridge.bytes(
      `${head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n${chunk.repeat(5)}0\r\n\r\n`,
    );
    expect(chunked).toMatch(/^HTTP\/1.1 413/);
    const put = await send('/buckets/box/object?key=x', {
      method: 'PUT',
      as: as(),
      headers: { 'content-length': String(6 * 1024 ** 3), connection: 'close' },
    }).catch(() => undefined);
    if (put !== undefined) expect(codeOf(put)).toBe('413 EntityTooLarge');
  });

  it.each([
    ['/nothing', '404 NoSuchOperation'],
    ['', '404 NoSuchOperation'],
    ['/', '404 NoSuchOperation'],
    ['/buckets/', '404 NoSuchOperation'],
    ['/buckets/../users', '404 NoSuchOperation'],
    ['/buckets/%2e%2e/objects', '404 NoSuchBucket'],
    ['/buckets/..%2f..%2fetc%2fpasswd/objects', '404 NoSuchBucket'],
    ['/buckets/box%00/objects', '404 NoSuchBucket'],
    ['/buckets/%ff/objects', '400 InvalidURI'],
    ['/%75sers', '404 NoSuchOperation'],
    [`/buckets/${'x'.repeat(300)}/objects`, '400 InvalidDocument'],
    ['/users/..', '400 InvalidDocument'],
    ['/users/ME', '400 InvalidDocument'],
    ['/access-keys/..%2f', '400 InvalidDocument'],
    ['/buckets/box/objects?limit=0', '400 InvalidDocument'],
    ['/buckets/box/objects?limit=1001', '400 InvalidDocument'],
    ['/buckets/box/objects?limit=0x10', '400 InvalidDocument'],
    ['/buckets/box/objects?limit=', '400 InvalidDocument'],
    ['/buckets/box/objects?limit=1&limit=2', '400 InvalidDocument'],
    ['/buckets/box/objects?prefx=a', '400 InvalidDocument'],
    ['/buckets/box/objects?__proto__=a', '400 InvalidDocument'],
    ['/buckets/box/object', '400 InvalidDocument'],
    ['/buckets/box/object?key=a&key=b', '400 InvalidDocument'],
    ['/session?x=1', '400 InvalidDocument'],
  ])('%s is %s', async (target, code) => {
    expect(codeOf(await send(target, { as: as() }))).toBe(code);
  });

  it('another method is refused, and those that are there are named', async () => {
    const answer = await send('/session', { method: 'PUT', as: as() });
    expect(codeOf(answer)).toBe('405 MethodNotAllowed');
    expect(answer.headers['allow']).toBe('POST, GET, DELETE');
    expect(codeOf(await send('/session', { method: 'OPTIONS', as: as() }))).toBe(
      '405 MethodNotAllowed',
    );
  });

  it('two of what must be one are refused', async () => {
    const answer = await bridge.bytes(
      `GET /_granary/v1/session HTTP/1.1\r\nHost: x\r\nAuthorization: ${as()}\r\nAuthorization: ${as()}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 400/);
  });

  it('nothing is answered to other sites', async () => {
    const answer = await send('/session', { as: as(), headers: { origin: 'https://evil.test' } });
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual(
      [],
    );
  });
});

it('who asks too often is told so, and when to come back', async () => {
  const user = await bridge.user('hasty');
  await bridge.metadata.changeUser(user.id, {
    attributes: { rateLimits: { requests: { perSecond: 0.001, burst: 2 }, bytes: null } },
  });
  const client = clientOf(bridge, user.credentials);
  expect(await refusal(client.GET('/session'))).toBe('200');
  // One count for both.
  expect((await bridge.raw({ target: '/', as: user.credentials })).status).toBe(200);
  const refused = await client.GET('/session');
  expect(await refusal(Promise.resolve(refused))).toBe('429 TooManyRequests');
  expect(Number(refused.response.headers.get('retry-after'))).toBeGreaterThan(900);
  expect((await bridge.raw({ target: '/', as: user.credentials })).code).toBe('SlowDown');
});

it('who moves too many bytes is paced, and then refused', async () => {
  const user = await bridge.user('heavy');
  const client = clientOf(bridge, user.credentials);
  answerOf(await client.POST('/buckets', { body: { name: 'heavy' } }));
  await bridge.metadata.changeUser(user.id, {
    attributes: { rateLimits: { requests: null, bytes: { perSecond: 1024, burst: 50_000 } } },
  });
  const one = { params: { path: { bucket: 'heavy' }, query: { key: 'k' } } };
  const put = () => client.PUT('/buckets/{bucket}/object', { ...one, body: Buffer.alloc(30_000) });
  // The second is ahead of the rate by 10,000 bytes: some ten seconds.
  expect([await refusal(put()), await refusal(put())]).toEqual(['201', '201']);
  const refused = await client.GET('/buckets/{bucket}/object', { ...one, parseAs: 'text' });
  expect(await refusal(Promise.resolve(refused))).toBe('429 TooManyRequests');
  expect(Number(refused.response.headers.get('retry-after'))).toBeGreaterThan(1);
});

it('passwords are not to be guessed: neither many at one time nor many after another', async () => {
  const admin = clientOf(bridge, (await addAdmin(bridge)).credentials);
  answerOf(await admin.POST('/users', { body: { name: 'target', password: PASSWORD } }));
  const anybody = clientOf(bridge);
  const guess = (password: string) =>
    refusal(anybody.POST('/session', { body: { name: 'target', password } }));
  const answers = await Promise.all(Array.from({ length: 15 }, (_, i) => guess(`guess ${i}`)));
  expect(answers.filter((answer) => answer === '401 WrongPassword')).toHaveLength(10);
  expect(answers.filter((answer) => answer === '429 TooManyRequests')).toHaveLength(5);
  // Then not even the right one.
  expect(await guess(PASSWORD)).toBe('429 TooManyRequests');
});

it('a bridge that has too much to do, or stops, says so as a problem', async () => {
  const busy = await TestBridge.start({ serverLimits: { requests: 0 } });
  try {
    const answer = await busy.raw({ target: '/_granary/v1/session', as: null });
    expect(codeOf(answer)).toBe('503 SlowDown');
    expect(answer.headers['retry-after']).toBe('1');
    expect(description.components.responses['Problem503']).toBeDefined();
  } finally {
    await busy.stop();
  }
});
