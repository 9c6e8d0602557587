import { createHash, randomBytes } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHasher } from './body/checksum.js';
import { TestBridge } from './bridge.test-support.js';
import { failure, sdkClient } from './sdk.test-support.js';

const MIB = 1024 * 1024;
const Bucket = 'multipart';
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

const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest();
const etagOf = (parts: Uint8Array[]) =>
  `"${md5(Buffer.concat(parts.map(md5))).toString('hex')}-${parts.length}"`;

async function begin(Key: string, input: object = {}): Promise<string> {
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key, ...input }));
  return UploadId!;
}

async function part(
  Key: string,
  UploadId: string,
  PartNumber: number,
  Body: Uint8Array,
  input = {},
) {
  const answer = await s3.send(
    new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ...input }),
  );
  return { PartNumber, ...answer, $metadata: undefined };
}

const complete = (Key: string, UploadId: string, Parts: object[], input: object = {}) =>
  s3.send(
    new CompleteMultipartUploadCommand({
      Bucket,
      Key,
      UploadId,
      MultipartUpload: { Parts },
      ...input,
    }),
  );

async function read(Key: string, input: object = {}): Promise<Buffer> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ...input }));
  return Buffer.from(await Body!.transformToByteArray());
}

describe('an upload in parts', () => {
  const parts = [randomBytes(5 * MIB), randomBytes(5 * MIB + 7), randomBytes(13)];
  const whole = Buffer.concat(parts);

  it('becomes one object, parts in any order, some sent twice', async () => {
    const Key = 'whole';
    const UploadId = await begin(Key, { Metadata: { m: '1' }, ContentType: 'text/x' });
    const third = await part(Key, UploadId, 30, parts[2]!);
    await part(Key, UploadId, 1, randomBytes(100));
    const [first, second] = await Promise.all([
      part(Key, UploadId, 1, parts[0]!),
      part(Key, UploadId, 2, parts[1]!),
    ]);
    await part(Key, UploadId, 31, randomBytes(10));
    expect(await failure(read(Key))).toMatchObject({ name: 'NoSuchKey' });
    const done = await complete(Key, UploadId, [first, second, third]);
    expect(done.ETag).toBe(etagOf(parts));
    expect((await read(Key)).equals(whole)).toBe(true);
    expect(await s3.send(new HeadObjectCommand({ Bucket, Key }))).toMatchObject({
      ContentLength: whole.length,
      Metadata: { m: '1' },
      ContentType: 'text/x',
    });
    // Said again it answers the same.
    expect((await complete(Key, UploadId, [first, second, third])).ETag).toBe(done.ETag);
  });

  it('is read by range across parts, and part by part', async () => {
    const [from, to] = [5 * MIB - 3, 10 * MIB + 10];
    const range = await read('whole', { Range: `bytes=${from}-${to}` });
    expect(range.equals(whole.subarray(from, to + 1))).toBe(true);
    const second = await s3.send(new GetObjectCommand({ Bucket, Key: 'whole', PartNumber: 2 }));
    expect(second.PartsCount).toBe(3);
    expect(second.ContentRange).toBe(`bytes ${5 * MIB}-${10 * MIB + 6}/${whole.length}`);
    expect(Buffer.from(await second.Body!.transformToByteArray()).equals(parts[1]!)).toBe(true);
    expect((await failure(read('whole', { PartNumber: 3 }))).name).toBe('InvalidPartNumber');
  });

  it('is refused when the parts are not as they are named', async () => {
    const Key = 'refused';
    const UploadId = await begin(Key);
    const first = await part(Key, UploadId, 1, randomBytes(100));
    const second = await part(Key, UploadId, 2, randomBytes(100));
    const fails = async (named: object[], input = {}) =>
      (await failure(complete(Key, UploadId, named, input))).name;
    expect(await fails([first, second])).toBe('EntityTooSmall');
    expect(await fails([second, first])).toBe('InvalidPartOrder');
    expect(await fails([first, first])).toBe('InvalidPartOrder');
    expect(await fails([{ ...first, ETag: second.ETag }])).toBe('InvalidPart');
    expect(await fails([{ PartNumber: 3, ETag: first.ETag }])).toBe('InvalidPart');
    expect(await fails([{ PartNumber: 1, ETag: 'nonsense' }])).toBe('InvalidPart');
    expect(await fails([first], { MpuObjectSize: 99 })).toBe('InvalidRequest');
    expect(await fails([first], { MpuObjectSize: 100 })).toBe('ok');
    expect((await failure(part(Key, 'none', 1, randomBytes(1)))).name).toBe('NoSuchUpload');
    const raw = (query: string) =>
      bridge.raw({ method: 'PUT', target: `/${Bucket}/refused?${query}`, body: 'x' });
    expect((await raw('partNumber=0&uploadId=x')).code).toBe('InvalidArgument');
    expect((await raw('partNumber=10001&uploadId=x')).code).toBe('InvalidArgument');
  });

  it('is listed with its parts, and gone when it is aborted', async () => {
    const Key = 'listed/one';
    const UploadId = await begin(Key);
    for (const number of [1, 2, 3]) await part(Key, UploadId, number, randomBytes(number));
    const uploads = await s3.send(
      new ListMultipartUploadsCommand({ Bucket, Prefix: 'listed/', MaxUploads: 10 }),
    );
    expect(uploads.Uploads!.map((upload) => [upload.Key, upload.UploadId])).toEqual([
      [Key, UploadId],
    ]);
    const page = await s3.send(new ListPartsCommand({ Bucket, Key, UploadId, MaxParts: 2 }));
    expect(page.Parts!.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
      [1, 1],
      [2, 2],
    ]);
    expect(page.IsTruncated).toBe(true);
    const rest = await s3.send(
      new ListPartsCommand({
        Bucket,
        Key,
        UploadId,
        PartNumberMarker: page.NextPartNumberMarker!,
      }),
    );
    expect(rest.Parts!.map(({ PartNumber }) => PartNumber)).toEqual([3]);
    expect(rest.IsTruncated).toBe(false);
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    expect((await failure(part(Key, UploadId, 4, randomBytes(1)))).name).toBe('NoSuchUpload');
  });

  it('writes on condition', async () => {
    const UploadId = await begin('whole');
    const one = await part('whole', UploadId, 1, randomBytes(10));
    expect((await failure(complete('whole', UploadId, [one], { IfNoneMatch: '*' }))).status).toBe(
      412,
    );
    expect((await failure(complete('whole', UploadId, [one], { IfMatch: '"x"' }))).status).toBe(
      412,
    );
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key: 'whole', UploadId }));
  });
});

describe('checksums', () => {
  const parts = [randomBytes(5 * MIB), randomBytes(1000)];
  const of = async (
    algorithm: 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256',
    bytes: Buffer,
  ) => {
    const hasher = await createHasher(algorithm);
    hasher.update(bytes);
    return hasher.digest();
  };

  it.each([
    ['CRC32', 'FULL_OBJECT'],
    ['CRC32C', 'FULL_OBJECT'],
    ['CRC64NVME', 'FULL_OBJECT'],
    ['CRC32', 'COMPOSITE'],
    ['CRC32C', 'COMPOSITE'],
    ['SHA1', 'COMPOSITE'],
    ['SHA256', 'COMPOSITE'],
  ] as const)('%s of type %s', async (algorithm, type) => {
    const Key = `${algorithm}-${type}`;
    const UploadId = await begin(Key, { ChecksumAlgorithm: algorithm, ChecksumType: type });
    const sent = [];
    for (const [i, bytes] of parts.entries()) {
      sent.push(await part(Key, UploadId, i + 1, bytes, { ChecksumAlgorithm: algorithm }));
    }
    const name = `Checksum${algorithm}` as const;
    expect(sent[1]![name]).toBe((await of(algorithm, parts[1]!)).toString('base64'));
    const wrong = [{ ...sent[0], [name]: sent[1]![name] }, sent[1]!];
    expect((await failure(complete(Key, UploadId, wrong))).name).toBe('InvalidPart');
    const done = await complete(Key, UploadId, sent);
    const expected =
      type === 'FULL_OBJECT'
        ? (await of(algorithm, Buffer.concat(parts))).toString('base64')
        : `${(
            await of(
              algorithm,
              Buffer.concat([await of(algorithm, parts[0]!), await of(algorithm, parts[1]!)]),
            )
          ).toString('base64')}-2`;
    expect(done[name]).toBe(expected);
    expect(done.ChecksumType).toBe(type);
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }));
    expect(head[name]).toBe(expected);
    const about = await s3.send(
      new GetObjectAttributesCommand({
        Bucket,
        Key,
        ObjectAttributes: ['ObjectParts', 'Checksum'],
        MaxParts: 1,
      }),
    );
    expect(about.ObjectParts).toMatchObject({ TotalPartsCount: 2, IsTruncated: true });
    expect(about.ObjectParts!.Parts![0]).toMatchObject({ PartNumber: 1, Size: 5 * MIB });
    expect(about.Checksum).toMatchObject({ [name]: expected, ChecksumType: type });
  });

  it('a combination that S3 does not have is refused', async () => {
    for (const [ChecksumAlgorithm, ChecksumType] of [
      ['SHA256', 'FULL_OBJECT'],
      ['CRC64NVME', 'COMPOSITE'],
    ]) {
      expect((await failure(begin('no', { ChecksumAlgorithm, ChecksumType }))).name).toBe(
        'InvalidRequest',
      );
    }
  });
});

describe('copies of parts', () => {
  it('take ranges of objects of every kind', async () => {
    const big = randomBytes(6 * MIB);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'source', Body: big }));
    await s3.send(new PutObjectCommand({ Bucket, Key: 'small', Body: 'small one' }));
    const Key = 'copied';
    const UploadId = await begin(Key);
    const copy = async (PartNumber: number, from: string, CopySourceRange?: string) => {
      const { CopyPartResult } = await s3.send(
        new UploadPartCopyCommand({
          Bucket,
          Key,
          UploadId,
          PartNumber,
          CopySource: `${Bucket}/${from}`,
          CopySourceRange,
        }),
      );
      return { PartNumber, ETag: CopyPartResult!.ETag };
    };
    const source = await read('whole');
    const stored = bridge.backend.contents.size;
    const named = [
      await copy(1, 'source', `bytes=5-${5 * MIB + 4}`),
      await copy(2, 'whole', `bytes=100-${5 * MIB + 1099}`),
      await copy(3, 'small'),
    ];
    // Nothing was stored anew.
    expect(bridge.backend.contents.size).toBe(stored);
    await complete(Key, UploadId, named);
    const expected = Buffer.concat([
      big.subarray(5, 5 * MIB + 5),
      source.subarray(100, 5 * MIB + 1100),
      Buffer.from('small one'),
    ]);
    expect((await read(Key)).equals(expected)).toBe(true);
    const more = await begin(Key);
    const bad = (CopySourceRange: string) =>
      failure(
        s3.send(
          new UploadPartCopyCommand({
            Bucket,
            Key,
            UploadId: more,
            PartNumber: 1,
            CopySource: `${Bucket}/small`,
            CopySourceRange,
          }),
        ),
      );
    expect((await bad('bytes=0-9')).name).toBe('InvalidArgument');
    expect((await bad('bytes=5-')).name).toBe('InvalidArgument');
    expect((await bad('bytes=0-8')).name).toBe('ok');
  });
});

it('the SDK’s own uploader works as it comes', async () => {
  const bytes = randomBytes(12 * MIB + 5);
  const upload = new Upload({
    client: s3,
    params: { Bucket, Key: 'uploader', Body: bytes },
    partSize: 5 * MIB,
    queueSize: 3,
  });
  await upload.done();
  expect((await read('uploader')).equals(bytes)).toBe(true);
});
