import type { Bucket, Checksum, ObjectVersion } from '../../metadata/records.js';
import { checksumHeader } from '../body/checksum.js';
import { httpDate, isoDate } from '../http-date.js';
import { type LifecycleRule, expiryOf } from '../lifecycle.js';
import { headerValue } from '../object-headers.js';
import { uriEncode } from '../uri-encoding.js';

/** Header fields that describe a version. */
export function versionHeaders(bucket: Bucket, version: ObjectVersion): Record<string, string> {
  const { details, retention, legalHold } = version;
  const tags = Object.keys(details.tags).length;
  return {
    'last-modified': httpDate(version.modified),
    etag: `"${version.etag}"`,
    'accept-ranges': 'bytes',
    ...Object.fromEntries(
      Object.entries(details.headers).map(([name, value]) => [name, headerValue(value)]),
    ),
    ...Object.fromEntries(
      Object.entries(details.metadata).map(([name, value]) => [
        `x-amz-meta-${name}`,
        headerValue(value),
      ]),
    ),
    ...versionIdHeader(bucket, version.versionId),
    ...expirationHeader(bucket, version),
    ...(tags > 0 && { 'x-amz-tagging-count': String(tags) }),
    ...(version.storageClass !== 'STANDARD' && { 'x-amz-storage-class': version.storageClass }),
    ...(retention !== null && {
      'x-amz-object-lock-mode': retention.mode,
      'x-amz-object-lock-retain-until-date': isoDate(retention.until),
    }),
    ...(legalHold && { 'x-amz-object-lock-legal-hold': 'ON' }),
  };
}

/** A version's ID, where its bucket has versions. */
export function versionIdHeader(bucket: Bucket, versionId: string): Record<string, string> {
  return bucket.versioning === 'off' ? {} : { 'x-amz-version-id': versionId };
}

/** Checksums as header fields. */
export function checksumHeaders(checksums: readonly Checksum[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const { algorithm, value, type } of checksums) {
    headers[checksumHeader(algorithm)] = value;
    headers['x-amz-checksum-type'] = type;
  }
  return headers;
}

/** When a lifecycle rule ends a version, and which. */
export function expirationHeader(bucket: Bucket, version: ObjectVersion): Record<string, string> {
  const rules = bucket.documents['lifecycle'] as readonly LifecycleRule[] | undefined;
  if (rules === undefined || !version.isLatest) return {};
  const expiry = expiryOf(rules, { ...version, tags: version.details.tags });
  if (expiry === undefined) return {};
  const date = httpDate(expiry.at);
  return { 'x-amz-expiration': `expiry-date="${date}", rule-id="${uriEncode(expiry.rule)}"` };
}
