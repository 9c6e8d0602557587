import type { Bucket } from '../metadata/records.js';
import { scopeAllows } from '../s3/access/key-scope.js';
import { createBucket } from '../s3/operations/create-bucket.js';
import { visibleBuckets } from '../s3/operations/visible-buckets.js';
import type { S3Deps } from '../s3/s3-deps.js';
import { Problem } from './problem.js';
import { type RestContext, type RestHandlers, callerIn, isAdmin, isoTime } from './rest-context.js';
import { s3Call } from './s3-call.js';
import { findUser } from './user-handlers.js';

function showBucket({ name, owner, created, versioning, objectLock }: Bucket) {
  return { name, owner, created: isoTime(created), versioning, objectLock };
}

/** Buckets: the rules of S3 hold for them here, too. */
export function bucketHandlers(deps: S3Deps): RestHandlers {
  const { metadata } = deps;
  return {
    async listBuckets(context, { query }) {
      const { owner, scope } = await whose(context, query.owner);
      const buckets: Bucket[] = [];
      for await (const bucket of visibleBuckets(metadata, owner, scope, query.after)) {
        if (buckets.length === query.limit) {
          return { buckets: buckets.map(showBucket), next: buckets.at(-1)!.name };
        }
        buckets.push(bucket);
      }
      return { buckets: buckets.map(showBucket), next: null };
    },

    async createBucket(context, { body }) {
      const { caller } = callerIn(context);
      const { name, objectLock = false } = body;
      return showBucket(await createBucket(metadata, caller, { name, objectLock }));
    },

    async getBucket(context, { params }) {
      const call = s3Call(deps, context, 'HeadBucket', params);
      await call.authorize('s3:ListBucket');
      const usage = await metadata.bucketUsage(params.bucket);
      return { ...showBucket(await call.bucket()), usage };
    },

    async changeBucket(context, { params, body }) {
      const call = s3Call(deps, context, 'PutBucketVersioning', params);
      await call.authorize('s3:PutBucketVersioning');
      return showBucket(await metadata.changeBucket(params.bucket, body));
    },

    async deleteBucket(context, { params }) {
      const call = s3Call(deps, context, 'DeleteBucket', params);
      await call.authorize('s3:DeleteBucket');
      await metadata.deleteBucket(params.bucket);
    },
  };

  async function whose(context: RestContext, asked: string | undefined) {
    const { caller } = callerIn(context);
    if (!scopeAllows(caller.scope, 's3:ListAllMyBuckets', {})) throw Problem.of('Forbidden');
    if (asked === undefined || asked === 'me' || asked === caller.userId) {
      return { owner: caller.userId, scope: caller.scope };
    }
    if (!isAdmin(context)) throw Problem.of('Forbidden', 'Only admins may ask about others.');
    return { owner: (await findUser(metadata, context, asked)).id, scope: null };
  }
}
