// Made of openapi.json by "npm run build:openapi -w @granary/bridge". Not to be edited.

import type { Bytes } from '../bytes.js';

export interface paths {
  '/access-keys/{id}': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** An access key, without its secret */
    get: operations['getAccessKey'];
    put?: never;
    post?: never;
    /** Delete an access key: it is good for nothing from then on */
    delete: operations['deleteAccessKey'];
    options?: never;
    head?: never;
    /** Limit, disable or describe an access key */
    patch: operations['changeAccessKey'];
    trace?: never;
  };
  '/buckets': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * List buckets in order of name
     * @description Those of who asks that the key is good for; admins may ask for another user's.
     */
    get: operations['listBuckets'];
    put?: never;
    /** Make a bucket */
    post: operations['createBucket'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/buckets/{bucket}': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** A bucket, and what it holds */
    get: operations['getBucket'];
    put?: never;
    post?: never;
    /** Delete an empty bucket */
    delete: operations['deleteBucket'];
    options?: never;
    head?: never;
    /** Have a bucket keep old versions, or stop it */
    patch: operations['changeBucket'];
    trace?: never;
  };
  '/buckets/{bucket}/object': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /**
     * Read an object, or a run of its bytes
     * @description Metadata are header fields that begin with `x-granary-meta-`.
     */
    get: operations['getObject'];
    /**
     * Store an object
     * @description Of up to 5 GiB, as a stream of any length; for more, use S3's multipart uploads. When it is answered, the object survives. Metadata are header fields that begin with `x-granary-meta-`.
     */
    put: operations['putObject'];
    post?: never;
    /**
     * Delete an object, or one version of it
     * @description That there is none is no error. In a bucket with versions, the old ones stay.
     */
    delete: operations['deleteObject'];
    options?: never;
    /** What getObject would answer with, without the bytes */
    head: operations['headObject'];
    patch?: never;
    trace?: never;
  };
  '/buckets/{bucket}/objects': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** List objects in order of key (UTF-8 binary) */
    get: operations['listObjects'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/session': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** Who asks, and by what right */
    get: operations['getSession'];
    put?: never;
    /**
     * Log in with a password
     * @description Good for 12 hours. Tries are limited for each name and each address. Access keys need no session.
     */
    post: operations['login'];
    /** End the session that asks */
    delete: operations['logout'];
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/status': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** How this bridge process does, and the jobs of all */
    get: operations['getStatus'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/users': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** List users in order of name */
    get: operations['listUsers'];
    put?: never;
    /** Make a user */
    post: operations['createUser'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/users/{user}': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** A user: oneself, or any for admins */
    get: operations['getUser'];
    put?: never;
    post?: never;
    /** Delete a user who owns no buckets, with its keys */
    delete: operations['deleteUser'];
    options?: never;
    head?: never;
    /** Rename, disable, limit a user, make it an admin */
    patch: operations['changeUser'];
    trace?: never;
  };
  '/users/{user}/access-keys': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** List the access keys of a user in order of ID */
    get: operations['listAccessKeys'];
    put?: never;
    /**
     * Make an access key
     * @description For oneself, with a session or with a key that is not limited; the new one ends no later than that. Admins may for anybody. The secret is shown once.
     */
    post: operations['createAccessKey'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/users/{user}/password': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    /**
     * Set or take away a password: one's own, or anybody's for admins
     * @description Ends the user's sessions.
     */
    put: operations['setPassword'];
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/users/{user}/usage': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** What a user's buckets hold */
    get: operations['getUsage'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
}
export type webhooks = Record<string, never>;
export interface components {
  schemas: {
    AccessKey: {
      /**
       * Format: date-time
       * @description When it was made
       * @example 2026-11-26T10:55:39.000Z
       */
      created: string;
      description: string;
      disabled: boolean;
      expires: string | null;
      /** @example GR7KQ2M4VZ9XA3BC5DEF */
      id: string;
      /** @description null: all that its user may do */
      scope: components['schemas']['Scope'] | null;
      userId: string;
    };
    /** @description What is left out stays */
    AccessKeyChange: {
      description?: string;
      disabled?: boolean;
      expires?: string | null;
      scope?: components['schemas']['Scope'] | null;
    };
    AccessKeyPage: {
      accessKeys: components['schemas']['AccessKey'][];
      /** @description For `after`; null: nothing follows */
      next: string | null;
    };
    Bucket: {
      /**
       * Format: date-time
       * @description When it was made
       * @example 2026-11-26T10:55:39.000Z
       */
      created: string;
      /**
       * @description A bucket's name
       * @example photos
       */
      name: string;
      objectLock: boolean;
      /** @description The owner's user ID */
      owner: string;
      /** @enum {string} */
      versioning: 'off' | 'enabled' | 'suspended';
    };
    BucketChange: {
      /** @enum {string} */
      versioning: 'enabled' | 'suspended';
    };
    BucketDetails: {
      /**
       * Format: date-time
       * @description When it was made
       * @example 2026-11-26T10:55:39.000Z
       */
      created: string;
      /**
       * @description A bucket's name
       * @example photos
       */
      name: string;
      objectLock: boolean;
      /** @description The owner's user ID */
      owner: string;
      usage: {
        bytes: number;
        objects: number;
      };
      /** @enum {string} */
      versioning: 'off' | 'enabled' | 'suspended';
    };
    BucketPage: {
      buckets: components['schemas']['Bucket'][];
      /** @description For `after`; null: nothing follows */
      next: string | null;
    };
    Login: {
      /**
       * @description Unique among users
       * @example anna
       */
      name: string;
      /** Format: password */
      password: string;
    };
    MadeAccessKey: {
      /**
       * Format: date-time
       * @description When it was made
       * @example 2026-11-26T10:55:39.000Z
       */
      created: string;
      description: string;
      disabled: boolean;
      expires: string | null;
      /** @example GR7KQ2M4VZ9XA3BC5DEF */
      id: string;
      /** @description null: all that its user may do */
      scope: components['schemas']['Scope'] | null;
      /** @description Shown now and never again */
      secret: string;
      userId: string;
    };
    NewAccessKey: {
      description?: string;
      expires?: string | null;
      scope?: components['schemas']['Scope'] | null;
    };
    NewBucket: {
      /**
       * @description As in S3: 3 to 63 of a-z, 0-9, "." and "-"
       * @example photos
       */
      name: string;
      /** @description Versions can be locked */
      objectLock?: boolean;
    };
    NewUser: {
      /** @description false when not given */
      admin?: boolean;
      /**
       * @description Unique among users
       * @example anna
       */
      name: string;
      /**
       * Format: password
       * @description A new password
       */
      password?: string;
      quota?: components['schemas']['Quota'];
      rateLimits?: components['schemas']['RateLimits'];
    };
    Object: {
      /** @description Without quotes */
      etag: string;
      key: string;
      /**
       * Format: date-time
       * @description When it was written
       * @example 2026-11-26T10:55:39.000Z
       */
      modified: string;
      /** @description Bytes */
      size: number;
      storageClass: string;
    };
    ObjectList: {
      /** @description For `after`; null: nothing follows */
      next: string | null;
      objects: components['schemas']['Object'][];
      /** @description What keys have in common up to the delimiter, once each */
      prefixes: string[];
    };
    PasswordChange: {
      /**
       * Format: password
       * @description The password until now; only admins can do without
       */
      current?: string;
      /** @description null takes the password away */
      password: string | null;
    };
    /** @description Problem details (RFC 9457) */
    Problem: {
      /**
       * @description Stable. Those of S3 where S3 has one, such as `NoSuchKey`
       * @example NoSuchBucket
       */
      code: string;
      /** @description What was wrong here, and what to do */
      detail: string;
      /** @description Where a request does not fit this description */
      errors?: {
        /**
         * @description A JSON pointer
         * @example /quota/bytes
         */
        at: string;
        detail: string;
        /** @enum {string} */
        in: 'path' | 'query' | 'body';
      }[];
      /** @description As in the bridge's log */
      requestId: string;
      status: number;
      /** @description The kind of problem, for people */
      title: string;
      /**
       * @description Names the kind of problem: `urn:problem-type:granary:` and the code
       * @example urn:problem-type:granary:NoSuchBucket
       */
      type: string;
    };
    /** @description The most that a user's buckets may hold together; null: as much as there is */
    Quota: {
      buckets: number | null;
      /** @description Of all versions and unfinished uploads */
      bytes: number | null;
      /** @description Versions */
      objects: number | null;
    };
    /** @description How fast a user may go, at each bridge process: several bridges do not add up what they see */
    RateLimits: {
      /** @description Bytes of bodies, sent and received together; null: no limit */
      bytes: {
        /** @description At once, after a pause */
        burst: number;
        /** @description On average */
        perSecond: number;
      } | null;
      /** @description Requests, S3's and REST's together; null: no limit */
      requests: {
        /** @description At once, after a pause */
        burst: number;
        /** @description On average */
        perSecond: number;
      } | null;
    };
    /** @description What a key is limited to. What is left out is not limited */
    Scope: {
      /** @description Names of buckets, with `*` and `?` */
      buckets?: string[];
      /** @description What keys must begin with; one of them */
      prefixes?: string[];
      rights?: ('list' | 'read' | 'write' | 'delete' | 'manage' | 'admin')[];
    };
    Session: {
      /**
       * Format: date-time
       * @description Until when it is good
       * @example 2026-11-26T10:55:39.000Z
       */
      expires: string;
      /** @description To be sent as `Authorization: Bearer TOKEN` */
      token: string;
      user: components['schemas']['User'];
    };
    /** @description How this bridge process does */
    Status: {
      connections: number;
      /** @description Whether the database answers */
      database: boolean;
      /** @description Of all bridges over this database */
      jobs: {
        /** @description Failed at least once */
        failing: number;
        leased: number;
        queue: string;
        waiting: number;
      }[];
      /** @description Whether objects can be read and stored */
      network: boolean;
      requests: {
        /** @description More are told to come back */
        most: number;
        running: number;
      };
      /**
       * Format: date-time
       * @description The time here
       * @example 2026-11-26T10:55:39.000Z
       */
      time: string;
      uptimeSeconds: number;
      version: string;
    };
    /** @description What a user's buckets hold */
    Usage: {
      buckets: number;
      bytes: number;
      objects: number;
    };
    User: {
      /** @description May manage users */
      admin: boolean;
      /**
       * Format: date-time
       * @description When it was made
       * @example 2026-11-26T10:55:39.000Z
       */
      created: string;
      /** @description Its keys and password are good for nothing */
      disabled: boolean;
      hasPassword: boolean;
      id: string;
      /**
       * @description Unique among users
       * @example anna
       */
      name: string;
      quota: components['schemas']['Quota'];
      rateLimits: components['schemas']['RateLimits'];
    };
    /** @description What is left out stays */
    UserChange: {
      admin?: boolean;
      /** @description true ends its sessions, too */
      disabled?: boolean;
      /**
       * @description Unique among users
       * @example anna
       */
      name?: string;
      /** @description What is left out stays */
      quota?: {
        buckets?: number | null;
        /** @description Of all versions and unfinished uploads */
        bytes?: number | null;
        /** @description Versions */
        objects?: number | null;
      };
      /** @description What is left out stays */
      rateLimits?: {
        /** @description Bytes of bodies, sent and received together; null: no limit */
        bytes?: {
          /** @description At once, after a pause */
          burst: number;
          /** @description On average */
          perSecond: number;
        } | null;
        /** @description Requests, S3's and REST's together; null: no limit */
        requests?: {
          /** @description At once, after a pause */
          burst: number;
          /** @description On average */
          perSecond: number;
        } | null;
      };
    };
    UserPage: {
      /** @description For `after`; null: nothing follows */
      next: string | null;
      users: components['schemas']['User'][];
    };
    /** @description Who asks, and by what right */
    Who: {
      accessKeyId: string | null;
      /** @description Whether these credentials may manage users */
      admin: boolean;
      /** @enum {string} */
      by: 'session' | 'access-key';
      scope: components['schemas']['Scope'] | null;
      user: components['schemas']['User'];
    };
    WrittenObject: {
      /** @description MD5 of the bytes in hex */
      etag: string;
      key: string;
      /** @description Where the bucket keeps versions */
      versionId: string | null;
    };
  };
  responses: {
    /** @description The request is not as described */
    Problem400: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description No credentials, or none that are good */
    Problem401: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description These credentials may not do this, or a quota is used up */
    Problem403: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description There is none */
    Problem404: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description A delete marker has no bytes */
    Problem405: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description The client was too slow */
    Problem408: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description It is in the way of what is there */
    Problem409: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description A condition does not hold */
    Problem412: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description The body is too large */
    Problem413: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description The body is of another type */
    Problem415: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description The object has no such bytes */
    Problem416: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description Too much was asked for of late: Retry-After says when to come back */
    Problem429: {
      headers: {
        /** @description Seconds */
        'retry-after': string;
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description Something went wrong that should not have */
    Problem500: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
    /** @description Not now: the network or the database is away, or too much is under way */
    Problem503: {
      headers: {
        [name: string]: unknown;
      };
      content: {
        'application/problem+json': components['schemas']['Problem'];
      };
    };
  };
  parameters: never;
  requestBodies: never;
  headers: never;
  pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
  getAccessKey: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description An access key ID */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['AccessKey'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  deleteAccessKey: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description An access key ID */
        id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Done */
      204: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  changeAccessKey: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description An access key ID */
        id: string;
      };
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['AccessKeyChange'];
      };
    };
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['AccessKey'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      408: components['responses']['Problem408'];
      413: components['responses']['Problem413'];
      415: components['responses']['Problem415'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  listBuckets: {
    parameters: {
      query?: {
        /** @description Begin behind this name */
        after?: string;
        /** @description The most of a page */
        limit?: number;
        /** @description Whose; for admins only */
        owner?: string;
      };
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['BucketPage'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  createBucket: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['NewBucket'];
      };
    };
    responses: {
      /** @description Made */
      201: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Bucket'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      408: components['responses']['Problem408'];
      409: components['responses']['Problem409'];
      413: components['responses']['Problem413'];
      415: components['responses']['Problem415'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  getBucket: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description A bucket's name */
        bucket: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['BucketDetails'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  deleteBucket: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description A bucket's name */
        bucket: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Done */
      204: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      409: components['responses']['Problem409'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  changeBucket: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description A bucket's name */
        bucket: string;
      };
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['BucketChange'];
      };
    };
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Bucket'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      408: components['responses']['Problem408'];
      409: components['responses']['Problem409'];
      413: components['responses']['Problem413'];
      415: components['responses']['Problem415'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  getObject: {
    parameters: {
      query: {
        /** @description The key: 1 to 1,024 bytes of UTF-8 without NUL. `..`, `.` and `//` mean nothing special */
        key: string;
        /** @description One version of the object; the newest when not given */
        versionId?: string;
      };
      header?: {
        /** @description Only if the object has this ETag */
        'if-match'?: string;
        /** @description Only if it was written later */
        'if-modified-since'?: string;
        /** @description Only if it has not */
        'if-none-match'?: string;
        /** @description The range only if the object is still this */
        'if-range'?: string;
        /** @description Only if it was not */
        'if-unmodified-since'?: string;
        /** @description One range of bytes, such as `bytes=0-99` */
        range?: string;
      };
      path: {
        /** @description A bucket's name */
        bucket: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is this */
      200: {
        headers: {
          'accept-ranges': string;
          /** @description Comes back with the object */
          'cache-control'?: string;
          /** @description Comes back with the object */
          'content-disposition'?: string;
          /** @description Comes back with the object */
          'content-encoding'?: string;
          /** @description Comes back with the object */
          'content-language'?: string;
          'content-length': string;
          /** @description Of a 206 */
          'content-range'?: string;
          'content-type': string;
          /** @description MD5 of the bytes in hex, or of MD5s of parts; in quotes */
          etag: string;
          'last-modified': string;
          /** @description Where the bucket keeps versions */
          'x-granary-version-id'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/octet-stream': Bytes;
        };
      };
      /** @description The run that was asked for */
      206: {
        headers: {
          'accept-ranges': string;
          /** @description Comes back with the object */
          'cache-control'?: string;
          /** @description Comes back with the object */
          'content-disposition'?: string;
          /** @description Comes back with the object */
          'content-encoding'?: string;
          /** @description Comes back with the object */
          'content-language'?: string;
          'content-length': string;
          /** @description Of a 206 */
          'content-range'?: string;
          'content-type': string;
          /** @description MD5 of the bytes in hex, or of MD5s of parts; in quotes */
          etag: string;
          'last-modified': string;
          /** @description Where the bucket keeps versions */
          'x-granary-version-id'?: string;
          [name: string]: unknown;
        };
        content: {
          'application/octet-stream': Bytes;
        };
      };
      /** @description Not modified */
      304: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      405: components['responses']['Problem405'];
      412: components['responses']['Problem412'];
      416: components['responses']['Problem416'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  putObject: {
    parameters: {
      query: {
        /** @description The key: 1 to 1,024 bytes of UTF-8 without NUL. `..`, `.` and `//` mean nothing special */
        key: string;
      };
      header?: {
        /** @description Comes back with the object */
        'cache-control'?: string;
        /** @description RFC 9530, `sha-256=:BASE64:`; other bytes are refused */
        'content-digest'?: string;
        /** @description Comes back with the object */
        'content-disposition'?: string;
        /** @description Comes back with the object */
        'content-encoding'?: string;
        /** @description Comes back with the object */
        'content-language'?: string;
        /** @description The MD5 of the bytes in base64; others are refused */
        'content-md5'?: string;
        /** @description Comes back with the object */
        'content-type'?: string;
        /** @description Only if the object has this ETag */
        'if-match'?: string;
        /** @description `*`: only if there is none */
        'if-none-match'?: string;
      };
      path: {
        /** @description A bucket's name */
        bucket: string;
      };
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/octet-stream': Bytes;
      };
    };
    responses: {
      /** @description Made */
      201: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['WrittenObject'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      408: components['responses']['Problem408'];
      409: components['responses']['Problem409'];
      412: components['responses']['Problem412'];
      413: components['responses']['Problem413'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  deleteObject: {
    parameters: {
      query: {
        /** @description The key: 1 to 1,024 bytes of UTF-8 without NUL. `..`, `.` and `//` mean nothing special */
        key: string;
        /** @description One version of the object; the newest when not given */
        versionId?: string;
      };
      header?: {
        /** @description Only if the object has this ETag */
        'if-match'?: string;
      };
      path: {
        /** @description A bucket's name */
        bucket: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Done */
      204: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      412: components['responses']['Problem412'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  headObject: {
    parameters: {
      query: {
        /** @description The key: 1 to 1,024 bytes of UTF-8 without NUL. `..`, `.` and `//` mean nothing special */
        key: string;
        /** @description One version of the object; the newest when not given */
        versionId?: string;
      };
      header?: {
        /** @description Only if the object has this ETag */
        'if-match'?: string;
        /** @description Only if it was written later */
        'if-modified-since'?: string;
        /** @description Only if it has not */
        'if-none-match'?: string;
        /** @description Only if it was not */
        'if-unmodified-since'?: string;
      };
      path: {
        /** @description A bucket's name */
        bucket: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is this */
      200: {
        headers: {
          'accept-ranges': string;
          /** @description Comes back with the object */
          'cache-control'?: string;
          /** @description Comes back with the object */
          'content-disposition'?: string;
          /** @description Comes back with the object */
          'content-encoding'?: string;
          /** @description Comes back with the object */
          'content-language'?: string;
          'content-length': string;
          /** @description Of a 206 */
          'content-range'?: string;
          'content-type': string;
          /** @description MD5 of the bytes in hex, or of MD5s of parts; in quotes */
          etag: string;
          'last-modified': string;
          /** @description Where the bucket keeps versions */
          'x-granary-version-id'?: string;
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description The run that was asked for */
      206: {
        headers: {
          'accept-ranges': string;
          /** @description Comes back with the object */
          'cache-control'?: string;
          /** @description Comes back with the object */
          'content-disposition'?: string;
          /** @description Comes back with the object */
          'content-encoding'?: string;
          /** @description Comes back with the object */
          'content-language'?: string;
          'content-length': string;
          /** @description Of a 206 */
          'content-range'?: string;
          'content-type': string;
          /** @description MD5 of the bytes in hex, or of MD5s of parts; in quotes */
          etag: string;
          'last-modified': string;
          /** @description Where the bucket keeps versions */
          'x-granary-version-id'?: string;
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description Not modified */
      304: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description The request is not as described */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description No credentials, or none that are good */
      401: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description These credentials may not do this, or a quota is used up */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description There is none */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description A delete marker has no bytes */
      405: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description A condition does not hold */
      412: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description The object has no such bytes */
      416: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description Too much was asked for of late: Retry-After says when to come back */
      429: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description Something went wrong that should not have */
      500: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      /** @description Not now: the network or the database is away, or too much is under way */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
    };
  };
  listObjects: {
    parameters: {
      query?: {
        /** @description Begin behind this key or prefix */
        after?: string;
        /** @description Keys with it behind the prefix are rolled up */
        delimiter?: string;
        /** @description The most of a page */
        limit?: number;
        /** @description Keys that begin so */
        prefix?: string;
      };
      header?: never;
      path: {
        /** @description A bucket's name */
        bucket: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['ObjectList'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  getSession: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Who'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  login: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['Login'];
      };
    };
    responses: {
      /** @description Made */
      201: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Session'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      408: components['responses']['Problem408'];
      413: components['responses']['Problem413'];
      415: components['responses']['Problem415'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  logout: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Done */
      204: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  getStatus: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Status'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  listUsers: {
    parameters: {
      query?: {
        /** @description Begin behind this name */
        after?: string;
        /** @description The most of a page */
        limit?: number;
        /** @description Only the user of this name */
        name?: string;
      };
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['UserPage'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  createUser: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['NewUser'];
      };
    };
    responses: {
      /** @description Made */
      201: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['User'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      408: components['responses']['Problem408'];
      409: components['responses']['Problem409'];
      413: components['responses']['Problem413'];
      415: components['responses']['Problem415'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  getUser: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description A user's ID, or `me`: who asks */
        user: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['User'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  deleteUser: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description A user's ID, or `me`: who asks */
        user: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description Done */
      204: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      409: components['responses']['Problem409'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  changeUser: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description A user's ID, or `me`: who asks */
        user: string;
      };
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['UserChange'];
      };
    };
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['User'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      408: components['responses']['Problem408'];
      409: components['responses']['Problem409'];
      413: components['responses']['Problem413'];
      415: components['responses']['Problem415'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  listAccessKeys: {
    parameters: {
      query?: {
        /** @description Begin behind this ID */
        after?: string;
        /** @description The most of a page */
        limit?: number;
      };
      header?: never;
      path: {
        /** @description A user's ID, or `me`: who asks */
        user: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['AccessKeyPage'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  createAccessKey: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description A user's ID, or `me`: who asks */
        user: string;
      };
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['NewAccessKey'];
      };
    };
    responses: {
      /** @description Made */
      201: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['MadeAccessKey'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      408: components['responses']['Problem408'];
      409: components['responses']['Problem409'];
      413: components['responses']['Problem413'];
      415: components['responses']['Problem415'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  setPassword: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description A user's ID, or `me`: who asks */
        user: string;
      };
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['PasswordChange'];
      };
    };
    responses: {
      /** @description Done */
      204: {
        headers: {
          [name: string]: unknown;
        };
        content?: never;
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      408: components['responses']['Problem408'];
      413: components['responses']['Problem413'];
      415: components['responses']['Problem415'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
  getUsage: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        /** @description A user's ID, or `me`: who asks */
        user: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description It is this */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Usage'];
        };
      };
      400: components['responses']['Problem400'];
      401: components['responses']['Problem401'];
      403: components['responses']['Problem403'];
      404: components['responses']['Problem404'];
      429: components['responses']['Problem429'];
      500: components['responses']['Problem500'];
      503: components['responses']['Problem503'];
    };
  };
}
