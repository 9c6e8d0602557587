import { MetadataError } from '../metadata/metadata-error.js';
import { S3Error, type S3ErrorCode } from './s3-error.js';

const CODES: Partial<Record<MetadataError['code'], readonly [S3ErrorCode, string?]>> = {
  METADATA_BUCKET_EXISTS: ['BucketAlreadyExists'],
  METADATA_NO_SUCH_BUCKET: ['NoSuchBucket'],
  METADATA_BUCKET_NOT_EMPTY: ['BucketNotEmpty'],
  METADATA_BUCKET_STATE: ['InvalidBucketState'],
  METADATA_NO_SUCH_KEY: ['NoSuchKey'],
  METADATA_NO_SUCH_VERSION: ['NoSuchVersion'],
  METADATA_PRECONDITION: ['PreconditionFailed'],
  METADATA_LOCKED: ['AccessDenied', 'Access Denied because object protected by object lock.'],
  METADATA_NO_SUCH_UPLOAD: ['NoSuchUpload'],
  METADATA_INVALID_PART: ['InvalidPart'],
  METADATA_QUOTA: ['QuotaExceeded'],
  METADATA_CONTENT_LOST: [
    'SlowDown',
    'The upload took too long and was given up. Please try again.',
  ],
  METADATA_UNAVAILABLE: ['ServiceUnavailable'],
};

/** An error of the metadata store in the words of S3; others stay as they are. */
export function fromMetadataError(error: unknown): unknown {
  if (!(error instanceof MetadataError)) return error;
  if (error.code === 'METADATA_BAD_INPUT') {
    return new S3Error('InvalidArgument', error.message, { cause: error });
  }
  const known = CODES[error.code];
  return known === undefined
    ? new S3Error('InternalError', undefined, { cause: error })
    : new S3Error(known[0], known[1], { cause: error });
}
