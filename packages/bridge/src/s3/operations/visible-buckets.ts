import type { BucketStore } from '../../metadata/metadata-store.js';
import type { Bucket } from '../../metadata/records.js';
import { type KeyScope, scopeAllows } from '../access/key-scope.js';

/**
 * Buckets of an owner that a key is good for, in order of name. A bucket is shown to a key that is good
 * for a part of it.
 *
 * @param after - begin behind this name
 */
export async function* visibleBuckets(
  metadata: Pick<BucketStore, 'listBuckets'>,
  owner: string,
  scope: KeyScope | null,
  after = '',
): AsyncGenerator<Bucket> {
  const whole = scope === null ? null : { ...scope, prefixes: undefined };
  for (let last = after; ;) {
    const page = await metadata.listBuckets({
      owner,
      limit: 1000,
      ...(last !== '' && { after: last }),
    });
    for (const bucket of page) {
      if (scopeAllows(whole, 's3:ListBucket', { bucket: bucket.name })) yield bucket;
    }
    if (page.length < 1000) return;
    last = page.at(-1)!.name;
  }
}
