import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { onTestFinished } from 'vitest';
import type { Credentials, TestBridge } from './bridge.test-support.js';

/** A client of the AWS SDK; tries once. */
export function sdkClient(
  bridge: TestBridge,
  credentials: Credentials = bridge.owner.credentials,
  config: Partial<S3ClientConfig> = {},
): S3Client {
  return new S3Client({
    endpoint: bridge.bridge.url,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials,
    maxAttempts: 1,
    ...config,
  });
}

/** As {@link sdkClient}, for one test. */
export function clientOf(bridge: TestBridge, credentials: Credentials): S3Client {
  const client = sdkClient(bridge, credentials);
  onTestFinished(() => client.destroy());
  return client;
}

/** The code and status that something failed with; `ok` when it did not. */
export function failure(promise: Promise<unknown>): Promise<{ name: string; status?: number }> {
  return promise.then(
    () => ({ name: 'ok', status: 200 }),
    (error: { name: string; $metadata?: { httpStatusCode?: number } }) => ({
      name: error.name,
      ...(error.$metadata?.httpStatusCode !== undefined && {
        status: error.$metadata.httpStatusCode,
      }),
    }),
  );
}
