import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { createPresignedPost } from '@aws-sdk/s3-presigned-post';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RateLimits } from '../users/rate-limits.js';
import { TestBridge } from './bridge.test-support.js';
import { sdkClient } from './sdk.test-support.js';

let bridge: TestBridge;
beforeEach(async () => {
  bridge = await TestBridge.start();
  await bridge.raw({ method: 'PUT', target: '/box' });
});
afterEach(() => bridge.stop());

async function limit(rateLimits: RateLimits): Promise<void> {
  await bridge.metadata.changeUser(bridge.owner.id, { attributes: { rateLimits } });
}
/** So slow that nothing flows in while a test runs. */
const threeRequests = { requests: { perSecond: 0.001, burst: 3 }, bytes: null };

it('who asks too often is told to slow down, and for how long; others are not', async () => {
  await limit(threeRequests);
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++) statuses.push((await bridge.raw({ target: '/box' })).status);
  expect(statuses).toEqual([200, 200, 200, 503]);
  const refused = await bridge.raw({ target: '/box' });
  expect(refused.code).toBe('SlowDown');
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(900);
  const other = await bridge.user('other');
  expect((await bridge.raw({ target: '/', as: other.credentials })).status).toBe(200);
  // A wrong signature is not the owner's doing.
  const forged = { ...bridge.owner.credentials, secretAccessKey: 'wrong' };
  expect((await bridge.raw({ target: '/box', as: forged })).code).toBe('SignatureDoesNotMatch');
  // What is set anew counts from the next request on.
  await limit({ requests: null, bytes: null });
  expect((await bridge.raw({ target: '/box' })).status).toBe(200);
});

it('strangers at a bucket that is open spend what its owner may, and at one that is closed nothing', async () => {
  await limit(threeRequests);
  for (let i = 0; i < 5; i++) {
    expect((await bridge.raw({ target: '/box/none', as: null })).code).toBe('AccessDenied');
  }
  const headers = { 'x-amz-acl': 'public-read' };
  expect((await bridge.raw({ method: 'PUT', target: '/box?acl', headers })).status).toBe(200);
  expect((await bridge.raw({ target: '/box', as: null })).status).toBe(200);
  expect((await bridge.raw({ target: '/box', as: null })).status).toBe(200);
  expect((await bridge.raw({ target: '/box', as: null })).code).toBe('SlowDown');
});

it('bytes sent and received are paced, and new requests refused while too many wait', async () => {
  const body = Buffer.alloc(100_000, 7);
  await bridge.raw({ method: 'PUT', target: '/box/key', body });
  await limit({ requests: null, bytes: { perSecond: 1024, burst: 200_000 } });
  const [put, got] = [
    await bridge.raw({ method: 'PUT', target: '/box/key', body }),
    await bridge.raw({ target: '/box/key' }),
  ];
  expect([put.status, got.status]).toEqual([200, 200]);
  expect(got.body.equals(body)).toBe(true);
  // The burst is spent; the next may begin, and leaves a debt of many seconds.
  await bridge.raw({ target: '/box/key', headers: { range: 'bytes=0-9999' } });
  const refused = await bridge.raw({ target: '/box/key' });
  expect(refused.code).toBe('SlowDown');
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(1);
});

it('a form counts, too', async () => {
  const s3 = sdkClient(bridge);
  const { url, fields } = await createPresignedPost(s3, { Bucket: 'box', Key: 'form' });
  const post = async () => {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) form.append(name, value);
    form.append('file', new Blob(['bytes']));
    return (await fetch(url, { method: 'POST', body: form })).status;
  };
  await limit({ ...threeRequests, requests: { perSecond: 0.001, burst: 2 } });
  expect([await post(), await post(), await post()]).toEqual([204, 204, 503]);
  s3.destroy();
});

it('the SDK tries again when it was told to slow down', async () => {
  const s3 = sdkClient(bridge, bridge.owner.credentials, { maxAttempts: 5 });
  await limit({ requests: { perSecond: 20, burst: 2 }, bytes: null });
  for (let i = 0; i < 2; i++) {
    await s3.send(new PutObjectCommand({ Bucket: 'box', Key: `${i}`, Body: 'x' }));
  }
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'box', Key: '1' }));
  expect(await Body!.transformToString()).toBe('x');
  s3.destroy();
});
