import type { HeaderList } from './header-list.js';
import { parseHttpDate } from './http-date.js';
import { S3Error, notImplemented } from './s3-error.js';

/** What a condition is put to. */
export interface Validators {
  /** Without quotes. */
  readonly etag: string;
  /** Milliseconds since the epoch. */
  readonly modified: number;
}

/**
 * Put the conditions of a read to an object, in the order of RFC 9110, 13.2.2. A condition on the ETag
 * makes the one on the date of its kind void.
 *
 * @param prefix - `x-amz-copy-source-` for the source of a copy, whose failures are all
 * PreconditionFailed
 * @throws S3Error PreconditionFailed, XNotModified.
 */
export function checkReadConditions(
  headers: HeaderList,
  { etag, modified }: Validators,
  prefix = '',
): void {
  const match = headers.get(`${prefix}if-match`);
  const noneMatch = headers.get(`${prefix}if-none-match`);
  const seconds = Math.floor(modified / 1000) * 1000;
  const failed = (condition: string) =>
    new S3Error('PreconditionFailed', undefined, { fields: { Condition: condition } });
  if (match !== undefined) {
    if (!matches(match, etag)) throw failed('If-Match');
  } else {
    const since = parseHttpDate(headers.get(`${prefix}if-unmodified-since`));
    if (since !== undefined && seconds > since) throw failed('If-Unmodified-Since');
  }
  const notModified = (condition: string) =>
    prefix === '' ? new S3Error('XNotModified') : failed(condition);
  if (noneMatch !== undefined) {
    if (matches(noneMatch, etag)) throw notModified('If-None-Match');
  } else {
    const since = parseHttpDate(headers.get(`${prefix}if-modified-since`));
    if (since !== undefined && seconds <= since) throw notModified('If-Modified-Since');
  }
}

/** The conditions of a write: `If-Match` with an ETag, or `If-None-Match: *`. */
export interface WriteConditions {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: '*';
}

/** Read the conditions of a write. @throws S3Error NotImplemented, InvalidRequest. */
export function writeConditions(headers: HeaderList): WriteConditions | undefined {
  const match = headers.get('if-match');
  const noneMatch = headers.get('if-none-match');
  if (headers.has('if-modified-since') || headers.has('if-unmodified-since')) {
    throw notImplemented('A write on condition of a date');
  }
  if (noneMatch !== undefined && noneMatch !== '*') {
    throw notImplemented('If-None-Match with anything but * on a write');
  }
  if (match !== undefined && noneMatch !== undefined) {
    throw new S3Error(
      'InvalidRequest',
      'If-Match and If-None-Match exclude each other on a write.',
    );
  }
  if (noneMatch !== undefined) return { ifNoneMatch: '*' };
  return match === undefined ? undefined : { ifMatch: match === '*' ? '*' : unquote(match) };
}

/** Whether a list of entity tags (RFC 9110, 8.8.3) has this one, or is `*`. */
export function matches(list: string, etag: string): boolean {
  return list
    .split(',')
    .map((tag) => tag.trim())
    .some((tag) => tag === '*' || unquote(tag.replace(/^W\//, '')) === etag);
}

/** An entity tag without its quotes. */
export function unquote(tag: string): string {
  return tag.trim().replace(/^"(.*)"$/, '$1');
}
