import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Credentials, TestBridge } from './bridge.test-support.js';
import { formatAmzDate } from './signature/amz-date.js';
import { canonicalRequest, stringToSign } from './signature/canonical-request.js';
import { scopeText, sign, signingKey } from './signature/signing-key.js';
import { HeaderList } from './header-list.js';
import { parseTarget } from './request-target.js';

let bridge: TestBridge;
let mallory: { id: string; credentials: Credentials };

beforeAll(async () => {
  bridge = await TestBridge.start({
    pace: { silenceMs: 700, graceMs: 1000, bytesPerSecond: 1000 },
    serverLimits: { headMs: 1000, stallMs: 2000 },
  });
  mallory = await bridge.user('mallory');
  for (const name of ['own', 'other']) {
    expect((await bridge.raw({ method: 'PUT', target: `/${name}` })).status).toBe(200);
  }
  await bridge.raw({ method: 'PUT', target: '/own/secret', body: 'secret' });
});
afterAll(() => bridge.stop());

/** Sign a URL, as a presigner does. */
function presign(method: string, path: string, options: { expires?: number; now?: number } = {}) {
  const { accessKeyId, secretAccessKey } = bridge.owner.credentials;
  const date = formatAmzDate(options.now ?? Date.now());
  const scope = { day: date.slice(0, 8), region: 'us-east-1', service: 's3' };
  const target =
    `${path}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${encodeURIComponent(`${accessKeyId}/${scopeText(scope)}`)}` +
    `&X-Amz-Date=${date}&X-Amz-Expires=${options.expires ?? 60}&X-Amz-SignedHeaders=host`;
  const headers = HeaderList.from({ host: `127.0.0.1:${bridge.port}` });
  const canonical = canonicalRequest(
    { method, ...parseTarget(target), headers },
    ['host'],
    'UNSIGNED-PAYLOAD',
  );
  const signature = sign(
    signingKey(secretAccessKey, scope),
    stringToSign(date, scopeText(scope), canonical),
  );
  return `${target}&X-Amz-Signature=${signature}`;
}

describe('signatures', () => {
  const secret = { target: '/own/secret' };

  it('bad, unknown, skewed or missing are refused', async () => {
    const { accessKeyId, secretAccessKey } = bridge.owner.credentials;
    const as = (key: Partial<Credentials>) =>
      bridge.raw({ ...secret, as: { accessKeyId, secretAccessKey, ...key } });
    expect((await as({})).body.toString()).toBe('secret');
    expect(await as({ secretAccessKey: 'wrong' })).toMatchObject({
      status: 403,
      code: 'SignatureDoesNotMatch',
    });
    expect((await as({ accessKeyId: 'GRUNKNOWN' })).code).toBe('InvalidAccessKeyId');
    expect((await as({ accessKeyId: "x' OR 1=1" })).code).toBe('InvalidAccessKeyId');
    for (const minutes of [-16, 16]) {
      const now = Date.now() + minutes * 60_000;
      expect((await bridge.raw({ ...secret, now })).code).toBe('RequestTimeTooSkewed');
    }
    expect((await bridge.raw({ ...secret, as: null })).code).toBe('AccessDenied');
    const token = { 'x-amz-security-token': 'x' };
    expect((await bridge.raw({ ...secret, headers: token })).code).toBe('InvalidToken');
  });

  it('of keys that are disabled, expired or removed are refused', async () => {
    const expired = await bridge.key(null, Date.now() - 1);
    expect((await bridge.raw({ ...secret, as: expired })).code).toBe('AccessDenied');
    const key = await bridge.key(null, Date.now() + 60_000);
    expect((await bridge.raw({ ...secret, as: key })).status).toBe(200);
    await bridge.metadata.changeAccessKey(key.accessKeyId, { disabled: true });
    expect((await bridge.raw({ ...secret, as: key })).code).toBe('AccessDenied');
    await bridge.metadata.deleteAccessKey(key.accessKeyId);
    expect((await bridge.raw({ ...secret, as: key })).code).toBe('InvalidAccessKeyId');
  });

  it('presigned are good for their method, key and time only', async () => {
    const get = presign('GET', '/own/secret');
    const send = (target: string, method = 'GET', headers = {}) =>
      bridge.raw({ target, method, headers, as: null });
    expect((await send(get)).body.toString()).toBe('secret');
    expect((await send(get, 'DELETE')).code).toBe('SignatureDoesNotMatch');
    expect((await send(get, 'PUT')).code).toBe('SignatureDoesNotMatch');
    expect((await send(get.replace('secret', 'secrets'))).code).toBe('SignatureDoesNotMatch');
    expect((await send(get.replace('/own/', '/other/'))).code).toBe('SignatureDoesNotMatch');
    expect((await send(`${get}&versionId=null`)).code).toBe('SignatureDoesNotMatch');
    expect((await send(get, 'GET', { 'x-amz-checksum-mode': 'ENABLED' })).code).toBe(
      'AccessDenied',
    );
    const put = presign('PUT', '/own/presigned');
    expect((await bridge.raw({ target: put, method: 'PUT', body: 'x', as: null })).status).toBe(
      200,
    );
    const copy = { 'x-amz-copy-source': '/own/secret' };
    expect((await send(put, 'PUT', copy)).code).toBe('AccessDenied');
    expect((await send(put, 'PUT', { 'x-amz-acl': 'public-read' })).code).toBe('AccessDenied');
    const old = presign('GET', '/own/secret', { now: Date.now() - 61_000 });
    expect((await send(old)).code).toBe('AccessDenied');
    expect((await send(presign('GET', '/own/secret', { expires: 604_801 }))).status).toBe(400);
  });
});

describe('one user’s keys', () => {
  it('are no use on another’s bucket', async () => {
    const as = mallory.credentials;
    const tries: [string, string][] = [
      ['GET', '/own'],
      ['GET', '/own?list-type=2'],
      ['GET', '/own?versions'],
      ['GET', '/own?uploads'],
      ['GET', '/own?policy'],
      ['PUT', '/own?policy'],
      ['PUT', '/own?acl'],
      ['PUT', '/own?versioning'],
      ['DELETE', '/own'],
      ['GET', '/own/secret'],
      ['GET', '/own/none'],
      ['HEAD', '/own/secret'],
      ['PUT', '/own/secret'],
      ['DELETE', '/own/secret'],
      ['POST', '/own/secret?uploads'],
      ['GET', '/own/secret?acl'],
      ['PUT', '/own/secret?tagging'],
    ];
    for (const [method, target] of tries) {
      const body = target.endsWith('tagging')
        ? '<Tagging><TagSet/></Tagging>'
        : method === 'PUT'
          ? 'x'
          : '';
      const { status } = await bridge.raw({ method, target, as, body });
      expect([method, target, status]).toEqual([method, target, 403]);
    }
    await bridge.raw({ method: 'PUT', target: '/mallorys', as });
    const stolen = await bridge.raw({
      method: 'PUT',
      target: '/mallorys/copy',
      headers: { 'x-amz-copy-source': '/own/secret' },
      as,
    });
    expect(stolen.code).toBe('AccessDenied');
    expect((await bridge.raw({ method: 'PUT', target: '/own', as })).code).toBe(
      'BucketAlreadyExists',
    );
    const listed = await bridge.raw({ target: '/', as });
    expect(listed.body.toString()).toContain('<Name>mallorys</Name>');
    expect(listed.body.toString()).not.toContain('<Name>own</Name>');
  });

  it('that are limited are good within their limits', async () => {
    const reader = await bridge.key({
      buckets: ['o*'],
      prefixes: ['pub/'],
      rights: ['read', 'list'],
    });
    await bridge.raw({ method: 'PUT', target: '/own/pub/a', body: 'a' });
    const as = async (method: string, target: string) =>
      (await bridge.raw({ method, target, as: reader, body: method === 'PUT' ? 'x' : '' })).status;
    expect(await as('GET', '/own/pub/a')).toBe(200);
    expect(await as('GET', '/own?prefix=pub/')).toBe(200);
    expect(await as('GET', '/own?prefix=p')).toBe(403);
    expect(await as('GET', '/own')).toBe(403);
    expect(await as('GET', '/own/secret')).toBe(403);
    expect(await as('PUT', '/own/pub/a')).toBe(403);
    expect(await as('DELETE', '/own/pub/a')).toBe(403);
    expect(await as('GET', '/own?policy&prefix=pub/')).toBe(403);
    expect(await as('PUT', '/own?versioning&prefix=pub/')).toBe(403);
    const manager = await bridge.key({ prefixes: ['pub/'] });
    const put = await bridge.raw({
      method: 'PUT',
      target: '/own?tagging&prefix=pub/',
      as: manager,
      body: '<Tagging><TagSet/></Tagging>',
    });
    expect(put.code).toBe('AccessDenied');
  });
});

describe('policies and ACLs', () => {
  it('let in whom they name, for what they name', async () => {
    const policy = {
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Principal: { AWS: ['mallory'] },
          Action: 's3:GetObject',
          Resource: 'arn:aws:s3:::own/shared/*',
        },
        {
          Effect: 'Deny',
          Principal: '*',
          Action: 's3:*',
          Resource: 'arn:aws:s3:::own/shared/not*',
        },
      ],
    };
    await bridge.raw({ method: 'PUT', target: '/own/shared/a', body: 'a' });
    await bridge.raw({ method: 'PUT', target: '/own/shared/not', body: 'a' });
    const put = (body: string) => bridge.raw({ method: 'PUT', target: '/own?policy', body });
    expect((await put(JSON.stringify(policy))).status).toBe(204);
    const as = mallory.credentials;
    expect((await bridge.raw({ target: '/own/shared/a', as })).status).toBe(200);
    expect((await bridge.raw({ target: '/own/shared/a', as: null })).status).toBe(403);
    expect((await bridge.raw({ target: '/own/shared/not', as })).status).toBe(403);
    expect((await bridge.raw({ target: '/own/shared/not' })).status).toBe(403);
    expect((await bridge.raw({ target: '/own/secret', as })).status).toBe(403);
    expect((await bridge.raw({ target: '/own?policy' })).body.toString()).toBe(
      JSON.stringify(policy),
    );
    for (const wrong of [
      '{',
      '{}',
      JSON.stringify({
        ...policy,
        Statement: [{ ...policy.Statement[0], Resource: 'arn:aws:s3:::other/*' }],
      }),
      JSON.stringify({
        ...policy,
        Statement: [{ ...policy.Statement[0], Condition: { X: { y: 'z' } } }],
      }),
      JSON.stringify({ ...policy, Statement: [{ ...policy.Statement[0], Action: 'ec2:*' }] }),
    ]) {
      expect((await put(wrong)).code).toBe('MalformedPolicy');
    }
    const lockout = [
      { Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: 'arn:aws:s3:::own' },
    ];
    await put(JSON.stringify({ ...policy, Statement: lockout }));
    expect((await bridge.raw({ target: '/own' })).code).toBe('AccessDenied');
    expect((await bridge.raw({ method: 'DELETE', target: '/own?policy' })).status).toBe(204);
    expect((await bridge.raw({ target: '/own' })).status).toBe(200);
  });

  it('make objects public, and private again', async () => {
    const acl = (value: string) =>
      bridge.raw({ method: 'PUT', target: '/own/secret?acl', headers: { 'x-amz-acl': value } });
    const read = async () => (await bridge.raw({ target: '/own/secret', as: null })).status;
    expect(await read()).toBe(403);
    expect((await acl('public-read')).status).toBe(200);
    expect(await read()).toBe(200);
    const overrides = '/own/secret?response-content-type=text/html';
    expect((await bridge.raw({ target: overrides, as: null })).code).toBe('InvalidRequest');
    expect((await acl('private')).status).toBe(200);
    expect(await read()).toBe(403);
    expect((await acl('nonsense')).code).toBe('InvalidArgument');
  });
});

describe('odd requests', () => {
  const host = () => `Host: 127.0.0.1:${bridge.port}\r\n`;

  it.each([
    ['both lengths', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'],
    ['two lengths', 'Content-Length: 5\r\nContent-Length: 6\r\n'],
    ['two hosts', 'Host: other\r\n'],
    ['a folded header', 'X-A: b\r\n c\r\n'],
    ['a space before the colon', 'Content-Length : 5\r\n'],
    ['a coding that is none', 'Transfer-Encoding: xchunked\r\n'],
    ['a bare line feed in a header', 'X-A: b\nX-B: c\r\n'],
    ['NUL in a header', 'X-A: b\0c\r\n'],
    ['a length that is none', 'Content-Length: +5\r\n'],
  ])('with %s is refused, and what follows is not taken for another', async (_, fields) => {
    const smuggled = `GET /health HTTP/1.1\r\n${host()}\r\n`;
    const answer = await bridge.bytes(
      `PUT /own/smuggled HTTP/1.1\r\n${host()}${fields}\r\n0\r\n\r\n${smuggled}`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 (400|403|501)/);
    expect(answer).not.toContain('{"status":"ok"}');
  });

  it('with a head too large is refused', async () => {
    const answer = await bridge.bytes(
      `GET / HTTP/1.1\r\n${host()}X-A: ${'a'.repeat(40_000)}\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 431/);
    const many = 'x-a: b\r\n'.repeat(300);
    const fields = await bridge.bytes(
      `GET / HTTP/1.1\r\n${host()}${many}Connection: close\r\n\r\n`,
    );
    expect(fields).toContain('more than 200 header fields');
  });

  it('that come drop by drop are given up', async () => {
    // A head that never ends.
    const head = await bridge.bytes(`GET / HTTP/1.1\r\n${host()}X-A:`, 10_000);
    expect(head).toMatch(/^HTTP\/1.1 408/);
    // A body that stops.
    const target = presign('PUT', '/own/slow');
    const body = await bridge.bytes(
      `PUT ${target} HTTP/1.1\r\n${host()}Content-Length: 100000\r\n\r\nabc`,
      10_000,
    );
    expect(body).toContain('<Code>RequestTimeout</Code>');
    expect((await bridge.raw({ target: '/own/slow' })).code).toBe('NoSuchKey');
  });

  it('whose body ends early keep nothing', async () => {
    const target = presign('PUT', '/own/cut');
    await bridge.bytes(`PUT ${target} HTTP/1.1\r\n${host()}Content-Length: 100000\r\n\r\nabc`, 200);
    expect((await bridge.raw({ target: '/own/cut' })).code).toBe('NoSuchKey');
  });

  it('with XML that is a bomb, not well-formed, or something else', async () => {
    const put = async (body: string) =>
      (await bridge.raw({ method: 'PUT', target: '/own?tagging', body })).code;
    const laughs = Array.from(
      { length: 10 },
      (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`,
    );
    const bomb = `<!DOCTYPE x [<!ENTITY l0 "ha">${laughs.join('')}]><Tagging><TagSet><Tag><Key>&l10;</Key><Value>x</Value></Tag></TagSet></Tagging>`;
    expect(await put(bomb)).toBe('MalformedXML');
    expect(
      await put('<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><Tagging>&f;</Tagging>'),
    ).toBe('MalformedXML');
    expect(await put('<Tagging>'.repeat(100_000))).toBe('MalformedXML');
    expect(await put(`<Tagging>${'<a/>'.repeat(200_000)}</Tagging>`)).toBe('MalformedXML');
    expect(await put('<Tagging>')).toBe('MalformedXML');
    expect(await put('<Other/>')).toBe('MalformedXML');
    expect(await put('')).toBe('MalformedXML');
    expect(await put(`<Tagging>${' '.repeat(3_000_000)}</Tagging>`)).toBe(
      'MaxMessageLengthExceeded',
    );
  });

  it('for what there is not say NotImplemented', async () => {
    const code = async (method: string, target: string, headers = {}) =>
      (await bridge.raw({ method, target, headers })).code;
    for (const target of [
      '/own?website',
      '/own?replication',
      '/own?notification',
      '/own/secret?torrent',
    ]) {
      expect(await code('GET', target)).toBe('NotImplemented');
    }
    expect(await code('POST', '/own/secret?restore')).toBe('NotImplemented');
    const kms = { 'x-amz-server-side-encryption': 'aws:kms' };
    expect(await code('PUT', '/own/x', kms)).toBe('NotImplemented');
    expect(await code('PUT', '/own/x', { 'x-amz-storage-class': 'GLACIER' })).toBe(
      'InvalidStorageClass',
    );
    expect(await code('PUT', '/own/x', { 'x-amz-grant-read': 'id=1' })).toBe('NotImplemented');
    expect(await code('PATCH', '/own/x')).toBe('MethodNotAllowed');
    // A part of a resource is not to be taken for the resource.
    expect(await code('DELETE', '/own/secret?acl')).toBe('MethodNotAllowed');
    expect(await code('DELETE', '/own/secret?retention')).toBe('MethodNotAllowed');
    expect((await bridge.raw({ target: '/own/secret' })).status).toBe(200);
  });

  it('more at one time than there may be are told to slow down', async () => {
    const small = await TestBridge.start({ serverLimits: { requests: 2 } });
    try {
      await small.raw({ method: 'PUT', target: '/own' });
      const answers = await Promise.all(
        Array.from({ length: 12 }, (_, i) =>
          small.raw({ method: 'PUT', target: `/own/${i}`, body: randomBytes(200_000) }),
        ),
      );
      const codes = answers.map(({ code }) => code ?? 'ok');
      expect(codes).toContain('ok');
      expect(codes).toContain('SlowDown');
      expect(new Set(codes).size).toBe(2);
    } finally {
      await small.stop();
    }
  });
});

describe('when a store fails', () => {
  it('the answer is 503 without its reasons, and the next try works', async () => {
    await bridge.raw({ method: 'PUT', target: '/own/failing', body: randomBytes(5000) });
    bridge.backend.failure = Object.assign(new Error('inner secret'), { code: 'X' });
    const get = await bridge.raw({ target: '/own/failing' });
    expect(get).toMatchObject({ status: 500, code: 'InternalError' });
    expect(get.body.toString()).not.toContain('inner');
    const put = await bridge.raw({ method: 'PUT', target: '/own/failed', body: randomBytes(5000) });
    expect(put.status).toBe(500);
    expect((await bridge.raw({ target: '/ready', as: null })).status).toBe(503);
    expect((await bridge.raw({ target: '/health', as: null })).status).toBe(200);
    bridge.backend.failure = undefined;
    expect((await bridge.raw({ target: '/own/failing' })).body.length).toBe(5000);
    expect((await bridge.raw({ target: '/own/failed' })).code).toBe('NoSuchKey');
    expect((await bridge.raw({ target: '/ready', as: null })).status).toBe(200);
  });
});
