import { randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteBucketCorsCommand,
  DeleteBucketLifecycleCommand,
  DeleteBucketTaggingCommand,
  DeleteObjectCommand,
  DeleteObjectTaggingCommand,
  DeleteObjectsCommand,
  GetBucketAclCommand,
  GetBucketCorsCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketLocationCommand,
  GetBucketPolicyStatusCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetObjectAclCommand,
  GetObjectCommand,
  GetObjectLegalHoldCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectVersionsCommand,
  ListObjectsV2Command,
  PutBucketAclCommand,
  PutBucketCorsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  PutObjectTaggingCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { createPresignedPost } from '@aws-sdk/s3-presigned-post';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { Client as MinioClient } from 'minio';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestBridge } from './bridge.test-support.js';
import { clientOf, failure, sdkClient } from './sdk.test-support.js';

let bridge: TestBridge;
let s3: S3Client;

beforeAll(async () => {
  bridge = await TestBridge.start({ domains: ['localhost', 's3.example.org'] });
  s3 = sdkClient(bridge);
});
afterAll(async () => {
  s3.destroy();
  await bridge.stop();
});

const text = async (input: ConstructorParameters<typeof GetObjectCommand>[0]) =>
  (await s3.send(new GetObjectCommand(input))).Body!.transformToString();

describe('buckets', () => {
  it('are made, found, listed and deleted', async () => {
    await s3.send(new CreateBucketCommand({ Bucket: 'one', ACL: 'private' }));
    expect((await failure(s3.send(new CreateBucketCommand({ Bucket: 'one' })))).name).toBe(
      'BucketAlreadyOwnedByYou',
    );
    const { Buckets, Owner } = await s3.send(new ListBucketsCommand({}));
    expect(Buckets!.map(({ Name }) => Name)).toContain('one');
    expect(Owner!.DisplayName).toBe('owner');
    const head = await s3.send(new HeadBucketCommand({ Bucket: 'one' }));
    expect(head.BucketRegion).toBe('us-east-1');
    const location = await s3.send(new GetBucketLocationCommand({ Bucket: 'one' }));
    expect(location.LocationConstraint).toBeUndefined();
    await s3.send(new PutObjectCommand({ Bucket: 'one', Key: 'k', Body: 'x' }));
    expect((await failure(s3.send(new DeleteBucketCommand({ Bucket: 'one' })))).name).toBe(
      'BucketNotEmpty',
    );
    await s3.send(new DeleteObjectCommand({ Bucket: 'one', Key: 'k' }));
    await s3.send(new DeleteBucketCommand({ Bucket: 'one' }));
    expect((await failure(s3.send(new HeadBucketCommand({ Bucket: 'one' })))).status).toBe(404);
  });

  it('have names that S3 allows', async () => {
    const put = async (name: string) =>
      (await bridge.raw({ method: 'PUT', target: `/${name}` })).code ?? 'ok';
    for (const bad of [
      'ab',
      'Upper',
      'under_score',
      '-x1',
      'x1-',
      'a..b',
      '192.168.0.1',
      'xn--abc',
      'health',
      'a'.repeat(64),
    ]) {
      expect([bad, await put(bad)]).toEqual([bad, 'InvalidBucketName']);
    }
    expect(await put('a.b-c1')).toBe('ok');
    const elsewhere = await bridge.raw({
      method: 'PUT',
      target: '/elsewhere',
      body: '<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>',
    });
    expect(elsewhere.code).toBe('InvalidLocationConstraint');
  });

  it('are listed in pages', async () => {
    for (const n of [1, 2, 3]) await s3.send(new CreateBucketCommand({ Bucket: `page-${n}` }));
    const first = await s3.send(new ListBucketsCommand({ MaxBuckets: 2, Prefix: 'page-' }));
    expect(first.Buckets!.map(({ Name }) => Name)).toEqual(['page-1', 'page-2']);
    const rest = await s3.send(
      new ListBucketsCommand({ Prefix: 'page-', ContinuationToken: first.ContinuationToken! }),
    );
    expect(rest.Buckets!.map(({ Name }) => Name)).toEqual(['page-3']);
    expect(rest.ContinuationToken).toBeUndefined();
  });
});

describe('versions', () => {
  const Bucket = 'versions';
  const put = async (Body: string) =>
    (await s3.send(new PutObjectCommand({ Bucket, Key: 'k', Body }))).VersionId;

  it('are kept, named, listed, hidden by markers and deleted', async () => {
    await s3.send(new CreateBucketCommand({ Bucket }));
    expect((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBeUndefined();
    expect(await put('unversioned')).toBeUndefined();
    const set = (Status: 'Enabled' | 'Suspended') =>
      s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }));
    await set('Enabled');
    const [one, two] = [await put('one'), await put('two')];
    expect(await text({ Bucket, Key: 'k' })).toBe('two');
    expect(await text({ Bucket, Key: 'k', VersionId: one! })).toBe('one');
    expect(await text({ Bucket, Key: 'k', VersionId: 'null' })).toBe('unversioned');
    const marker = await s3.send(new DeleteObjectCommand({ Bucket, Key: 'k' }));
    expect(marker.DeleteMarker).toBe(true);
    expect(await failure(text({ Bucket, Key: 'k' }))).toMatchObject({ name: 'NoSuchKey' });
    expect((await failure(text({ Bucket, Key: 'k', VersionId: marker.VersionId! }))).status).toBe(
      405,
    );
    const listed = await s3.send(new ListObjectVersionsCommand({ Bucket }));
    expect(listed.Versions!.map(({ VersionId, IsLatest }) => [VersionId, IsLatest])).toEqual([
      [two, false],
      [one, false],
      ['null', false],
    ]);
    expect(listed.DeleteMarkers!.map(({ VersionId }) => VersionId)).toEqual([marker.VersionId]);
    const paged: string[] = [];
    let [KeyMarker, VersionIdMarker]: (string | undefined)[] = [];
    do {
      const page = await s3.send(
        new ListObjectVersionsCommand({ Bucket, MaxKeys: 1, KeyMarker, VersionIdMarker }),
      );
      paged.push(
        ...[...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map((v) => v.VersionId!),
      );
      [KeyMarker, VersionIdMarker] = [page.NextKeyMarker, page.NextVersionIdMarker];
    } while (KeyMarker !== undefined);
    expect(paged).toEqual([marker.VersionId, two, one, 'null']);
    await s3.send(new DeleteObjectCommand({ Bucket, Key: 'k', VersionId: marker.VersionId! }));
    expect(await text({ Bucket, Key: 'k' })).toBe('two');
    await s3.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'k', VersionId: two! }] } }),
    );
    expect(await text({ Bucket, Key: 'k' })).toBe('one');
    expect((await failure(text({ Bucket, Key: 'k', VersionId: two! }))).name).toBe('NoSuchVersion');
    await set('Suspended');
    expect(await put('null again')).toBe('null');
    expect(await text({ Bucket, Key: 'k', VersionId: one! })).toBe('one');
  });
});

describe('object lock', () => {
  const Bucket = 'locked';
  const later = (ms: number) => new Date(Math.ceil((Date.now() + ms) / 1000) * 1000);

  it('keeps versions from being deleted', async () => {
    await s3.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true }));
    expect((await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status).toBe('Enabled');
    const put = async (Key: string, input = {}) =>
      (await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key, ...input }))).VersionId!;
    const remove = (Key: string, VersionId: string, input = {}) =>
      failure(s3.send(new DeleteObjectCommand({ Bucket, Key, VersionId, ...input })));
    const governed = await put('governed', {
      ObjectLockMode: 'GOVERNANCE',
      ObjectLockRetainUntilDate: later(3600_000),
    });
    const compliant = await put('compliant', {
      ObjectLockMode: 'COMPLIANCE',
      ObjectLockRetainUntilDate: later(3600_000),
    });
    const held = await put('held', { ObjectLockLegalHoldStatus: 'ON' });
    for (const [key, id] of [
      ['governed', governed],
      ['compliant', compliant],
      ['held', held],
    ]) {
      expect((await remove(key!, id!)).name).toBe('AccessDenied');
      // A delete marker is no deletion.
      expect((await failure(s3.send(new DeleteObjectCommand({ Bucket, Key: key! })))).name).toBe(
        'ok',
      );
    }
    const bypass = { BypassGovernanceRetention: true };
    expect((await remove('governed', governed, bypass)).name).toBe('ok');
    expect((await remove('compliant', compliant, bypass)).name).toBe('AccessDenied');
    const Retention = { Mode: 'COMPLIANCE' as const, RetainUntilDate: later(1800_000) };
    const shorter = new PutObjectRetentionCommand({
      Bucket,
      Key: 'compliant',
      VersionId: compliant,
      Retention,
    });
    expect((await failure(s3.send(shorter))).name).toBe('AccessDenied');
    const kept = await s3.send(
      new GetObjectRetentionCommand({ Bucket, Key: 'compliant', VersionId: compliant }),
    );
    expect(kept.Retention!.Mode).toBe('COMPLIANCE');
    const hold = { Bucket, Key: 'held', VersionId: held };
    expect((await s3.send(new GetObjectLegalHoldCommand(hold))).LegalHold!.Status).toBe('ON');
    await s3.send(new PutObjectLegalHoldCommand({ ...hold, LegalHold: { Status: 'OFF' } }));
    expect((await remove('held', held)).name).toBe('ok');
  });

  it('has a default for what is written', async () => {
    await s3.send(
      new PutObjectLockConfigurationCommand({
        Bucket,
        ObjectLockConfiguration: {
          ObjectLockEnabled: 'Enabled',
          Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 1 } },
        },
      }),
    );
    const got = await s3.send(new GetObjectLockConfigurationCommand({ Bucket }));
    expect(got.ObjectLockConfiguration!.Rule!.DefaultRetention).toEqual({
      Mode: 'GOVERNANCE',
      Days: 1,
    });
    await s3.send(new PutObjectCommand({ Bucket, Key: 'by-default', Body: 'x' }));
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'by-default' }));
    expect(head.ObjectLockMode).toBe('GOVERNANCE');
    const days = (head.ObjectLockRetainUntilDate!.getTime() - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(0.99);
    expect(days).toBeLessThan(1.01);
    const suspend = new PutBucketVersioningCommand({
      Bucket,
      VersioningConfiguration: { Status: 'Suspended' },
    });
    expect((await failure(s3.send(suspend))).name).toBe('InvalidBucketState');
    await s3.send(new CreateBucketCommand({ Bucket: 'unlocked' }));
    const locked = new PutObjectCommand({
      Bucket: 'unlocked',
      Key: 'k',
      Body: 'x',
      ObjectLockLegalHoldStatus: 'ON',
    });
    expect((await failure(s3.send(locked))).name).toBe('InvalidRequest');
  });
});

describe('settings', () => {
  const Bucket = 'settings';
  beforeAll(() => s3.send(new CreateBucketCommand({ Bucket })));

  it('tags of buckets and objects', async () => {
    const TagSet = [{ Key: 'team', Value: 'blue + green' }];
    expect((await failure(s3.send(new GetBucketTaggingCommand({ Bucket })))).name).toBe(
      'NoSuchTagSet',
    );
    await s3.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }));
    expect((await s3.send(new GetBucketTaggingCommand({ Bucket }))).TagSet).toEqual(TagSet);
    await s3.send(new DeleteBucketTaggingCommand({ Bucket }));
    expect((await failure(s3.send(new GetBucketTaggingCommand({ Bucket })))).name).toBe(
      'NoSuchTagSet',
    );
    const Key = 'tagged';
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
    await s3.send(new PutObjectTaggingCommand({ Bucket, Key, Tagging: { TagSet } }));
    expect((await s3.send(new GetObjectTaggingCommand({ Bucket, Key }))).TagSet).toEqual(TagSet);
    await s3.send(new DeleteObjectTaggingCommand({ Bucket, Key }));
    expect((await s3.send(new GetObjectTaggingCommand({ Bucket, Key }))).TagSet).toEqual([]);
    const many = Array.from({ length: 11 }, (_, i) => ({ Key: `k${i}`, Value: '' }));
    const bad = (tags: object[]) =>
      failure(
        s3.send(
          new PutObjectTaggingCommand({ Bucket, Key, Tagging: { TagSet: tags as typeof TagSet } }),
        ),
      );
    expect((await bad(many)).name).toBe('BadRequest');
    expect((await bad([TagSet[0]!, TagSet[0]!])).name).toBe('InvalidTag');
    expect((await bad([{ Key: 'aws:x', Value: '' }])).name).toBe('InvalidTag');
  });

  it('CORS, as a browser sees it', async () => {
    expect((await failure(s3.send(new GetBucketCorsCommand({ Bucket })))).name).toBe(
      'NoSuchCORSConfiguration',
    );
    const CORSRules = [
      {
        AllowedOrigins: ['https://*.example.org'],
        AllowedMethods: ['GET', 'PUT'],
        AllowedHeaders: ['x-amz-*', 'Content-Type'],
        ExposeHeaders: ['ETag'],
        MaxAgeSeconds: 600,
      },
    ];
    await s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }));
    expect((await s3.send(new GetBucketCorsCommand({ Bucket }))).CORSRules).toEqual(CORSRules);
    const preflight = (origin: string, method: string, headers: string) =>
      bridge.raw({
        method: 'OPTIONS',
        target: `/${Bucket}/k`,
        headers: {
          origin,
          'access-control-request-method': method,
          'access-control-request-headers': headers,
        },
        as: null,
      });
    const good = await preflight('https://app.example.org', 'PUT', 'content-type, x-amz-date');
    expect(good.status).toBe(200);
    expect(good.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example.org',
      'access-control-allow-methods': 'GET, PUT',
      'access-control-allow-headers': 'content-type, x-amz-date',
      'access-control-max-age': '600',
    });
    expect((await preflight('https://evil.org', 'PUT', '')).status).toBe(403);
    expect((await preflight('https://app.example.org', 'DELETE', '')).status).toBe(403);
    expect((await preflight('https://app.example.org', 'PUT', 'x-other')).status).toBe(403);
    const actual = await bridge.raw({
      target: `/${Bucket}/none`,
      headers: { origin: 'https://app.example.org' },
    });
    expect(actual.headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example.org',
      'access-control-expose-headers': 'ETag',
    });
    await s3.send(new DeleteBucketCorsCommand({ Bucket }));
    expect((await preflight('https://app.example.org', 'PUT', '')).status).toBe(403);
  });

  it('lifecycle rules', async () => {
    const Rules = [
      {
        ID: 'old',
        Status: 'Enabled' as const,
        Filter: { Prefix: 'tmp/' },
        Expiration: { Days: 3 },
      },
      {
        ID: 'parts',
        Status: 'Enabled' as const,
        Filter: {
          And: { Prefix: 'x', Tags: [{ Key: 'a', Value: 'b' }], ObjectSizeGreaterThan: 5 },
        },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
        NoncurrentVersionExpiration: { NoncurrentDays: 2, NewerNoncurrentVersions: 3 },
      },
    ];
    const set = (rules: object[]) =>
      s3.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket,
          LifecycleConfiguration: { Rules: rules as typeof Rules },
        }),
      );
    await set(Rules);
    const got = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
    expect(got.Rules).toEqual(Rules);
    await s3.send(new PutObjectCommand({ Bucket, Key: 'tmp/a', Body: 'x' }));
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'tmp/a' }));
    expect(head.Expiration).toMatch(/^expiry-date=".* 00:00:00 GMT", rule-id="old"$/);
    const transition = { ...Rules[0], Transitions: [{ Days: 1, StorageClass: 'GLACIER' }] };
    expect((await failure(set([transition]))).name).toBe('NotImplemented');
    expect((await failure(set([Rules[0]!, Rules[0]!]))).name).toBe('InvalidArgument');
    await s3.send(new DeleteBucketLifecycleCommand({ Bucket }));
    expect(
      (await failure(s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket })))).name,
    ).toBe('NoSuchLifecycleConfiguration');
  });

  it('ACLs, encryption and the policy’s status', async () => {
    await s3.send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' }));
    const acl = await s3.send(new GetBucketAclCommand({ Bucket }));
    expect(acl.Grants!.map(({ Permission }) => Permission)).toEqual(['FULL_CONTROL', 'READ']);
    expect((await bridge.raw({ target: `/${Bucket}`, as: null })).status).toBe(200);
    await s3.send(
      new PutBucketAclCommand({
        Bucket,
        AccessControlPolicy: { Owner: acl.Owner, Grants: [acl.Grants![0]!] },
      }),
    );
    expect((await bridge.raw({ target: `/${Bucket}`, as: null })).status).toBe(403);
    await s3.send(
      new PutObjectCommand({ Bucket, Key: 'acl', Body: 'x', ACL: 'authenticated-read' }),
    );
    expect((await s3.send(new GetObjectAclCommand({ Bucket, Key: 'acl' }))).Grants).toHaveLength(2);
    const stranger = clientOf(bridge, (await bridge.user('stranger')).credentials);
    const get = new GetObjectCommand({ Bucket, Key: 'acl' });
    expect((await failure(stranger.send(get))).name).toBe('ok');
    expect((await bridge.raw({ target: `/${Bucket}/acl`, as: null })).status).toBe(403);
    const encryption = await s3.send(new GetBucketEncryptionCommand({ Bucket }));
    const [rule] = encryption.ServerSideEncryptionConfiguration!.Rules!;
    expect(rule!.ApplyServerSideEncryptionByDefault!.SSEAlgorithm).toBe('AES256');
    const Policy = JSON.stringify({
      Statement: {
        Effect: 'Allow',
        Principal: '*',
        Action: 's3:GetObject',
        Resource: `arn:aws:s3:::${Bucket}/*`,
      },
    });
    await s3.send(new PutBucketPolicyCommand({ Bucket, Policy }));
    const status = await s3.send(new GetBucketPolicyStatusCommand({ Bucket }));
    expect(status.PolicyStatus!.IsPublic).toBe(true);
    expect((await bridge.raw({ target: `/${Bucket}/acl`, as: null })).status).toBe(200);
  });
});

describe('presigned', () => {
  const Bucket = 'presigned';
  beforeAll(() => s3.send(new CreateBucketCommand({ Bucket })));

  it('URLs put and get', async () => {
    const url = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: 'a b/ü' }), {
      expiresIn: 60,
    });
    const put = await fetch(url, { method: 'PUT', body: 'presigned' });
    expect(put.status).toBe(200);
    const get = await getSignedUrl(
      s3,
      new GetObjectCommand({ Bucket, Key: 'a b/ü', ResponseContentType: 'text/x' }),
      { expiresIn: 60 },
    );
    const got = await fetch(get);
    expect(await got.text()).toBe('presigned');
    expect(got.headers.get('content-type')).toBe('text/x');
    expect((await fetch(get, { method: 'DELETE' })).status).toBe(403);
  });

  it('forms upload what their policy allows', async () => {
    const { url, fields } = await createPresignedPost(s3, {
      Bucket,
      Key: 'forms/${filename}',
      Conditions: [
        ['content-length-range', 1, 100_000],
        ['starts-with', '$Content-Type', 'text/'],
        ['starts-with', '$key', 'forms/'],
        { success_action_status: '201' },
        ['starts-with', '$x-amz-meta-note', ''],
      ],
      Fields: { success_action_status: '201' },
      Expires: 60,
    });
    const post = (changes: Record<string, string>, file = 'from a form', name = 'a.txt') => {
      const form = new FormData();
      const all = { ...fields, 'Content-Type': 'text/plain', 'x-amz-meta-note': 'n', ...changes };
      for (const [field, value] of Object.entries(all)) form.append(field, value);
      form.append('file', new Blob([file]), name);
      return fetch(url, { method: 'POST', body: form });
    };
    const done = await post({}, 'from a form', 'C:\\dir\\a.txt');
    expect(done.status).toBe(201);
    expect(await done.text()).toContain('<Key>forms/a.txt</Key>');
    expect(await text({ Bucket, Key: 'forms/a.txt' })).toBe('from a form');
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: 'forms/a.txt' }));
    expect(head).toMatchObject({ ContentType: 'text/plain', Metadata: { note: 'n' } });
    const large = 'x'.repeat(90_000);
    expect((await post({}, large, 'large')).status).toBe(201);
    expect(await text({ Bucket, Key: 'forms/large' })).toBe(large);
    const code = async (answer: Promise<Response>) =>
      /<Code>(\w+)</.exec(await (await answer).text())?.[1];
    expect(await code(post({}, 'x'.repeat(100_001)))).toBe('EntityTooLarge');
    expect(await code(post({}, ''))).toBe('EntityTooSmall');
    expect(await code(post({ 'Content-Type': 'image/png' }))).toBe('AccessDenied');
    expect(await code(post({ key: 'other/x' }))).toBe('AccessDenied');
    expect(await code(post({ acl: 'public-read' }))).toBe('AccessDenied');
    expect(await code(post({ 'X-Amz-Signature': '0'.repeat(64) }))).toBe('SignatureDoesNotMatch');
    const stretched = Buffer.from(
      Buffer.from(fields['Policy']!, 'base64').toString().replace('100000', '900000'),
    ).toString('base64');
    expect(await code(post({ Policy: stretched }))).toBe('SignatureDoesNotMatch');
    const anonymous = new FormData();
    anonymous.append('key', 'forms/anonymous');
    anonymous.append('file', new Blob(['x']));
    expect(await code(fetch(url, { method: 'POST', body: anonymous }))).toBe('AccessDenied');
    expect(await code(fetch(url, { method: 'POST', body: 'x' }))).toBe(
      'RequestIsNotMultiPartContent',
    );
    const cut = `--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n${'x'.repeat(5000)}`;
    const headers = { 'content-type': 'multipart/form-data; boundary=b' };
    expect(await code(fetch(url, { method: 'POST', body: cut, headers }))).toMatch(
      /InvalidArgument|MalformedPOSTRequest/,
    );
  });
});

it('a bucket may be named by the host', async () => {
  const hosted = sdkClient(bridge, bridge.owner.credentials, {
    endpoint: `http://localhost:${bridge.port}`,
    forcePathStyle: false,
    // Whatever the system's resolver makes of BUCKET.localhost.
    requestHandler: {
      httpAgent: new Agent({
        lookup: (_host, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
      }),
    },
  });
  try {
    await hosted.send(new CreateBucketCommand({ Bucket: 'by-host' }));
    await hosted.send(new PutObjectCommand({ Bucket: 'by-host', Key: '/a//b', Body: 'hosted' }));
    expect(await text({ Bucket: 'by-host', Key: '/a//b' })).toBe('hosted');
    const listed = await hosted.send(new ListObjectsV2Command({ Bucket: 'by-host' }));
    expect(listed.Contents!.map(({ Key }) => Key)).toEqual(['/a//b']);
  } finally {
    hosted.destroy();
  }
});

it('the minio client works as it comes', async () => {
  const { accessKeyId, secretAccessKey } = bridge.owner.credentials;
  const minio = new MinioClient({
    endPoint: '127.0.0.1',
    port: bridge.port,
    useSSL: false,
    accessKey: accessKeyId,
    secretKey: secretAccessKey,
    partSize: 5 * 1024 * 1024,
  });
  await minio.makeBucket('minio', 'us-east-1');
  expect(await minio.bucketExists('minio')).toBe(true);
  const bytes = randomBytes(6 * 1024 * 1024);
  await minio.putObject('minio', 'small', 'small');
  await minio.putObject('minio', 'dir/large', bytes, bytes.length, {
    'Content-Type': 'a/b',
    X: 'y',
  });
  const stat = await minio.statObject('minio', 'dir/large');
  expect(stat).toMatchObject({ size: bytes.length, metaData: { 'content-type': 'a/b', x: 'y' } });
  const parts: Buffer[] = [];
  for await (const part of await minio.getObject('minio', 'dir/large')) parts.push(part as Buffer);
  expect(Buffer.concat(parts).equals(bytes)).toBe(true);
  const names: (string | undefined)[] = [];
  for await (const item of minio.listObjectsV2('minio', '', true))
    names.push((item as { name?: string }).name);
  expect(names).toEqual(['dir/large', 'small']);
  const policy = minio.newPostPolicy();
  policy.setBucket('minio');
  policy.setKey('posted');
  policy.setExpires(new Date(Date.now() + 60_000));
  const { postURL, formData } = await minio.presignedPostPolicy(policy);
  const form = new FormData();
  for (const [field, value] of Object.entries(formData)) form.append(field, String(value));
  form.append('file', new Blob(['posted']));
  expect((await fetch(postURL, { method: 'POST', body: form })).status).toBe(204);
  await minio.removeObjects('minio', ['small', 'dir/large', 'posted']);
  await minio.removeBucket('minio');
});
