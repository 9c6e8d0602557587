import { fromUtf8, utf8 } from '@granary/kad';
import { RenterError } from './errors.js';
import type { ObjectPath } from './records.js';

/** The most bytes (UTF-8) in an object's name, as in S3. */
export const MAX_NAME_BYTES = 1024;

/**
 * Check a path. A bucket's name has 1 to 63 of a-z, 0-9, dots and hyphens, as in S3; an object's
 * name 1 to 1,024 bytes of anything but NUL.
 *
 * @throws RenterError RENTER_BAD_PATH.
 */
export function checkPath(path: ObjectPath): ObjectPath {
  checkBucket(path.bucket);
  const bytes = utf8(path.name).length;
  if (bytes < 1 || bytes > MAX_NAME_BYTES || path.name.includes('\0') || !isWellFormed(path.name)) {
    throw new RenterError(
      'RENTER_BAD_PATH',
      `an object's name has 1 to ${MAX_NAME_BYTES} bytes and no NUL`,
    );
  }
  return path;
}

/** Check a bucket's name. @throws RenterError RENTER_BAD_PATH. */
export function checkBucket(bucket: string): void {
  if (!/^[a-z0-9][a-z0-9.-]{0,62}$/.test(bucket)) {
    throw new RenterError(
      'RENTER_BAD_PATH',
      `"${bucket}" is not a bucket's name: 1 to 63 of a-z, 0-9, "." and "-", the first a letter or digit`,
    );
  }
}

function isWellFormed(text: string): boolean {
  return fromUtf8(utf8(text)) === text;
}
