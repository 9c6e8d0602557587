import { z } from 'zod';
import type { RouteSpec } from './route.js';
import {
  accessKeyChangeSchema,
  accessKeyIdParam,
  accessKeyPageSchema,
  accessKeySchema,
  bucketChangeSchema,
  bucketDetailsSchema,
  bucketNameSchema,
  bucketPageSchema,
  bucketSchema,
  loginSchema,
  madeAccessKeySchema,
  newAccessKeySchema,
  newBucketSchema,
  newUserSchema,
  objectKeySchema,
  objectListSchema,
  passwordChangeSchema,
  sessionSchema,
  statusSchema,
  usageSchema,
  userChangeSchema,
  userIdSchema,
  userNameSchema,
  userPageSchema,
  userSchema,
  whoSchema,
  writtenSchema,
} from './schemas.js';

const MAX_PAGE = 1000;

const limit = z
  .preprocess(
    (text) => (typeof text === 'string' && /^\d{1,4}$/.test(text) ? Number(text) : text),
    z.number().int().min(1).max(MAX_PAGE),
  )
  .default(MAX_PAGE)
  .meta({ description: 'The most of a page' });
const after = (what: string) =>
  z
    .string()
    .min(1)
    .max(1024)
    .optional()
    .meta({ description: `Begin behind this ${what}` });
const page = (what: string) => ({ after: after(what), limit });

const inBucket = z.strictObject({ bucket: bucketNameSchema });
const ofUser = z.strictObject({ user: userIdSchema });
const ofKey = z.strictObject({ id: accessKeyIdParam });
const versionId = z
  .string()
  .min(1)
  .max(64)
  .optional()
  .meta({ description: 'One version of the object; the newest when not given' });
const ofObject = z.strictObject({ key: objectKeySchema, versionId });

const header = (description: string) => z.string().optional().meta({ description });
const CONTENT_HEADERS = {
  'cache-control': header('Comes back with the object'),
  'content-disposition': header('Comes back with the object'),
  'content-encoding': header('Comes back with the object'),
  'content-language': header('Comes back with the object'),
};
const ANSWERED_HEADERS = z.object({
  etag: z.string().meta({ description: 'MD5 of the bytes in hex, or of MD5s of parts; in quotes' }),
  'last-modified': z.string(),
  'content-length': z.string(),
  'content-type': z.string(),
  'content-range': header('Of a 206'),
  'accept-ranges': z.string(),
  'x-granary-version-id': header('Where the bucket keeps versions'),
  ...CONTENT_HEADERS,
});
const CONDITIONS = {
  'if-match': header('Only if the object has this ETag'),
  'if-none-match': header('Only if it has not'),
  'if-modified-since': header('Only if it was written later'),
  'if-unmodified-since': header('Only if it was not'),
};
const METADATA = 'Metadata are header fields that begin with `x-granary-meta-`.';

/** Every operation of the REST API by its ID. */
export const api = {
  login: {
    method: 'POST',
    path: '/session',
    tag: 'session',
    summary: 'Log in with a password',
    description:
      'Good for 12 hours. Tries are limited for each name and each address. Access keys need no session.',
    for: 'anybody',
    body: loginSchema,
    status: 201,
    answer: sessionSchema,
    errors: [401, 429],
  },
  getSession: {
    method: 'GET',
    path: '/session',
    tag: 'session',
    summary: 'Who asks, and by what right',
    for: 'user',
    status: 200,
    answer: whoSchema,
    errors: [],
  },
  logout: {
    method: 'DELETE',
    path: '/session',
    tag: 'session',
    summary: 'End the session that asks',
    for: 'user',
    status: 204,
    errors: [],
  },

  listBuckets: {
    method: 'GET',
    path: '/buckets',
    tag: 'buckets',
    summary: 'List buckets in order of name',
    description: "Those of who asks that the key is good for; admins may ask for another user's.",
    for: 'user',
    query: z.strictObject({
      ...page('name'),
      owner: userIdSchema.optional().meta({ description: 'Whose; for admins only' }),
    }),
    status: 200,
    answer: bucketPageSchema,
    errors: [404],
  },
  createBucket: {
    method: 'POST',
    path: '/buckets',
    tag: 'buckets',
    summary: 'Make a bucket',
    for: 'user',
    body: newBucketSchema,
    status: 201,
    answer: bucketSchema,
    errors: [409],
  },
  getBucket: {
    method: 'GET',
    path: '/buckets/{bucket}',
    tag: 'buckets',
    summary: 'A bucket, and what it holds',
    for: 'user',
    params: inBucket,
    status: 200,
    answer: bucketDetailsSchema,
    errors: [404],
  },
  changeBucket: {
    method: 'PATCH',
    path: '/buckets/{bucket}',
    tag: 'buckets',
    summary: 'Have a bucket keep old versions, or stop it',
    for: 'user',
    params: inBucket,
    body: bucketChangeSchema,
    status: 200,
    answer: bucketSchema,
    errors: [404, 409],
  },
  deleteBucket: {
    method: 'DELETE',
    path: '/buckets/{bucket}',
    tag: 'buckets',
    summary: 'Delete an empty bucket',
    for: 'user',
    params: inBucket,
    status: 204,
    errors: [404, 409],
  },

  listObjects: {
    method: 'GET',
    path: '/buckets/{bucket}/objects',
    tag: 'objects',
    summary: 'List objects in order of key (UTF-8 binary)',
    for: 'user',
    params: inBucket,
    query: z.strictObject({
      prefix: z.string().max(1024).optional().meta({ description: 'Keys that begin so' }),
      delimiter: z
        .string()
        .min(1)
        .max(1024)
        .optional()
        .meta({ description: 'Keys with it behind the prefix are rolled up', example: '/' }),
      ...page('key or prefix'),
    }),
    status: 200,
    answer: objectListSchema,
    errors: [404],
  },
  putObject: {
    method: 'PUT',
    path: '/buckets/{bucket}/object',
    tag: 'objects',
    summary: 'Store an object',
    description: `Of up to 5 GiB, as a stream of any length; for more, use S3's multipart uploads. When it is answered, the object survives. ${METADATA}`,
    for: 'user',
    params: inBucket,
    query: z.strictObject({ key: objectKeySchema }),
    headers: z.object({
      'content-type': header('Comes back with the object'),
      ...CONTENT_HEADERS,
      'content-md5': header('The MD5 of the bytes in base64; others are refused'),
      'content-digest': header('RFC 9530, `sha-256=:BASE64:`; other bytes are refused'),
      'if-match': header('Only if the object has this ETag'),
      'if-none-match': header('`*`: only if there is none'),
    }),
    body: 'bytes',
    status: 201,
    answer: writtenSchema,
    errors: [404, 409, 411, 412],
  },
  getObject: {
    method: 'GET',
    path: '/buckets/{bucket}/object',
    tag: 'objects',
    summary: 'Read an object, or a run of its bytes',
    description: METADATA,
    for: 'user',
    params: inBucket,
    query: ofObject,
    headers: z.object({
      range: header('One range of bytes, such as `bytes=0-99`'),
      'if-range': header('The range only if the object is still this'),
      ...CONDITIONS,
    }),
    status: 200,
    answer: 'bytes',
    answerHeaders: ANSWERED_HEADERS,
    also: { 206: 'The run that was asked for', 304: 'Not modified' },
    errors: [404, 405, 412, 416],
  },
  headObject: {
    method: 'HEAD',
    path: '/buckets/{bucket}/object',
    tag: 'objects',
    summary: 'What getObject would answer with, without the bytes',
    for: 'user',
    params: inBucket,
    query: ofObject,
    headers: z.object(CONDITIONS),
    status: 200,
    answerHeaders: ANSWERED_HEADERS,
    also: { 206: 'The run that was asked for', 304: 'Not modified' },
    errors: [404, 405, 412, 416],
  },
  deleteObject: {
    method: 'DELETE',
    path: '/buckets/{bucket}/object',
    tag: 'objects',
    summary: 'Delete an object, or one version of it',
    description: 'That there is none is no error. In a bucket with versions, the old ones stay.',
    for: 'user',
    params: inBucket,
    query: ofObject,
    headers: z.object({ 'if-match': header('Only if the object has this ETag') }),
    status: 204,
    errors: [404, 412],
  },

  listUsers: {
    method: 'GET',
    path: '/users',
    tag: 'users',
    summary: 'List users in order of name',
    for: 'admin',
    query: z.strictObject({
      ...page('name'),
      name: userNameSchema.optional().meta({ description: 'Only the user of this name' }),
    }),
    status: 200,
    answer: userPageSchema,
    errors: [],
  },
  createUser: {
    method: 'POST',
    path: '/users',
    tag: 'users',
    summary: 'Make a user',
    for: 'admin',
    body: newUserSchema,
    status: 201,
    answer: userSchema,
    errors: [409],
  },
  getUser: {
    method: 'GET',
    path: '/users/{user}',
    tag: 'users',
    summary: 'A user: oneself, or any for admins',
    for: 'user',
    params: ofUser,
    status: 200,
    answer: userSchema,
    errors: [404],
  },
  changeUser: {
    method: 'PATCH',
    path: '/users/{user}',
    tag: 'users',
    summary: 'Rename, disable, limit a user, make it an admin',
    for: 'admin',
    params: ofUser,
    body: userChangeSchema,
    status: 200,
    answer: userSchema,
    errors: [404, 409],
  },
  deleteUser: {
    method: 'DELETE',
    path: '/users/{user}',
    tag: 'users',
    summary: 'Delete a user who owns no buckets, with its keys',
    for: 'admin',
    params: ofUser,
    status: 204,
    errors: [404, 409],
  },
  setPassword: {
    method: 'PUT',
    path: '/users/{user}/password',
    tag: 'users',
    summary: "Set or take away a password: one's own, or anybody's for admins",
    description: "Ends the user's sessions.",
    for: 'user',
    params: ofUser,
    body: passwordChangeSchema,
    status: 204,
    errors: [404, 429],
  },
  getUsage: {
    method: 'GET',
    path: '/users/{user}/usage',
    tag: 'users',
    summary: "What a user's buckets hold",
    for: 'user',
    params: ofUser,
    status: 200,
    answer: usageSchema,
    errors: [404],
  },

  listAccessKeys: {
    method: 'GET',
    path: '/users/{user}/access-keys',
    tag: 'access keys',
    summary: 'List the access keys of a user in order of ID',
    for: 'user',
    params: ofUser,
    query: z.strictObject(page('ID')),
    status: 200,
    answer: accessKeyPageSchema,
    errors: [404],
  },
  createAccessKey: {
    method: 'POST',
    path: '/users/{user}/access-keys',
    tag: 'access keys',
    summary: 'Make an access key',
    description:
      'For oneself, with a session or with a key that is not limited; the new one ends no later than that. Admins may for anybody. The secret is shown once.',
    for: 'user',
    params: ofUser,
    body: newAccessKeySchema,
    status: 201,
    answer: madeAccessKeySchema,
    errors: [404, 409],
  },
  getAccessKey: {
    method: 'GET',
    path: '/access-keys/{id}',
    tag: 'access keys',
    summary: 'An access key, without its secret',
    for: 'user',
    params: ofKey,
    status: 200,
    answer: accessKeySchema,
    errors: [404],
  },
  changeAccessKey: {
    method: 'PATCH',
    path: '/access-keys/{id}',
    tag: 'access keys',
    summary: 'Limit, disable or describe an access key',
    for: 'user',
    params: ofKey,
    body: accessKeyChangeSchema,
    status: 200,
    answer: accessKeySchema,
    errors: [404],
  },
  deleteAccessKey: {
    method: 'DELETE',
    path: '/access-keys/{id}',
    tag: 'access keys',
    summary: 'Delete an access key: it is good for nothing from then on',
    for: 'user',
    params: ofKey,
    status: 204,
    errors: [404],
  },

  getStatus: {
    method: 'GET',
    path: '/status',
    tag: 'status',
    summary: 'How this bridge process does, and the jobs of all',
    for: 'admin',
    status: 200,
    answer: statusSchema,
    errors: [],
  },
} as const satisfies Record<string, RouteSpec>;

/** The REST API. */
export type Api = typeof api;
/** The ID of one of its operations. */
export type OperationId = keyof Api;

/** The most bytes of a JSON document that is sent. */
export const MAX_DOCUMENT_BYTES = 64 * 1024;
