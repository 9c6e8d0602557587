import { RenterError } from '@granary/renter';
import { DatabaseError } from '../sql/database-error.js';
import { RateLimitError } from '../users/rate-limiter.js';
import { fromMetadataError } from './metadata-errors.js';
import { S3Error } from './s3-error.js';
import type { S3Response } from './s3-response.js';
import { writeXml, xml } from './xml-writer.js';

/** Codes of a renter that may well be gone at the next try. */
const PASSING = new Set([
  'RENTER_NOT_ENOUGH_FARMERS',
  'RENTER_NOT_ENOUGH_SHARDS',
  'RENTER_NETWORK_UNREACHABLE',
  'RENTER_STALLED',
  'RENTER_TRANSFER',
  'RENTER_CLOSED',
]);

/** Anything thrown in the words of S3. What is not for the client stays in the cause. */
export function toS3Error(thrown: unknown): S3Error {
  const error = fromMetadataError(thrown);
  if (error instanceof S3Error) return error;
  if (error instanceof RateLimitError) {
    return new S3Error('SlowDown', error.message, {
      headers: { 'retry-after': String(error.retryAfter) },
      cause: error,
    });
  }
  if (error instanceof RenterError && PASSING.has(error.code)) {
    return new S3Error(
      'ServiceUnavailable',
      'The network can not serve this now. Please try again.',
      {
        headers: { 'retry-after': '5' },
        cause: error,
      },
    );
  }
  if (isDatabaseAway(error)) {
    return new S3Error('ServiceUnavailable', undefined, {
      headers: { 'retry-after': '5' },
      cause: error,
    });
  }
  return new S3Error('InternalError', undefined, { cause: error });
}

/** Errors that led to one another, looked at. */
const MAX_CAUSES = 8;

/** Whether the database went away under a part that has errors of its own, as the renter's records have. */
function isDatabaseAway(thrown: unknown): boolean {
  let error = thrown;
  for (let depth = 0; depth < MAX_CAUSES && error instanceof Error; depth += 1) {
    if (error instanceof DatabaseError && error.code === 'DATABASE_UNAVAILABLE') return true;
    error = error.cause;
  }
  return false;
}

/** An error as an answer. */
export function errorResponse(
  error: S3Error,
  about: { readonly id: string; readonly method: string; readonly resource: string },
): S3Response {
  const { status, code, message, fields, headers } = error;
  if (status === 304 || about.method === 'HEAD') {
    // There is no room for a code; S3 clients make one of the status.
    return { status, headers };
  }
  return {
    status,
    headers: { 'content-type': 'application/xml', ...headers },
    body: writeXml(
      xml('Error', [
        xml('Code', code),
        xml('Message', message),
        ...Object.entries(fields).map(([name, value]) => xml(name, value)),
        xml('Resource', about.resource),
        xml('RequestId', about.id),
        xml('HostId', about.id),
      ]),
    ),
  };
}
