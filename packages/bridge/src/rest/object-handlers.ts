import { handlerOf } from '../s3/operations/all-handlers.js';
import type { OperationName } from '../s3/operation.js';
import type { S3Deps } from '../s3/s3-deps.js';
import type { RestContext, RestHandlers } from './rest-context.js';
import { isoTime } from './rest-context.js';
import type { RawAnswer } from './route.js';
import { type S3Place, givenHeaders, s3Call } from './s3-call.js';

/** What an object is, whoever wrote it, is not to run as a page of the bridge. */
const HARMLESS = { 'x-content-type-options': 'nosniff', 'content-security-policy': 'sandbox' };
/** Where the object says nothing of it: kept by who may read it, and asked for again each time. */
const CACHED = { 'cache-control': 'private, no-cache' };

/** Objects: by the operations of S3, so that the same rules hold for both. */
export function objectHandlers(deps: S3Deps): RestHandlers {
  async function run(
    context: RestContext,
    operation: Exclude<OperationName, 'PostObject'>,
    place: S3Place,
  ): Promise<RawAnswer> {
    const call = s3Call(deps, context, operation, place);
    const { status, headers, body } = await handlerOf(operation)(call);
    return {
      status,
      headers: givenHeaders(headers),
      ...(typeof body === 'object' && { body }),
    };
  }

  return {
    async listObjects(context, { params, query }) {
      const { prefix, delimiter, after, limit } = query;
      const call = s3Call(deps, context, 'ListObjectsV2', {
        bucket: params.bucket,
        parameters: { prefix, delimiter, 'max-keys': String(limit) },
      });
      await call.authorize('s3:ListBucket');
      const page = await deps.metadata.listObjects({
        bucket: params.bucket,
        limit,
        ...(prefix !== undefined && { prefix }),
        ...(delimiter !== undefined && { delimiter }),
        ...(after !== undefined && { after }),
      });
      return {
        objects: page.objects.map(({ key, size, etag, modified, storageClass }) => ({
          key,
          size,
          etag,
          modified: isoTime(modified),
          storageClass,
        })),
        prefixes: [...page.commonPrefixes],
        next: page.next,
      };
    },

    async putObject(context, { params, query }) {
      const { bucket } = params;
      const { key } = query;
      const { headers } = await run(context, 'PutObject', { bucket, key });
      return {
        key,
        etag: headers['etag']!.replaceAll('"', ''),
        versionId: headers['x-granary-version-id'] ?? null,
      };
    },

    async getObject(context, { params, query }) {
      const { key, versionId } = query;
      const place = { bucket: params.bucket, key, parameters: { versionId } };
      const answer = await run(context, 'GetObject', place);
      return { ...answer, headers: { ...CACHED, ...answer.headers, ...HARMLESS } };
    },

    async headObject(context, { params, query }) {
      const { key, versionId } = query;
      const place = { bucket: params.bucket, key, parameters: { versionId } };
      const answer = await run(context, 'HeadObject', place);
      return { ...answer, headers: { ...CACHED, ...answer.headers, ...HARMLESS } };
    },

    async deleteObject(context, { params, query }) {
      const { key, versionId } = query;
      await run(context, 'DeleteObject', { bucket: params.bucket, key, parameters: { versionId } });
    },
  };
}
