import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkSigner } from '../signature/chunk-signer.js';
import { signingKey } from '../signature/signing-key.js';
import { type AwsChunkedOptions, decodeAwsChunked } from './aws-chunked.js';

const SCOPE = '20130524/us-east-1/s3/aws4_request';
const key = signingKey('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', {
  day: '20130524',
  region: 'us-east-1',
  service: 's3',
});
const signer = (seed: string) => chunkSigner(key, '20130524T000000Z', SCOPE, seed);

// The two examples of the API reference.
const SEED = '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9';
const SIGNED = [
  'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648',
  '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497',
  'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9',
];
const TRAILER_SEED = '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e';
const TRAILER_SIGNED = [
  'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2',
  '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7',
  '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992',
];
const TRAILER_SIGNATURE = 'd81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435';
const FIELD = 'x-amz-checksum-crc32c:sOO8/Q==';

function body(signatures: string[], end: string): Buffer {
  const sizes = [65_536, 1024, 0];
  const text = sizes
    .map((size, i) => {
      const head = `${size.toString(16)};chunk-signature=${signatures[i]}\r\n`;
      return size === 0 ? head : `${head}${'a'.repeat(size)}\r\n`;
    })
    .join('');
  return Buffer.from(text + end);
}

async function* cut(bytes: Buffer, step: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < bytes.length; i += step) yield bytes.subarray(i, i + step);
}

async function decode(bytes: Buffer, options: AwsChunkedOptions, step = 10_007): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of decodeAwsChunked(cut(bytes, step), options)) parts.push(part);
  return Buffer.concat(parts);
}

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'ok',
    (error: { code?: string }) => error.code,
  );

describe('the signed example of the API reference', () => {
  const options = () => ({ signer: signer(SEED), trailer: null, length: 66_560 });

  it.each([1, 17, 1000, 65_536, 1_000_000])('is decoded in pieces of %i bytes', async (step) => {
    const bytes = body(SIGNED, '\r\n');
    expect((await decode(bytes, options(), step)).equals(Buffer.alloc(66_560, 'a'))).toBe(true);
  });

  it('is refused with any byte changed', async () => {
    const whole = body(SIGNED, '\r\n');
    for (const at of [0, 4, 30, 100, 65_620, 66_000, whole.length - 3, whole.length - 10]) {
      const changed = Buffer.from(whole);
      changed[at] = changed[at]! ^ 1;
      expect(await code(decode(changed, options())), String(at)).not.toBe('ok');
    }
    expect(await code(decode(whole, { ...options(), signer: signer(TRAILER_SEED) }))).toBe(
      'SignatureDoesNotMatch',
    );
  });

  it('is refused when cut off anywhere', async () => {
    const whole = body(SIGNED, '\r\n');
    for (const end of [0, 5, 90, 7000, whole.length - 100, whole.length - 90]) {
      expect(await code(decode(whole.subarray(0, end), options()))).toBe('IncompleteBody');
    }
  });

  it('is refused with another length', async () => {
    for (const length of [66_559, 66_561, 0]) {
      expect(await code(decode(body(SIGNED, '\r\n'), { ...options(), length }))).toBe(
        'IncompleteBody',
      );
    }
  });
});

describe('the example with a trailer', () => {
  const fields = new Map<string, string>();
  const options = () => ({
    signer: signer(TRAILER_SEED),
    trailer: ['x-amz-checksum-crc32c'],
    length: 66_560,
    onTrailer: (found: ReadonlyMap<string, string>) => found.forEach((v, k) => fields.set(k, v)),
  });
  const good = `x-amz-trailer-signature:${TRAILER_SIGNATURE}`;

  it.each([
    `${FIELD}\r\n${good}\r\n\r\n`,
    `${FIELD}\n\r\n${good}\r\n\r\n`,
    `${FIELD}\r\n${good}\r\n`,
  ])('is decoded as different signers write it (%#)', async (end) => {
    fields.clear();
    await decode(body(TRAILER_SIGNED, end), options());
    expect([...fields]).toEqual([['x-amz-checksum-crc32c', 'sOO8/Q==']]);
  });

  it.each([
    ['SignatureDoesNotMatch', `x-amz-checksum-crc32c:AAAAAA==\r\n${good}\r\n\r\n`],
    ['MalformedTrailerError', `${FIELD}\r\n\r\n`],
    ['MalformedTrailerError', `${good}\r\n\r\n`],
    ['MalformedTrailerError', `${FIELD}\r\nx-amz-acl:public-read\r\n${good}\r\n\r\n`],
    ['MalformedTrailerError', `${FIELD}\r\n${FIELD}\r\n${good}\r\n\r\n`],
    ['InvalidRequest', `${FIELD}\r\n${good}\r\n\r\nmore\r\n`],
    ['InvalidRequest', `x-amz-checksum-crc32c:${'A'.repeat(5000)}\r\n`],
  ])('is refused with %s', async (expected, end) => {
    expect(await code(decode(body(TRAILER_SIGNED, end), options()))).toBe(expected);
  });
});

describe('without signatures', () => {
  it('any payload in any chunks comes back', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 40 }),
        async (chunks, step) => {
          const encoded = Buffer.concat([
            ...chunks.flatMap((chunk) => [
              Buffer.from(`${chunk.length.toString(16)}\r\n`),
              chunk,
              Buffer.from('\r\n'),
            ]),
            Buffer.from('0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n'),
          ]);
          const payload = Buffer.concat(chunks);
          const options = { trailer: ['x-amz-checksum-crc32'], length: payload.length };
          expect(await decode(encoded, options, step)).toEqual(payload);
        },
      ),
    ));

  it.each([
    'zz\r\n',
    '-1\r\n',
    '5;chunk-signature=00\r\nhello\r\n',
    '1\r\nab\r\n',
    '123456789abcdef\r\n',
  ])('refuses %j', async (text) => {
    const options = { trailer: null, length: 5 };
    expect(await code(decode(Buffer.from(text), options))).toMatch(/InvalidRequest|IncompleteBody/);
  });
});
