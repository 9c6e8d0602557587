import { SignatureV4 } from '@smithy/signature-v4';
import { createHash, createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeaderList } from '../header-list.js';
import { parseTarget } from '../request-target.js';
import type { SignableRequest } from './canonical-request.js';
import { parseClaim } from './claim.js';
import { verifyClaim } from './verify.js';

const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const NOON = Date.UTC(2013, 4, 24);
const HOST = 'examplebucket.s3.amazonaws.com';

function request(
  method: string,
  target: string,
  headers: Record<string, string | string[]>,
): SignableRequest {
  return { method, ...parseTarget(target), headers: HeaderList.from(headers) };
}

function verify(signed: SignableRequest, now = NOON, secret = SECRET, region = 'us-east-1') {
  const claim = parseClaim(signed);
  if (claim === undefined) throw new Error('anonymous');
  return verifyClaim(claim, signed, { secret, region, now });
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'ok';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

const credential = 'Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';
const authorization = (signedHeaders: string, signature: string) =>
  `AWS4-HMAC-SHA256 ${credential},SignedHeaders=${signedHeaders},Signature=${signature}`;

describe('the examples of the API reference', () => {
  const base = { host: HOST, 'x-amz-content-sha256': EMPTY, 'x-amz-date': '20130524T000000Z' };
  const plain = 'host;x-amz-content-sha256;x-amz-date';
  const payload = '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072';
  it.each([
    [
      request('GET', '/test.txt', {
        ...base,
        range: 'bytes=0-9',
        authorization: authorization(
          'host;range;x-amz-content-sha256;x-amz-date',
          'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
        ),
      }),
    ],
    [
      request('PUT', '/test$file.text', {
        ...base,
        date: 'Fri, 24 May 2013 00:00:00 GMT',
        'x-amz-storage-class': 'REDUCED_REDUNDANCY',
        'x-amz-content-sha256': payload,
        authorization: authorization(
          'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
          '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
        ),
      }),
    ],
    [
      request('GET', '/?lifecycle', {
        ...base,
        authorization: authorization(
          plain,
          'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
        ),
      }),
    ],
    [
      request('GET', '/?max-keys=2&prefix=J', {
        ...base,
        authorization: authorization(
          plain,
          '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
        ),
      }),
    ],
    [
      request(
        'GET',
        '/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
          '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
          '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
        { host: HOST },
      ),
    ],
    [
      request('PUT', '/examplebucket/chunkObject.txt', {
        host: 's3.amazonaws.com',
        'x-amz-date': '20130524T000000Z',
        'x-amz-storage-class': 'REDUCED_REDUNDANCY',
        'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
        'content-encoding': 'aws-chunked',
        'x-amz-decoded-content-length': '66560',
        'content-length': '66824',
        authorization: authorization(
          'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
          '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
        ),
      }),
    ],
  ])('verify (%#)', (signed) => {
    expect(codeOf(() => verify(signed))).toBe('ok');
    expect(codeOf(() => verify({ ...signed, method: 'DELETE' }))).toBe('SignatureDoesNotMatch');
    expect(codeOf(() => verify({ ...signed, path: '/other' }))).toBe('SignatureDoesNotMatch');
    expect(codeOf(() => verify(signed, NOON, `${SECRET}x`))).toBe('SignatureDoesNotMatch');
    expect(
      codeOf(() => verify({ ...signed, parameters: [...signed.parameters, ['acl', '']] })),
    ).toBe('SignatureDoesNotMatch');
  });
});

describe('an independent signer', () => {
  class Sha256 {
    private readonly hash;
    constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
      this.hash =
        secret === undefined ? createHash('sha256') : createHmac('sha256', secret as Buffer);
    }
    update(data: Uint8Array | string) {
      this.hash.update(data);
    }
    digest() {
      return Promise.resolve(new Uint8Array(this.hash.digest()));
    }
    reset() {}
  }
  const signer = new SignatureV4({
    credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: SECRET },
    region: 'us-east-1',
    service: 's3',
    sha256: Sha256,
    uriEscapePath: false,
  });
  const encode = (text: string) =>
    encodeURIComponent(text).replace(
      /[!'()*]/g,
      (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
    );
  const names = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });

  it('agrees about keys and parameters of every kind', () =>
    fc.assert(
      fc.asyncProperty(
        names,
        fc.dictionary(fc.stringMatching(/^[a-z-]{1,10}$/), names, { maxKeys: 4 }),
        fc.dictionary(
          fc.stringMatching(/^x-amz-meta-[a-z]{1,8}$/),
          fc.stringMatching(/^[ -~]{0,30}$/),
        ),
        async (key, query, meta) => {
          const path = `/bucket/${key.split('/').map(encode).join('/')}`;
          const signed = await signer.sign(
            {
              method: 'PUT',
              protocol: 'https:',
              hostname: 'localhost',
              path,
              query,
              headers: { host: 'localhost', ...meta },
            },
            { signingDate: new Date(NOON) },
          );
          const text = Object.entries(query)
            .map(([name, value]) => `${encode(name)}=${encode(value)}`)
            .join('&');
          const received = request('PUT', `${path}?${text}`, signed.headers);
          expect(received.path).toBe(`/bucket/${key}`);
          expect(codeOf(() => verify(received))).toBe('ok');
        },
      ),
    ));
});

describe('a signature is refused', () => {
  const base = {
    host: HOST,
    'x-amz-content-sha256': EMPTY,
    'x-amz-date': '20130524T000000Z',
    authorization: authorization(
      'host;x-amz-content-sha256;x-amz-date',
      'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    ),
  };
  const code = (headers: Record<string, string | string[]>, now = NOON, target = '/?lifecycle') =>
    codeOf(() => verify(request('GET', target, { ...base, ...headers }), now));

  it('when the clocks are more than 15 minutes apart', () => {
    expect(code({}, NOON + 899_000)).toBe('ok');
    expect(code({}, NOON - 899_000)).toBe('ok');
    expect(code({}, NOON + 901_000)).toBe('RequestTimeTooSkewed');
    expect(code({}, NOON - 901_000)).toBe('RequestTimeTooSkewed');
  });

  it('when it is for another region, service or day', () => {
    const change = (from: string, to: string) =>
      code({ authorization: base.authorization.replace(from, to) });
    expect(change('us-east-1', 'eu-west-1')).toBe('AuthorizationHeaderMalformed');
    expect(change('/s3/', '/iam/')).toBe('AuthorizationHeaderMalformed');
    expect(change('/20130524/', '/20130525/')).toBe('AuthorizationHeaderMalformed');
    expect(change('AWS4-HMAC-SHA256', 'AWS4-ECDSA-P256-SHA256')).toBe('InvalidRequest');
    expect(change('Signature=fe', 'Signature=FE')).toBe('AuthorizationHeaderMalformed');
    expect(change('Signature=', 'Signature=0')).toBe('AuthorizationHeaderMalformed');
    expect(change('SignedHeaders=host;', 'SignedHeaders=')).toBe('AccessDenied');
    expect(change('SignedHeaders=', 'SignedHeaders=authorized;')).toBe('SignatureDoesNotMatch');
  });

  it('when a field that matters is not signed, or is there twice', () => {
    expect(code({ 'x-amz-acl': 'public-read' })).toBe('AccessDenied');
    expect(code({ 'x-amz-copy-source': '/other/secret' })).toBe('AccessDenied');
    expect(code({ host: [HOST, 'other'] })).toBe('SignatureDoesNotMatch');
    expect(code({ authorization: [base.authorization, base.authorization] })).toBe(
      'InvalidArgument',
    );
    expect(code({}, NOON, '/?lifecycle&X-Amz-Signature=00')).toBe('InvalidArgument');
  });

  it('when the payload is not said, or not as it should be', () => {
    expect(code({ 'x-amz-content-sha256': [] })).toBe('InvalidRequest');
    expect(code({ 'x-amz-content-sha256': 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD' })).toBe(
      'InvalidArgument',
    );
    expect(code({ 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' })).toBe('SignatureDoesNotMatch');
  });
});

describe('a presigned URL', () => {
  const good =
    '/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
    '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
    '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404';
  const code = (target: string, now = NOON, headers: Record<string, string> = {}, method = 'GET') =>
    codeOf(() => verify(request(method, target, { host: HOST, ...headers }), now));

  it('is good until it expires, to the second', () => {
    expect(code(good, NOON + 86_399_999)).toBe('ok');
    expect(code(good, NOON + 86_400_000)).toBe('AccessDenied');
    expect(code(good, NOON - 899_000)).toBe('ok');
    expect(code(good, NOON - 901_000)).toBe('AccessDenied');
  });

  it('is good for its method, key, query, host and headers only', () => {
    expect(code(good, NOON, {}, 'HEAD')).toBe('SignatureDoesNotMatch');
    expect(code(good.replace('test.txt', 'test.tx'))).toBe('SignatureDoesNotMatch');
    expect(code(`${good}&response-content-type=text%2Fhtml`)).toBe('SignatureDoesNotMatch');
    expect(code(good.replace('86400', '86401'))).toBe('SignatureDoesNotMatch');
    expect(code(good, NOON, { host: 'other.example.org' })).toBe('SignatureDoesNotMatch');
    expect(code(good, NOON, { 'x-amz-copy-source': '/a/b' })).toBe('AccessDenied');
    expect(code(good, NOON, { range: 'bytes=0-1' })).toBe('ok');
  });

  it.each([
    [good.replace('X-Amz-Expires=86400', 'X-Amz-Expires=604801')],
    [good.replace('X-Amz-Expires=86400', 'X-Amz-Expires=0')],
    [good.replace('X-Amz-Expires=86400', 'X-Amz-Expires=-1')],
    [good.replace('X-Amz-Expires=86400&', '')],
    [good.replace('20130524T000000Z', '20131324T000000Z')],
    [`${good}&X-Amz-Date=20130524T000000Z`],
    [good.replace(/X-Amz-Signature=.*/, '')],
  ])('is refused malformed (%#)', (target) => {
    expect(code(target)).toBe('AuthorizationQueryParametersError');
  });
});
