import { S3Error, invalidArgument } from './s3-error.js';

/** A run of bytes of an object. */
export interface ByteRange {
  /** First byte. */
  readonly offset: number;
  /** Bytes, at least 1. */
  readonly length: number;
}

/**
 * Read a `Range` header against an object's size. As in S3, what is not a single range of bytes is
 * overlooked, and the whole object is answered.
 *
 * @returns undefined where the whole object is asked for
 * @throws S3Error InvalidRange for a range that has nothing of the object.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  if (header === undefined) return undefined;
  const match = /^bytes=(\d{0,18})-(\d{0,18})$/.exec(header.trim());
  if (match === null) return undefined;
  const [first, last] = [match[1]!, match[2]!];
  if (first === '' && last === '') return undefined;
  const unsatisfiable = () =>
    new S3Error('InvalidRange', undefined, {
      fields: { RangeRequested: header.trim(), ActualObjectSize: String(size) },
      headers: { 'content-range': `bytes */${size}` },
    });
  if (first === '') {
    const count = Math.min(Number(last), size);
    if (count === 0) throw unsatisfiable();
    return { offset: size - count, length: count };
  }
  const offset = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < offset) return undefined;
  if (offset >= size) throw unsatisfiable();
  return { offset, length: end - offset + 1 };
}

/**
 * Read `x-amz-copy-source-range`, which has to be exact.
 *
 * @throws S3Error InvalidArgument, InvalidRange.
 */
export function parseCopyRange(header: string | undefined, size: number): ByteRange | undefined {
  if (header === undefined) return undefined;
  const match = /^bytes=(\d{1,18})-(\d{1,18})$/.exec(header.trim());
  if (match === null || Number(match[1]) > Number(match[2])) {
    throw invalidArgument(
      'x-amz-copy-source-range',
      header.slice(0, 100),
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
    );
  }
  const [offset, last] = [Number(match[1]), Number(match[2])];
  if (last >= size) {
    throw invalidArgument(
      'x-amz-copy-source-range',
      header.slice(0, 100),
      `Range specified is not valid for source object of size: ${size}`,
    );
  }
  return { offset, length: last - offset + 1 };
}
