import { createHash, randomBytes } from 'node:crypto';
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketEncryptionCommand,
  DeleteObjectCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutBucketEncryptionCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestBridge } from './bridge.test-support.js';
import { customerKeyOf } from './customer-encryption.js';
import { HeaderList } from './header-list.js';
import { failure, sdkClient } from './sdk.test-support.js';

const MIB = 1024 * 1024;
const Bucket = 'sealed';
let bridge: TestBridge;
let s3: S3Client;

beforeAll(async () => {
  bridge = await TestBridge.start();
  s3 = sdkClient(bridge);
  await s3.send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => {
  s3.destroy();
  await bridge.stop();
});

const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes);
const [mine, other] = [randomBytes(32), randomBytes(32)];
const by = (key: Uint8Array) => ({ SSECustomerAlgorithm: 'AES256', SSECustomerKey: key as never });
const from = (key: Uint8Array) => ({
  CopySourceSSECustomerAlgorithm: 'AES256',
  CopySourceSSECustomerKey: key as never,
});

async function read(Key: string, input: object = {}): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ...input }));
  return Buffer.from(await Body!.transformToByteArray());
}

const put = (Key: string, Body: Uint8Array, input: Partial<PutObjectCommandInput> = {}) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body, ...input }));

const error = (promise: Promise<unknown>) =>
  failure(promise).then(({ name, status }) => `${status} ${name}`);

/** Whether anything that the bridge keeps has these bytes, once what is small has been packed. */
async function isKept(bytes: Uint8Array): Promise<boolean> {
  await new Promise((resolve) => setTimeout(resolve, 5));
  return [...bridge.backend.contents.values()].some((content) => content.includes(bytes));
}

describe('an object under a key of the client', () => {
  it.each([0, 10, 5000, MIB + 7])('of %i bytes reads back with the key only', async (size) => {
    const Key = `object-${size}`;
    const bytes = randomBytes(size);
    const written = await put(Key, bytes, by(mine));
    expect(written).toMatchObject({
      SSECustomerAlgorithm: 'AES256',
      SSECustomerKeyMD5: md5(mine).digest('base64'),
    });
    expect(written.ServerSideEncryption).toBeUndefined();
    expect(written.ETag).toMatch(/^"[0-9a-f]{32}"$/);
    expect(written.ETag).not.toBe(`"${md5(bytes).digest('hex')}"`);
    expect((await read(Key, by(mine))).equals(bytes)).toBe(true);
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key, ...by(mine) }));
    expect(head).toMatchObject({
      ContentLength: size,
      ETag: written.ETag,
      SSECustomerKeyMD5: written.SSECustomerKeyMD5,
    });
    expect(head.ServerSideEncryption).toBeUndefined();
    expect(await error(read(Key))).toBe('400 InvalidRequest');
    expect(await error(read(Key, by(other)))).toBe('403 AccessDenied');
    expect(await error(s3.send(new HeadObjectCommand({ Bucket, Key })))).toMatch(/^400/);
    const wrong = new HeadObjectCommand({ Bucket, Key, ...by(other) });
    expect(await error(s3.send(wrong))).toMatch(/^403/);
    const attributes = (key: object) =>
      s3.send(
        new GetObjectAttributesCommand({
          Bucket,
          Key,
          ObjectAttributes: ['ObjectSize'],
          ...key,
        }),
      );
    expect((await attributes(by(mine))).ObjectSize).toBe(size);
    expect(await error(attributes({}))).toBe('400 InvalidRequest');
    if (size >= 10) expect(await isKept(bytes.subarray(0, 10))).toBe(false);
  });

  it('has any of its ranges', async () => {
    const bytes = randomBytes(300_000);
    await put('ranges', bytes, by(mine));
    for (const [first, last] of [
      [0, 0],
      [65_535, 65_536],
      [131_072, 196_607],
      [299_999, 299_999],
      [100, 299_000],
    ] as const) {
      const Range = `bytes=${first}-${last}`;
      const run = await read('ranges', { Range, ...by(mine) });
      expect(run.equals(bytes.subarray(first, last + 1))).toBe(true);
    }
    expect((await read('ranges', { Range: 'bytes=-5', ...by(mine) })).length).toBe(5);
  });

  it('is listed with its own size, and deleted without the key', async () => {
    const { bytes } = await bridge.metadata.bucketUsage(Bucket);
    await put('listed', randomBytes(70_000), by(mine));
    expect((await bridge.metadata.bucketUsage(Bucket)).bytes - bytes).toBe(70_000);
    const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'listed' }));
    expect(Contents![0]!.Size).toBe(70_000);
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'listed' }));
    expect(await error(read('listed', by(mine)))).toBe('404 NoSuchKey');
  });

  it('is the same once it was packed with others', async () => {
    const bytes = randomBytes(900);
    await put('packed', bytes, by(mine));
    await new Promise((resolve) => setTimeout(resolve, 5));
    const packing = await bridge.metadata.inlineBodies(100, Date.now());
    expect(packing.some((body) => Buffer.from(body.bytes).includes(bytes))).toBe(false);
    expect((await read('packed', by(mine))).equals(bytes)).toBe(true);
  });

  it('keeps neither the key nor its hash', async () => {
    await put('kept', randomBytes(100), by(mine));
    const version = await bridge.metadata.version(Bucket, 'kept');
    const text = JSON.stringify(version);
    for (const encoding of ['hex', 'base64'] as const) {
      expect(text).not.toContain(mine.toString(encoding));
      expect(text).not.toContain(md5(mine).digest(encoding));
      expect(text).not.toContain(createHash('sha256').update(mine).digest(encoding));
    }
    expect(version!.details.encryption).toEqual({
      salt: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      proof: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
  });

  it('that was altered is not handed out', async () => {
    await put('altered', randomBytes(5000), by(mine));
    const version = await bridge.metadata.version(Bucket, 'altered');
    if (version!.body.kind !== 'extents') throw new Error('it is not in the network');
    bridge.backend.contents.get(version!.body.extents[0]!.contentId)![100]! ^= 1;
    expect(await error(read('altered', by(mine)))).toBe('500 InternalError');
  });

  it('is verified as any other: a wrong checksum keeps nothing', async () => {
    const wrong = put('wrong', randomBytes(5000), { ...by(mine), ChecksumCRC32: 'AAAAAA==' });
    expect(await error(wrong)).toBe('400 BadDigest');
    expect(await error(read('wrong', by(mine)))).toBe('404 NoSuchKey');
  });

  it('can be had by a presigned URL and the key', async () => {
    const bytes = randomBytes(3000);
    await put('signed', bytes, by(mine));
    const fields = {
      'x-amz-server-side-encryption-customer-algorithm': 'AES256',
      'x-amz-server-side-encryption-customer-key': mine.toString('base64'),
      'x-amz-server-side-encryption-customer-key-md5': md5(mine).digest('base64'),
    };
    const signed = await getSignedUrl(
      s3,
      new GetObjectCommand({ Bucket, Key: 'signed', ...by(mine) }),
      { unhoistableHeaders: new Set(Object.keys(fields)) },
    );
    expect(signed).not.toContain(encodeURIComponent(mine.toString('base64')));
    expect((await fetch(signed)).status).toBe(403);
    const answer = await fetch(signed, { headers: fields });
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
  });
});

describe('a multipart upload under a key of the client', () => {
  it('reads back across its parts', async () => {
    const bytes = randomBytes(11 * MIB);
    const params = { Bucket, Key: 'parts', Body: bytes, ...by(mine) };
    const done = await new Upload({ client: s3, params, partSize: 5 * MIB }).done();
    expect(done.ETag).toMatch(/-3"$/);
    expect((await read('parts', by(mine))).equals(bytes)).toBe(true);
    const Range = `bytes=${5 * MIB - 3}-${10 * MIB + 2}`;
    const run = await read('parts', { Range, ...by(mine) });
    expect(run.equals(bytes.subarray(5 * MIB - 3, 10 * MIB + 3))).toBe(true);
    const part = await read('parts', { PartNumber: 3, ...by(mine) });
    expect(part.equals(bytes.subarray(10 * MIB))).toBe(true);
    expect(await error(read('parts', by(other)))).toBe('403 AccessDenied');
    expect(await isKept(bytes.subarray(6 * MIB, 6 * MIB + 16))).toBe(false);
  });

  it('takes no part without the key, or under another', async () => {
    const begin = (input: object) =>
      s3.send(new CreateMultipartUploadCommand({ Bucket, Key: 'strict', ...input }));
    const part = (UploadId: string, input: object) =>
      s3.send(
        new UploadPartCommand({
          Bucket,
          Key: 'strict',
          UploadId,
          PartNumber: 1,
          Body: 'x',
          ...input,
        }),
      );
    const sealed = await begin(by(mine));
    expect(sealed.SSECustomerKeyMD5).toBe(md5(mine).digest('base64'));
    expect(await error(part(sealed.UploadId!, {}))).toBe('400 InvalidRequest');
    expect(await error(part(sealed.UploadId!, by(other)))).toBe('400 InvalidRequest');
    const open = await begin({});
    expect(await error(part(open.UploadId!, by(mine)))).toBe('400 InvalidRequest');
    const { ETag, SSECustomerKeyMD5 } = await part(sealed.UploadId!, by(mine));
    expect(SSECustomerKeyMD5).toBe(sealed.SSECustomerKeyMD5);
    const complete = (input: object) =>
      s3.send(
        new CompleteMultipartUploadCommand({
          Bucket,
          Key: 'strict',
          UploadId: sealed.UploadId,
          MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
          ...input,
        }),
      );
    expect(await error(complete(by(other)))).toBe('400 InvalidRequest');
    await complete(by(mine));
    expect((await read('strict', by(mine))).toString()).toBe('x');
  });

  it('takes parts from objects under other keys, and from those without one', async () => {
    const bytes = randomBytes(6 * MIB);
    await put('source-open', bytes);
    await put('source-other', bytes, by(other));
    const { UploadId } = await s3.send(
      new CreateMultipartUploadCommand({ Bucket, Key: 'put-together', ...by(mine) }),
    );
    const copy = (PartNumber: number, source: string, input: object) =>
      s3.send(
        new UploadPartCopyCommand({
          Bucket,
          Key: 'put-together',
          UploadId,
          PartNumber,
          CopySource: `${Bucket}/${source}`,
          CopySourceRange: `bytes=1-${5 * MIB}`,
          ...input,
        }),
      );
    expect(await error(copy(1, 'source-open', {}))).toBe('400 InvalidRequest');
    expect(await error(copy(2, 'source-other', by(mine)))).toBe('400 InvalidRequest');
    expect(await error(copy(2, 'source-other', { ...by(mine), ...from(mine) }))).toBe(
      '403 AccessDenied',
    );
    const parts = [
      await copy(1, 'source-open', by(mine)),
      await copy(2, 'source-other', { ...by(mine), ...from(other) }),
    ];
    await s3.send(
      new CompleteMultipartUploadCommand({
        Bucket,
        Key: 'put-together',
        UploadId,
        MultipartUpload: {
          Parts: parts.map(({ CopyPartResult }, i) => ({
            PartNumber: i + 1,
            ETag: CopyPartResult!.ETag,
          })),
        },
      }),
    );
    const run = bytes.subarray(1, 5 * MIB + 1);
    expect((await read('put-together', by(mine))).equals(Buffer.concat([run, run]))).toBe(true);
  });
});

describe('a copy', () => {
  const copy = (Key: string, source: string, input: object = {}) =>
    s3.send(new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${source}`, ...input }));

  it('changes, gives or takes away the key', async () => {
    const bytes = randomBytes(200_000);
    await put('origin', bytes, by(mine));
    expect(await error(copy('c', 'origin'))).toBe('400 InvalidRequest');
    expect(await error(copy('c', 'origin', from(other)))).toBe('403 AccessDenied');
    await copy('same', 'origin', { ...from(mine), ...by(mine) });
    expect((await read('same', by(mine))).equals(bytes)).toBe(true);
    const changed = await copy('changed', 'origin', { ...from(mine), ...by(other) });
    expect(changed.SSECustomerKeyMD5).toBe(md5(other).digest('base64'));
    expect((await read('changed', by(other))).equals(bytes)).toBe(true);
    expect(await error(read('changed', by(mine)))).toBe('403 AccessDenied');
    const opened = await copy('opened', 'origin', from(mine));
    expect(opened.ServerSideEncryption).toBe('AES256');
    expect(opened.CopyObjectResult!.ETag).toBe(`"${md5(bytes).digest('hex')}"`);
    expect((await read('opened')).equals(bytes)).toBe(true);
    await copy('closed', 'opened', by(mine));
    expect((await read('closed', by(mine))).equals(bytes)).toBe(true);
    expect(await error(copy('c', 'opened', from(mine)))).toBe('400 InvalidRequest');
  });

  it('shares what is under the same key, parts too', async () => {
    const bytes = randomBytes(6 * MIB);
    const params = { Bucket, Key: 'many', Body: bytes, ...by(mine) };
    await new Upload({ client: s3, params, partSize: 5 * MIB }).done();
    const before = bridge.backend.contents.size;
    await copy('many-copied', 'many', { ...from(mine), ...by(mine), MetadataDirective: 'REPLACE' });
    expect(bridge.backend.contents.size).toBe(before);
    expect((await read('many-copied', by(mine))).equals(bytes)).toBe(true);
    // To itself under another key.
    await copy('many', 'many', { ...from(mine), ...by(other) });
    expect((await read('many', by(other))).equals(bytes)).toBe(true);
  });
});

describe('what a request says of keys', () => {
  const PUT = { method: 'PUT', target: `/${Bucket}/said`, body: 'x' };
  const name = (field: string) => `x-amz-server-side-encryption-customer-${field}`;
  const good = {
    [name('algorithm')]: 'AES256',
    [name('key')]: mine.toString('base64'),
    [name('key-md5')]: md5(mine).digest('base64'),
  };
  const code = async (fields: Record<string, string | undefined>) => {
    const given = Object.entries({ ...good, ...fields }).filter(([, value]) => value !== undefined);
    const answer = await bridge.raw({ ...PUT, headers: Object.fromEntries(given) as never });
    expect(answer.body.toString()).not.toContain(mine.toString('base64'));
    return answer.code ?? answer.status;
  };

  it('is refused when it is not whole or not right', async () => {
    expect(await code({})).toBe(200);
    expect(await code({ [name('algorithm')]: undefined })).toBe('InvalidArgument');
    expect(await code({ [name('algorithm')]: 'AES128' })).toBe('InvalidEncryptionAlgorithmError');
    expect(await code({ [name('key')]: undefined })).toBe('InvalidArgument');
    expect(await code({ [name('key-md5')]: undefined })).toBe('InvalidArgument');
    expect(await code({ [name('key-md5')]: md5(other).digest('base64') })).toBe('InvalidArgument');
    const short = mine.subarray(16);
    expect(
      await code({
        [name('key')]: short.toString('base64'),
        [name('key-md5')]: md5(short).digest('base64'),
      }),
    ).toBe('InvalidArgument');
    expect(await code({ 'x-amz-server-side-encryption': 'AES256' })).toBe('InvalidArgument');
    expect(await code({ 'x-amz-server-side-encryption': 'aws:kms' })).toBe('NotImplemented');
  });

  it('is refused where anybody on the way could have read it', () => {
    const said = (remoteAddress: string, secure: boolean) => () =>
      customerKeyOf({ headers: HeaderList.from(good), remoteAddress, secure });
    expect(said('192.0.2.1', false)).toThrow(/secure connection/);
    expect(said('::ffff:192.0.2.1', false)).toThrow(/secure connection/);
    expect(said('192.0.2.1', true)()).toBeDefined();
    for (const loopback of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1']) {
      expect(said(loopback, false)()).toBeDefined();
    }
  });

  it('a key for an object that has none is refused', async () => {
    await put('plain', randomBytes(10));
    expect(await error(read('plain', by(mine)))).toBe('400 InvalidRequest');
    const { ServerSideEncryption } = await put('plain', randomBytes(10), {
      ServerSideEncryption: 'AES256',
    });
    expect(ServerSideEncryption).toBe('AES256');
    expect(await error(put('plain', randomBytes(1), { ServerSideEncryption: 'aws:kms' }))).toBe(
      '501 NotImplemented',
    );
  });

  it('a bucket’s encryption is what it is', async () => {
    const encryption = (SSEAlgorithm: 'AES256' | 'aws:kms') =>
      s3.send(
        new PutBucketEncryptionCommand({
          Bucket,
          ServerSideEncryptionConfiguration: {
            Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm } }],
          },
        }),
      );
    await encryption('AES256');
    expect(await error(encryption('aws:kms'))).toBe('501 NotImplemented');
    await s3.send(new DeleteBucketEncryptionCommand({ Bucket }));
  });
});
