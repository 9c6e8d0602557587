import { isIP } from 'node:net';
import { S3Error } from './s3-error.js';

const RESERVED_PREFIXES = ['xn--', 'sthree-', 'amzn-s3-demo-'];
const RESERVED_SUFFIXES = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'];

/**
 * Check the name of a bucket that is to be made.
 *
 * @throws S3Error InvalidBucketName.
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
 */
export function checkBucketName(name: string): string {
  const wellFormed =
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name) &&
    !name.includes('..') &&
    isIP(name) === 0 &&
    !RESERVED_PREFIXES.some((prefix) => name.startsWith(prefix)) &&
    !RESERVED_SUFFIXES.some((suffix) => name.endsWith(suffix));
  if (!wellFormed) {
    throw new S3Error(
      'InvalidBucketName',
      'The specified bucket is not valid: 3 to 63 of a-z, 0-9, "." and "-", no IP address, no reserved prefix or suffix.',
      { fields: { BucketName: name.slice(0, 100) } },
    );
  }
  return name;
}
