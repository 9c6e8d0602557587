import { S3Error, notImplemented } from './s3-error.js';
import type { S3Request } from './s3-request.js';

type Level = 'service' | 'bucket' | 'object';

interface Route {
  readonly level: Level;
  readonly method: string;
  /** Parameters that make it this operation, all of them. */
  readonly by: readonly string[];
  /** A header that makes it this operation. */
  readonly header?: string;
}

const at = (level: Level, method: string, ...by: string[]): Route => ({ level, method, by });

/**
 * Every operation of this bridge and what tells it from others. An operation that names more
 * parameters goes before one that names fewer.
 */
const ROUTES = {
  ListBuckets: at('service', 'GET'),

  GetBucketAcl: at('bucket', 'GET', 'acl'),
  PutBucketAcl: at('bucket', 'PUT', 'acl'),
  GetBucketCors: at('bucket', 'GET', 'cors'),
  PutBucketCors: at('bucket', 'PUT', 'cors'),
  DeleteBucketCors: at('bucket', 'DELETE', 'cors'),
  GetBucketEncryption: at('bucket', 'GET', 'encryption'),
  PutBucketEncryption: at('bucket', 'PUT', 'encryption'),
  DeleteBucketEncryption: at('bucket', 'DELETE', 'encryption'),
  GetBucketLifecycleConfiguration: at('bucket', 'GET', 'lifecycle'),
  PutBucketLifecycleConfiguration: at('bucket', 'PUT', 'lifecycle'),
  DeleteBucketLifecycle: at('bucket', 'DELETE', 'lifecycle'),
  GetBucketLocation: at('bucket', 'GET', 'location'),
  GetObjectLockConfiguration: at('bucket', 'GET', 'object-lock'),
  PutObjectLockConfiguration: at('bucket', 'PUT', 'object-lock'),
  GetBucketPolicy: at('bucket', 'GET', 'policy'),
  PutBucketPolicy: at('bucket', 'PUT', 'policy'),
  DeleteBucketPolicy: at('bucket', 'DELETE', 'policy'),
  GetBucketPolicyStatus: at('bucket', 'GET', 'policyStatus'),
  GetBucketTagging: at('bucket', 'GET', 'tagging'),
  PutBucketTagging: at('bucket', 'PUT', 'tagging'),
  DeleteBucketTagging: at('bucket', 'DELETE', 'tagging'),
  ListMultipartUploads: at('bucket', 'GET', 'uploads'),
  GetBucketVersioning: at('bucket', 'GET', 'versioning'),
  PutBucketVersioning: at('bucket', 'PUT', 'versioning'),
  ListObjectVersions: at('bucket', 'GET', 'versions'),
  DeleteObjects: at('bucket', 'POST', 'delete'),
  ListObjectsV2: at('bucket', 'GET', 'list-type'),
  ListObjects: at('bucket', 'GET'),
  CreateBucket: at('bucket', 'PUT'),
  HeadBucket: at('bucket', 'HEAD'),
  DeleteBucket: at('bucket', 'DELETE'),
  PostObject: at('bucket', 'POST'),

  GetObjectAcl: at('object', 'GET', 'acl'),
  PutObjectAcl: at('object', 'PUT', 'acl'),
  GetObjectAttributes: at('object', 'GET', 'attributes'),
  GetObjectLegalHold: at('object', 'GET', 'legal-hold'),
  PutObjectLegalHold: at('object', 'PUT', 'legal-hold'),
  GetObjectRetention: at('object', 'GET', 'retention'),
  PutObjectRetention: at('object', 'PUT', 'retention'),
  GetObjectTagging: at('object', 'GET', 'tagging'),
  PutObjectTagging: at('object', 'PUT', 'tagging'),
  DeleteObjectTagging: at('object', 'DELETE', 'tagging'),
  CreateMultipartUpload: at('object', 'POST', 'uploads'),
  UploadPartCopy: {
    ...at('object', 'PUT', 'partNumber', 'uploadId'),
    header: 'x-amz-copy-source',
  },
  UploadPart: at('object', 'PUT', 'partNumber', 'uploadId'),
  ListParts: at('object', 'GET', 'uploadId'),
  CompleteMultipartUpload: at('object', 'POST', 'uploadId'),
  AbortMultipartUpload: at('object', 'DELETE', 'uploadId'),
  GetObject: at('object', 'GET'),
  HeadObject: at('object', 'HEAD'),
  CopyObject: { ...at('object', 'PUT'), header: 'x-amz-copy-source' },
  PutObject: at('object', 'PUT'),
  DeleteObject: at('object', 'DELETE'),
} as const satisfies Record<string, Route>;

/** An operation, by its name in the API reference. */
export type OperationName = keyof typeof ROUTES;

/** All operations. */
export const OPERATIONS = Object.keys(ROUTES) as readonly OperationName[];

const TABLE = Object.entries(ROUTES) as readonly (readonly [OperationName, Route])[];

/**
 * Parameters that would make a request another operation, one that this bridge does not have. To
 * overlook one would do something else than was asked for.
 */
const FOREIGN: Readonly<Record<Level, readonly string[]>> = {
  service: [],
  bucket: [
    'abac',
    'accelerate',
    'analytics',
    'intelligent-tiering',
    'inventory',
    'logging',
    'metadataConfiguration',
    'metadataInventoryTable',
    'metadataJournalTable',
    'metadataTable',
    'metrics',
    'notification',
    'ownershipControls',
    'publicAccessBlock',
    'replication',
    'requestPayment',
    'session',
    'website',
  ],
  object: ['append', 'encryption', 'renameObject', 'restore', 'select', 'torrent'],
};

/**
 * Find the operation that a request asks for.
 *
 * @throws S3Error NotImplemented, MethodNotAllowed.
 */
export function operationOf({
  method,
  bucket,
  key,
  parameters,
  headers,
}: S3Request): OperationName {
  const level: Level = key !== undefined ? 'object' : bucket !== undefined ? 'bucket' : 'service';
  for (const name of FOREIGN[level]) {
    if (parameters.has(name))
      throw notImplemented(`The operation ${method} ?${name} on a ${level}`);
  }
  const named = new Set(
    TABLE.filter(([, route]) => route.level === level).flatMap(([, route]) => route.by),
  );
  for (const [operation, route] of TABLE) {
    if (route.level !== level || route.method !== method) continue;
    if (!route.by.every((parameter) => parameters.has(parameter))) continue;
    if (route.header !== undefined && !headers.has(route.header)) continue;
    if (
      route.by.length === 0 &&
      [...named].some((name) => isSubresource(name, parameters.has(name)))
    ) {
      break;
    }
    return operation;
  }
  throw new S3Error('MethodNotAllowed', undefined, {
    fields: { Method: method.slice(0, 20), ResourceType: level.toUpperCase() },
  });
}

/** A parameter that names a part of a resource: without its operation a request is not to be guessed at. */
function isSubresource(name: string, there: boolean): boolean {
  // GET and HEAD of an object take `partNumber` by itself.
  return there && name !== 'partNumber' && name !== 'list-type';
}
