import { MetadataError } from '../metadata/metadata-error.js';
import { toS3Error } from '../s3/error-response.js';
import type { S3Error } from '../s3/s3-error.js';
import { RateLimitError } from '../users/rate-limiter.js';

/** The codes that S3 has no word for, with status and title. */
const CODES = {
  AccessKeyExists: [409, 'There is an access key of this ID'],
  BadCredentials: [401, 'These credentials are good for nothing'],
  DocumentTooLarge: [413, 'The document is too large'],
  Forbidden: [403, 'These credentials may not do this'],
  InvalidDocument: [400, 'The request does not fit the description'],
  InvalidJson: [400, 'The body is no JSON'],
  MethodNotAllowed: [405, 'There is no such method here'],
  NoSuchAccessKey: [404, 'There is no such access key'],
  NoSuchOperation: [404, 'There is no such operation'],
  NoSuchUser: [404, 'There is no such user'],
  NotAuthenticated: [401, 'Credentials are needed'],
  TooManyRequests: [429, 'Too much was asked for of late'],
  UnsupportedMediaType: [415, 'The body is of another type'],
  UserExists: [409, 'There is a user of this name'],
  UserInUse: [409, 'The user still owns buckets'],
  WouldLockOut: [409, 'Nobody can lock themselves out'],
  WrongPassword: [401, 'Name or password is wrong'],
} as const satisfies Record<string, readonly [number, string]>;

/** A code of the REST API's own. */
export type ProblemCode = keyof typeof CODES;

/** Where a request does not fit the description. */
export interface Misfit {
  readonly in: 'path' | 'query' | 'body';
  /** A JSON pointer. */
  readonly at: string;
  readonly detail: string;
}

/** What the REST API can't do, as it says it (RFC 9457). Its message may be shown; its cause may not. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  readonly title: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly errors: readonly Misfit[] | undefined;

  /** @param message - what was wrong here and what to do; the title when not given */
  constructor(
    readonly code: string,
    message?: string,
    details: {
      readonly status?: number;
      readonly title?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly errors?: readonly Misfit[];
      readonly cause?: unknown;
    } = {},
  ) {
    const [status, title] = (CODES as Record<string, readonly [number, string]>)[code] ?? [
      details.status ?? 500,
      details.title ?? code,
    ];
    super(message ?? title, details.cause === undefined ? undefined : { cause: details.cause });
    this.status = status;
    this.title = title;
    this.headers = details.headers ?? {};
    this.errors = details.errors;
  }

  /** One of the REST API's own. */
  static of(
    code: ProblemCode,
    message?: string,
    details?: ConstructorParameters<typeof Problem>[2],
  ): Problem {
    return new Problem(code, message, details);
  }
}

const METADATA_CODES: Partial<Record<MetadataError['code'], ProblemCode>> = {
  METADATA_USER_EXISTS: 'UserExists',
  METADATA_NO_SUCH_USER: 'NoSuchUser',
  METADATA_USER_IN_USE: 'UserInUse',
  METADATA_NO_SUCH_ACCESS_KEY: 'NoSuchAccessKey',
  METADATA_ACCESS_KEY_EXISTS: 'AccessKeyExists',
};

/** Statuses of S3 that say in HTTP's own words what S3 has other words for. */
const STATUS: Readonly<Record<string, number>> = {
  EntityTooLarge: 413,
  RequestTimeout: 408,
};

/** Header fields of an S3 error that mean the same here. */
const KEPT = ['retry-after', 'content-range', 'allow', 'etag', 'last-modified', 'cache-control'];

/** Anything thrown as a problem. What is not for the client stays in the cause. */
export function toProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  if (thrown instanceof RateLimitError) {
    return Problem.of('TooManyRequests', thrown.message, {
      headers: { 'retry-after': String(thrown.retryAfter) },
      cause: thrown,
    });
  }
  if (thrown instanceof MetadataError) {
    const code = METADATA_CODES[thrown.code];
    if (code !== undefined) return Problem.of(code, sentence(thrown.message), { cause: thrown });
    if (thrown.code === 'METADATA_QUOTA') {
      return new Problem('QuotaExceeded', sentence(thrown.message), {
        status: 403,
        title: 'The quota of this user is used up',
        cause: thrown,
      });
    }
  }
  const error: S3Error = toS3Error(thrown);
  return new Problem(error.code, error.message, {
    status: STATUS[error.code] ?? error.status,
    title: error.code.replace(/(?<=[a-z])(?=[A-Z])/g, ' '),
    headers: Object.fromEntries(
      Object.entries(error.headers).filter(([name]) => KEPT.includes(name)),
    ),
    cause: error.cause ?? error,
  });
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}
