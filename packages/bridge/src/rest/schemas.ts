import { z } from 'zod';
import { RIGHTS } from '../s3/access/key-scope.js';
import { PASSWORD_LENGTH } from '../users/passwords.js';

const next = z.string().nullable().meta({ description: 'For `after`; null: nothing follows' });
const time = (description: string) =>
  z.iso.datetime({ offset: true }).meta({ description, example: '2026-11-26T10:55:39.000Z' });
const count = () => z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

export const userIdSchema = z
  .string()
  .regex(/^(?:[0-9a-f]{32}|me)$/)
  .meta({ description: "A user's ID, or `me`: who asks", example: 'me' });

const idSchema = z.string().regex(/^[0-9a-f]{32}$/);

export const userNameSchema = z
  .string()
  .min(1)
  .max(128)
  .meta({ description: 'Unique among users', example: 'anna' });

export const bucketNameSchema = z
  .string()
  .min(1)
  .max(255)
  .meta({ description: "A bucket's name", example: 'photos' });

export const objectKeySchema = z.string().min(1).max(1024).meta({
  description:
    'The key: 1 to 1,024 bytes of UTF-8 without NUL. `..`, `.` and `//` mean nothing special',
  example: '2026/first photo.jpg',
});

export const quotaSchema = z
  .strictObject({
    bytes: count().nullable().meta({ description: 'Of all versions and unfinished uploads' }),
    objects: count().nullable().meta({ description: 'Versions' }),
    buckets: count().nullable(),
  })
  .meta({
    id: 'Quota',
    description: "The most that a user's buckets may hold together; null: as much as there is",
  });

const rate = (fewest: number) =>
  z.strictObject({
    perSecond: z.number().min(fewest).max(1e12).meta({ description: 'On average' }),
    burst: z.number().int().min(1).max(1e15).meta({ description: 'At once, after a pause' }),
  });

export const rateLimitsSchema = z
  .strictObject({
    requests: rate(0.001)
      .nullable()
      .meta({ description: "Requests, S3's and REST's together; null: no limit" }),
    bytes: rate(1024)
      .nullable()
      .meta({ description: 'Bytes of bodies, sent and received together; null: no limit' }),
  })
  .meta({
    id: 'RateLimits',
    description:
      'How fast a user may go, at each bridge process: several bridges do not add up what they see',
  });

export const userSchema = z
  .strictObject({
    id: idSchema,
    name: userNameSchema,
    created: time('When it was made'),
    disabled: z.boolean().meta({ description: 'Its keys and password are good for nothing' }),
    admin: z.boolean().meta({ description: 'May manage users' }),
    hasPassword: z.boolean(),
    quota: quotaSchema,
    rateLimits: rateLimitsSchema,
  })
  .meta({ id: 'User' });

export const userPageSchema = z
  .strictObject({ users: z.array(userSchema), next })
  .meta({ id: 'UserPage' });

export const passwordSchema = z
  .string()
  .min(PASSWORD_LENGTH.min)
  .max(PASSWORD_LENGTH.max)
  .meta({ format: 'password', description: 'A new password' });

export const newUserSchema = z
  .strictObject({
    name: userNameSchema,
    admin: z.boolean().optional().meta({ description: 'false when not given' }),
    password: passwordSchema.optional(),
    quota: quotaSchema.optional(),
    rateLimits: rateLimitsSchema.optional(),
  })
  .meta({ id: 'NewUser' });

export const userChangeSchema = z
  .strictObject({
    name: userNameSchema.optional(),
    disabled: z.boolean().optional().meta({ description: 'true ends its sessions, too' }),
    admin: z.boolean().optional(),
    quota: quotaSchema.partial().optional().meta({ description: 'What is left out stays' }),
    rateLimits: rateLimitsSchema
      .partial()
      .optional()
      .meta({ description: 'What is left out stays' }),
  })
  .meta({ id: 'UserChange', description: 'What is left out stays' });

export const passwordChangeSchema = z
  .strictObject({
    password: passwordSchema.nullable().meta({ description: 'null takes the password away' }),
    current: z.string().max(PASSWORD_LENGTH.max).optional().meta({
      format: 'password',
      description: 'The password until now; only admins can do without',
    }),
  })
  .meta({ id: 'PasswordChange' });

export const usageSchema = z
  .strictObject({ bytes: count(), objects: count(), buckets: count() })
  .meta({ id: 'Usage', description: "What a user's buckets hold" });

export const scopeSchema = z
  .strictObject({
    buckets: z
      .array(z.string().min(1).max(255))
      .max(100)
      .optional()
      .meta({ description: 'Names of buckets, with `*` and `?`' }),
    prefixes: z
      .array(z.string().max(1024))
      .max(100)
      .optional()
      .meta({ description: 'What keys must begin with; one of them' }),
    rights: z.array(z.enum(RIGHTS)).max(RIGHTS.length).optional(),
  })
  .meta({ id: 'Scope', description: 'What a key is limited to. What is left out is not limited' });

const accessKeyIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{3,128}$/)
  .meta({ example: 'GR7KQ2M4VZ9XA3BC5DEF' });

const accessKeyFields = {
  id: accessKeyIdSchema,
  userId: idSchema,
  created: time('When it was made'),
  expires: time('From when on it is good for nothing; null: never').nullable(),
  disabled: z.boolean(),
  description: z.string(),
  scope: scopeSchema.nullable().meta({ description: 'null: all that its user may do' }),
};

export const accessKeySchema = z.strictObject(accessKeyFields).meta({ id: 'AccessKey' });

export const accessKeyPageSchema = z
  .strictObject({ accessKeys: z.array(accessKeySchema), next })
  .meta({ id: 'AccessKeyPage' });

export const madeAccessKeySchema = z
  .strictObject({
    ...accessKeyFields,
    secret: z.string().meta({ description: 'Shown now and never again' }),
  })
  .meta({ id: 'MadeAccessKey' });

const descriptionSchema = z.string().max(1000);

export const newAccessKeySchema = z
  .strictObject({
    scope: scopeSchema.nullable().optional(),
    expires: time('null: never').nullable().optional(),
    description: descriptionSchema.optional(),
  })
  .meta({ id: 'NewAccessKey' });

export const accessKeyChangeSchema = z
  .strictObject({
    scope: scopeSchema.nullable().optional(),
    expires: time('null: never').nullable().optional(),
    disabled: z.boolean().optional(),
    description: descriptionSchema.optional(),
  })
  .meta({ id: 'AccessKeyChange', description: 'What is left out stays' });

export const accessKeyIdParam = accessKeyIdSchema.meta({ description: 'An access key ID' });

export const loginSchema = z
  .strictObject({
    name: userNameSchema,
    password: z.string().max(PASSWORD_LENGTH.max).meta({ format: 'password' }),
  })
  .meta({ id: 'Login' });

export const sessionSchema = z
  .strictObject({
    token: z.string().meta({ description: 'To be sent as `Authorization: Bearer TOKEN`' }),
    expires: time('Until when it is good'),
    user: userSchema,
  })
  .meta({ id: 'Session' });

export const whoSchema = z
  .strictObject({
    user: userSchema,
    by: z.enum(['session', 'access-key']),
    accessKeyId: z.string().nullable(),
    scope: scopeSchema.nullable(),
    admin: z.boolean().meta({ description: 'Whether these credentials may manage users' }),
  })
  .meta({ id: 'Who', description: 'Who asks, and by what right' });

const versioningSchema = z.enum(['off', 'enabled', 'suspended']);

const bucketFields = {
  name: bucketNameSchema,
  owner: idSchema.meta({ description: "The owner's user ID" }),
  created: time('When it was made'),
  versioning: versioningSchema,
  objectLock: z.boolean(),
};

export const bucketSchema = z.strictObject(bucketFields).meta({ id: 'Bucket' });

export const bucketPageSchema = z
  .strictObject({ buckets: z.array(bucketSchema), next })
  .meta({ id: 'BucketPage' });

export const bucketDetailsSchema = z
  .strictObject({ ...bucketFields, usage: z.strictObject({ bytes: count(), objects: count() }) })
  .meta({ id: 'BucketDetails' });

export const newBucketSchema = z
  .strictObject({
    name: bucketNameSchema.meta({ description: 'As in S3: 3 to 63 of a-z, 0-9, "." and "-"' }),
    objectLock: z.boolean().optional().meta({ description: 'Versions can be locked' }),
  })
  .meta({ id: 'NewBucket' });

export const bucketChangeSchema = z
  .strictObject({ versioning: z.enum(['enabled', 'suspended']) })
  .meta({ id: 'BucketChange' });

export const objectSchema = z
  .strictObject({
    key: z.string(),
    size: count().meta({ description: 'Bytes' }),
    etag: z.string().meta({ description: 'Without quotes' }),
    modified: time('When it was written'),
    storageClass: z.string(),
  })
  .meta({ id: 'Object' });

export const objectListSchema = z
  .strictObject({
    objects: z.array(objectSchema),
    prefixes: z
      .array(z.string())
      .meta({ description: 'What keys have in common up to the delimiter, once each' }),
    next,
  })
  .meta({ id: 'ObjectList' });

export const writtenSchema = z
  .strictObject({
    key: z.string(),
    etag: z.string().meta({ description: 'MD5 of the bytes in hex' }),
    versionId: z.string().nullable().meta({ description: 'Where the bucket keeps versions' }),
  })
  .meta({ id: 'WrittenObject' });

export const statusSchema = z
  .strictObject({
    version: z.string(),
    time: time('The time here'),
    uptimeSeconds: z.number().min(0),
    database: z.boolean().meta({ description: 'Whether the database answers' }),
    network: z.boolean().meta({ description: 'Whether objects can be read and stored' }),
    requests: z.strictObject({
      running: count(),
      most: count().meta({ description: 'More are told to come back' }),
    }),
    connections: count(),
    jobs: z
      .array(
        z.strictObject({
          queue: z.string(),
          waiting: count(),
          leased: count(),
          failing: count().meta({ description: 'Failed at least once' }),
        }),
      )
      .meta({ description: 'Of all bridges over this database' }),
  })
  .meta({ id: 'Status', description: 'How this bridge process does' });

export const problemSchema = z
  .strictObject({
    type: z.string().meta({
      description: 'Names the kind of problem: `urn:problem-type:granary:` and the code',
      example: 'urn:problem-type:granary:NoSuchBucket',
    }),
    title: z.string().meta({ description: 'The kind of problem, for people' }),
    status: z.number().int().min(400).max(599),
    detail: z.string().meta({ description: 'What was wrong here, and what to do' }),
    code: z.string().meta({
      description: 'Stable. Those of S3 where S3 has one, such as `NoSuchKey`',
      example: 'NoSuchBucket',
    }),
    requestId: z.string().meta({ description: "As in the bridge's log" }),
    errors: z
      .array(
        z.strictObject({
          in: z.enum(['path', 'query', 'body']),
          at: z.string().meta({ description: 'A JSON pointer', example: '/quota/bytes' }),
          detail: z.string(),
        }),
      )
      .optional()
      .meta({ description: 'Where a request does not fit this description' }),
  })
  .meta({ id: 'Problem', description: 'Problem details (RFC 9457)' });
