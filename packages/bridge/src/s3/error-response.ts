import { RenterError } from '@granary/renter';
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
  return new S3Error('InternalError', undefined, { cause: error });
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
