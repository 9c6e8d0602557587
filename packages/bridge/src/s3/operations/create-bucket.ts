import { MetadataError } from '../../metadata/metadata-error.js';
import type { BucketStore } from '../../metadata/metadata-store.js';
import type { Bucket } from '../../metadata/records.js';
import type { Caller } from '../access/decision.js';
import { scopeAllows } from '../access/key-scope.js';
import { checkBucketName } from '../bucket-name.js';
import { S3Error } from '../s3-error.js';

/** Names that the server itself answers at. */
const RESERVED = new Set(['health', 'ready', 'metrics']);

/** Whether somebody may make a bucket of this name. @throws S3Error AccessDenied, InvalidBucketName. */
export function checkNewBucket(caller: Caller, name: string): void {
  if (!scopeAllows(caller.scope, 's3:CreateBucket', { bucket: name })) {
    throw new S3Error('AccessDenied');
  }
  checkBucketName(name);
  if (RESERVED.has(name)) {
    throw new S3Error('InvalidBucketName', `"${name}" is reserved by this bridge.`, {
      fields: { BucketName: name },
    });
  }
}

/**
 * Make a bucket of somebody's.
 *
 * @throws S3Error AccessDenied, InvalidBucketName, BucketAlreadyExists, BucketAlreadyOwnedByYou;
 * MetadataError METADATA_QUOTA.
 */
export async function createBucket(
  metadata: BucketStore,
  caller: Caller,
  bucket: {
    readonly name: string;
    readonly objectLock: boolean;
    readonly documents?: Bucket['documents'];
  },
): Promise<Bucket> {
  checkNewBucket(caller, bucket.name);
  try {
    return await metadata.createBucket({ ...bucket, owner: caller.userId });
  } catch (error) {
    if (!(error instanceof MetadataError) || error.code !== 'METADATA_BUCKET_EXISTS') throw error;
    const there = await metadata.bucket(bucket.name);
    throw new S3Error(
      there?.owner === caller.userId ? 'BucketAlreadyOwnedByYou' : 'BucketAlreadyExists',
      undefined,
      { fields: { BucketName: bucket.name } },
    );
  }
}
