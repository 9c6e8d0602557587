import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BridgeClient, answerOf } from '../client/index.js';
import { TestBridge } from '../s3/bridge.test-support.js';
import { clientOf, refusal } from './rest.test-support.js';

let bridge: TestBridge;
let client: BridgeClient;
const path = { bucket: 'box' };

beforeAll(async () => {
  bridge = await TestBridge.start();
  client = clientOf(bridge, bridge.owner.credentials);
  answerOf(await client.POST('/buckets', { body: { name: 'box' } }));
});
afterAll(() => bridge.stop());

const OBJECT = '/buckets/{bucket}/object';

async function put(key: string, body: Uint8Array, headers: Record<string, string> = {}) {
  return client.PUT(OBJECT, {
    params: { path, query: { key } },
    body,
    headers: { 'content-type': 'text/plain', ...headers },
  });
}
async function get(key: string, headers: Record<string, string> = {}) {
  const result = await client.GET(OBJECT, {
    params: { path, query: { key } },
    headers,
    parseAs: 'arrayBuffer',
  });
  return { ...result, bytes: Buffer.from(result.data ?? new ArrayBuffer(0)) };
}

it.each([0, 1, 1000, 300_000])('an object of %i bytes comes back as it was', async (size) => {
  const bytes = randomBytes(size);
  const written = answerOf(
    await put(`size ${size}`, bytes, {
      'cache-control': 'max-age=5',
      'x-granary-meta-colour': 'blau=grün',
      'content-digest': `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`,
    }),
  );
  const etag = createHash('md5').update(bytes).digest('hex');
  expect(written).toEqual({ key: `size ${size}`, etag, versionId: null });
  const got = await get(`size ${size}`);
  expect(got.bytes.equals(bytes)).toBe(true);
  expect(Object.fromEntries(got.response.headers)).toMatchObject({
    etag: `"${etag}"`,
    'content-length': String(size),
    'content-type': 'text/plain',
    'cache-control': 'max-age=5',
    'x-content-type-options': 'nosniff',
    'content-security-policy': 'sandbox',
  });
  const names = [...got.response.headers.keys()];
  expect(names.filter((name) => name.startsWith('x-amz'))).toEqual([]);
  const head = await client.HEAD(OBJECT, {
    params: { path, query: { key: `size ${size}` } },
  });
  expect(head.response.headers.get('content-length')).toBe(String(size));
  // S3 has it, too.
  const s3 = await bridge.raw({ target: `/box/size%20${size}` });
  expect(s3.body.equals(bytes)).toBe(true);
  expect(s3.headers['x-amz-meta-colour']).toBeDefined();
});

it('a stream of unknown length is stored as it comes', async () => {
  const pieces = Array.from({ length: 20 }, () => randomBytes(10_000));
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
  });
  const whole = Buffer.concat(pieces);
  answerOf(await client.PUT(OBJECT, { params: { path, query: { key: 'stream' } }, body: stream }));
  expect((await get('stream')).bytes.equals(whole)).toBe(true);
});

it('a run of bytes is a 206, and what is outside of the object a 416', async () => {
  await put('run', Buffer.from('0123456789'));
  const some = await get('run', { range: 'bytes=2-4' });
  expect(some.response.status).toBe(206);
  expect(some.bytes.toString()).toBe('234');
  expect(some.response.headers.get('content-range')).toBe('bytes 2-4/10');
  const none = await get('run', { range: 'bytes=10-' });
  expect(none.response.status).toBe(416);
  expect(none.response.headers.get('content-range')).toBe('bytes */10');
});

it('conditions hold for reads, writes and deletes', async () => {
  const { etag } = answerOf(await put('if', Buffer.from('one')));
  const same = await get('if', { 'if-none-match': `"${etag}"` });
  expect(same.response.status).toBe(304);
  expect(await refusal(put('if', Buffer.from('two'), { 'if-none-match': '*' }))).toBe(
    '412 PreconditionFailed',
  );
  expect(await refusal(put('if', Buffer.from('two'), { 'if-match': '"other"' }))).toBe(
    '412 PreconditionFailed',
  );
  const doomed = { params: { path, query: { key: 'if' } }, headers: { 'if-match': '"other"' } };
  expect(await refusal(client.DELETE(OBJECT, doomed))).toBe('412 PreconditionFailed');
  answerOf(await put('if', Buffer.from('two'), { 'if-match': `"${etag}"` }));
  expect((await get('if')).bytes.toString()).toBe('two');
});

it('bytes that are not those that were announced are refused, and nothing of them is kept', async () => {
  const bytes = Buffer.from('bytes');
  const digest = createHash('sha256').update('others').digest('base64');
  expect(await refusal(put('bad', bytes, { 'content-digest': `sha-256=:${digest}:` }))).toBe(
    '400 BadDigest',
  );
  expect(await refusal(put('bad', bytes, { 'content-digest': 'sha-256=:AAAA:' }))).toBe(
    '400 InvalidDigest',
  );
  const md5 = createHash('md5').update('others').digest('base64');
  expect(await refusal(put('bad', bytes, { 'content-md5': md5 }))).toBe('400 BadDigest');
  expect((await get('bad')).response.status).toBe(404);
});

it('any key is a name, whatever a path would make of it', () =>
  fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.constantFrom(
          '..',
          '.',
          '../../etc/passwd',
          '//',
          '/',
          'a//b',
          '%2e%2e',
          'a?b#c',
          '\u0001',
        ),
        fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }),
      ),
      async (key) => {
        fc.pre(!key.includes('\0') && Buffer.byteLength(key) <= 1024);
        const bytes = randomBytes(8);
        answerOf(await put(key, bytes));
        expect((await get(key)).bytes.equals(bytes)).toBe(true);
        const query = { prefix: key, limit: 1 };
        const page = answerOf(
          await client.GET('/buckets/{bucket}/objects', { params: { path, query } }),
        );
        expect(page.objects.map((object) => object.key)).toEqual([key]);
        answerOf(await client.DELETE(OBJECT, { params: { path, query: { key } } }));
        expect((await get(key)).response.status).toBe(404);
      },
    ),
    { numRuns: 25 },
  ));

it('keys that S3 does not have are refused', async () => {
  expect(await refusal(put('\0', Buffer.from('x')))).toBe('400 InvalidURI');
  expect(await refusal(put('ü'.repeat(600), Buffer.from('x')))).toBe('400 KeyTooLongError');
  expect(await refusal(put('', Buffer.from('x')))).toBe('400 InvalidDocument');
});

it('listings go on where a page ended, and roll up what lies below a delimiter', async () => {
  answerOf(await client.POST('/buckets', { body: { name: 'listed' } }));
  const inside = { bucket: 'listed' };
  for (const key of ['a', 'b/1', 'b/2', 'c/1', 'd']) {
    answerOf(
      await client.PUT(OBJECT, {
        params: { path: inside, query: { key } },
        body: Buffer.from(key),
      }),
    );
  }
  const found: string[] = [];
  for (let after: string | undefined; ;) {
    const query = { delimiter: '/', limit: 2, ...(after !== undefined && { after }) };
    const page = answerOf(
      await client.GET('/buckets/{bucket}/objects', { params: { path: inside, query } }),
    );
    found.push(...page.objects.map(({ key }) => key), ...page.prefixes);
    if (page.next === null) break;
    after = page.next;
  }
  expect(found.sort()).toEqual(['a', 'b/', 'c/', 'd']);
  const { buckets } = answerOf(await client.GET('/buckets', { params: { query: {} } }));
  expect(buckets.map(({ name }) => name)).toEqual(['box', 'listed']);
  const first = answerOf(await client.GET('/buckets', { params: { query: { limit: 1 } } }));
  expect(first).toMatchObject({ buckets: [{ name: 'box' }], next: 'box' });
  const details = answerOf(await client.GET('/buckets/{bucket}', { params: { path: inside } }));
  expect(details).toMatchObject({ name: 'listed', usage: { objects: 5, bytes: 11 } });
});

it('buckets keep versions when they are told to', async () => {
  const inside = { bucket: 'versions' };
  answerOf(await client.POST('/buckets', { body: { name: 'versions' } }));
  const at = (query: { key: string; versionId?: string }) => ({
    params: { path: inside, query },
    parseAs: 'text' as const,
  });
  answerOf(
    await client.PATCH('/buckets/{bucket}', {
      params: { path: inside },
      body: { versioning: 'enabled' },
    }),
  );
  const ids: string[] = [];
  for (const text of ['one', 'two']) {
    const { versionId } = answerOf(
      await client.PUT(OBJECT, { ...at({ key: 'k' }), body: Buffer.from(text), parseAs: 'json' }),
    );
    ids.push(versionId!);
  }
  const old = await client.GET(OBJECT, at({ key: 'k', versionId: ids[0]! }));
  expect(answerOf(old)).toBe('one');
  expect(old.response.headers.get('x-granary-version-id')).toBe(ids[0]);
  await client.DELETE(OBJECT, { params: at({ key: 'k' }).params });
  expect(await refusal(client.GET(OBJECT, at({ key: 'k' })))).toBe('404 NoSuchKey');
  expect(answerOf(await client.GET(OBJECT, at({ key: 'k', versionId: ids[1]! })))).toBe('two');
  expect(await refusal(client.DELETE('/buckets/{bucket}', { params: { path: inside } }))).toBe(
    '409 BucketNotEmpty',
  );
});

it('buckets are refused as S3 refuses them, and are gone when they were deleted', async () => {
  const make = (name: string) => refusal(client.POST('/buckets', { body: { name } }));
  expect(await make('Not A Name')).toBe('400 InvalidBucketName');
  expect(await make('health')).toBe('400 InvalidBucketName');
  expect(await make('_granary')).toBe('400 InvalidBucketName');
  expect(await make('box')).toBe('409 BucketAlreadyOwnedByYou');
  expect(await make('gone')).toBe('201');
  const gone = { params: { path: { bucket: 'gone' } } };
  expect(await refusal(client.DELETE('/buckets/{bucket}', gone))).toBe('204');
  expect(await refusal(client.GET('/buckets/{bucket}', gone))).toBe('404 NoSuchBucket');
});

it('a host that names a bucket is S3, whatever the path', async () => {
  const hosted = await TestBridge.start({ domains: ['s3.test'] });
  try {
    await hosted.raw({ method: 'PUT', target: '/box' });
    const headers = { host: 'box.s3.test' };
    const target = '/_granary/v1/buckets';
    const body = 'a key like any other';
    expect((await hosted.raw({ method: 'PUT', target, headers, body })).status).toBe(200);
    expect((await hosted.raw({ target, headers })).body.toString()).toBe(body);
    expect((await hosted.raw({ target, as: null })).status).toBe(401);
  } finally {
    await hosted.stop();
  }
});

it('when the network is away, that is said', async () => {
  bridge.backend.failure = new Error('secret detail');
  try {
    const result = await put('large', randomBytes(5000));
    expect(result.response.status).toBe(500);
    expect(JSON.stringify(result.error)).not.toContain('secret detail');
  } finally {
    bridge.backend.failure = undefined;
  }
});
