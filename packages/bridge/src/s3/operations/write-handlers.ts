import { readBody } from '../../contents/content-reader.js';
import type { NewVersion } from '../../metadata/requests.js';
import type {
  Bucket,
  Checksum,
  ObjectVersion,
  Retention,
  VersionDetails,
} from '../../metadata/records.js';
import { aclHeader } from '../access/acl.js';
import { type ChecksumAlgorithm, createHasher, parseAlgorithm } from '../body/checksum.js';
import { verifiedBody } from '../body/verified-body.js';
import { checkVersionKey, customerKeyOf, encryptionHeaders } from '../customer-encryption.js';
import type { CustomerKey } from '../../contents/customer-key.js';
import { parseCopyRange } from '../byte-range.js';
import { type Call, findBucket } from '../call.js';
import { checkReadConditions, writeConditions } from '../conditional.js';
import { isoDate } from '../http-date.js';
import { objectHeaders } from '../object-headers.js';
import { type DefaultRetention, defaultRetention, lockHeaders } from '../object-lock.js';
import { S3Error, invalidArgument } from '../s3-error.js';
import { checkKey } from '../s3-request.js';
import { emptyResponse, xmlResponse } from '../s3-response.js';
import { parseTagHeader } from '../tags.js';
import { uriDecode } from '../uri-encoding.js';
import { S3_NAMESPACE, xml } from '../xml-writer.js';
import { findVersion } from './find-version.js';
import type { Handlers } from './handler.js';
import { type StoredPayload, storePayload } from './store-payload.js';
import { refuseUnsupported, storageClassOf } from './unsupported-headers.js';
import { checksumHeaders, expirationHeader, versionIdHeader } from './version-headers.js';

/** The largest source of one copy: 5 GiB, as with S3. */
const MAX_COPY_BYTES = 5 * 1024 ** 3;

/** Writing objects. */
export const writeHandlers: Handlers = {
  async PutObject(call) {
    const { headers } = call.request;
    const key = customerKeyOf(call.request);
    const attributes = await writeAttributes(call, key);
    const precondition = writeConditions(headers);
    const stored = await storePayload(call, call.payload(), key);
    try {
      const version = await call.metadata.putVersion({
        bucket: call.bucketName,
        key: call.key,
        ...stored.held,
        ...attributes,
        ...(precondition !== undefined && { precondition }),
      });
      return emptyResponse(200, writtenHeaders(await call.bucket(), version, key));
    } catch (error) {
      await stored.abandon();
      throw error;
    }
  },

  async CopyObject(call) {
    const { headers } = call.request;
    const [sourceKey, key] = [
      customerKeyOf(call.request, 'copy-source-'),
      customerKeyOf(call.request),
    ];
    const source = await findSource(call, sourceKey);
    if (source.size > MAX_COPY_BYTES) {
      throw new S3Error(
        'InvalidRequest',
        'The specified copy source is larger than the maximum allowable size for a copy source: 5368709120',
      );
    }
    const replace = directive(call, 'x-amz-metadata-directive') === 'REPLACE';
    const replaceTags = directive(call, 'x-amz-tagging-directive') === 'REPLACE';
    const same = source.bucket === call.bucketName && source.key === call.key;
    const sameKey = sourceKey === undefined ? key === undefined : key?.equals(sourceKey) === true;
    if (same && source.isLatest && !replace && !replaceTags && sameKey) {
      throw new S3Error(
        'InvalidRequest',
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
      );
    }
    const attributes = await writeAttributes(
      call,
      key,
      replaceTags ? undefined : source.details.tags,
    );
    const precondition = writeConditions(headers);
    const put = (held: CopiedBody, encryption: unknown) =>
      call.metadata.putVersion({
        bucket: call.bucketName,
        key: call.key,
        ...held,
        ...attributes,
        details: {
          ...attributes.details,
          ...(!replace && { headers: source.details.headers, metadata: source.details.metadata }),
          encryption,
        },
        ...(precondition !== undefined && { precondition }),
      });
    const version = sameKey
      ? await put(await sharedCopy(call, source, sourceKey), source.details.encryption)
      : await storedCopy(call, source, sourceKey, key, (held) =>
          put(held, attributes.details.encryption),
        );
    const bucket = await call.bucket();
    return xmlResponse(
      xml(
        'CopyObjectResult',
        [
          xml('LastModified', isoDate(version.modified)),
          xml('ETag', `"${version.etag}"`),
          version.checksums.flatMap(({ algorithm, value, type }) => [
            xml(`Checksum${algorithm}`, value),
            xml('ChecksumType', type),
          ]),
        ],
        { xmlns: S3_NAMESPACE },
      ),
      {
        ...versionIdHeader(bucket, version.versionId),
        ...(call.request.headers.get('x-amz-copy-source')!.includes('versionId=') && {
          'x-amz-copy-source-version-id': source.versionId,
        }),
        ...expirationHeader(bucket, version),
        ...encryptionHeaders(key),
      },
    );
  },
};

/** What a copy's version says of its body. */
type CopiedBody = Pick<NewVersion, 'body' | 'size' | 'etag' | 'checksums' | 'sealing'>;

/** A copy that shares its source's contents. */
async function sharedCopy(
  call: Call,
  source: ObjectVersion,
  sourceKey: CustomerKey | undefined,
): Promise<CopiedBody> {
  const { bucket, key, versionId, size, etag } = source;
  const checksums = await copyChecksums(call, source, sourceKey);
  return { body: { kind: 'copy', bucket, key, versionId }, size, etag, checksums };
}

/** A copy whose bytes are stored anew, since they are under another client's key. */
async function storedCopy<T>(
  call: Call,
  source: ObjectVersion,
  sourceKey: CustomerKey | undefined,
  key: CustomerKey | undefined,
  put: (held: StoredPayload['held']) => Promise<T>,
): Promise<T> {
  const { signal } = call.request;
  const give = await call.deps.copies.take(signal);
  try {
    const range = { offset: 0, length: source.size };
    const stream = readBody(call.deps, source, range, signal, sourceKey);
    const also = askedAlgorithm(call) ?? source.checksums[0]?.algorithm;
    const payload = verifiedBody(stream, { length: source.size }, undefined, also);
    const stored = await storePayload(call, payload, key);
    try {
      return await put(stored.held);
    } catch (error) {
      await stored.abandon();
      throw error;
    }
  } finally {
    give();
  }
}

/** What every write says of the version that it makes. */
export interface WriteAttributes {
  readonly owner: string;
  readonly storageClass: string;
  readonly details: VersionDetails;
  readonly retention: Retention | null;
  readonly legalHold: boolean;
}

/**
 * Read what a write says of its version, and find out whether the caller may say so.
 *
 * @param key - the client's key that the version is encrypted by
 * @param tags - the tags, where they don't come from the request's header
 * @throws S3Error AccessDenied, InvalidRequest, and what the headers' parsers throw.
 */
export async function writeAttributes(
  call: Call,
  key: CustomerKey | undefined,
  tags?: VersionDetails['tags'],
): Promise<WriteAttributes> {
  const { headers } = call.request;
  refuseUnsupported(headers);
  const [bucket, now] = [await call.bucket(), call.now];
  const said = headers.has('x-amz-tagging');
  const ownTags = tags ?? parseTagHeader(headers.get('x-amz-tagging'));
  const place = { key: call.key, tags: ownTags };
  await call.authorize('s3:PutObject', place);
  const acl = aclHeader(headers);
  if (acl !== undefined && acl !== 'private') await call.authorize('s3:PutObjectAcl', place);
  if (said) await call.authorize('s3:PutObjectTagging', place);
  const lock = lockHeaders(headers, now);
  if (lock.retention !== undefined) await call.authorize('s3:PutObjectRetention', place);
  if (lock.legalHold !== undefined) await call.authorize('s3:PutObjectLegalHold', place);
  if (!bucket.objectLock && (lock.retention !== undefined || lock.legalHold === true)) {
    throw new S3Error('InvalidRequest', 'Bucket is missing Object Lock Configuration');
  }
  const rule = bucket.documents['object-lock'] as DefaultRetention | undefined;
  return {
    owner: await call.writer(),
    storageClass: storageClassOf(headers),
    details: {
      ...objectHeaders(headers),
      tags: ownTags,
      acl: acl ?? null,
      encryption: key?.prove(call.deps.random) ?? null,
    },
    retention: lock.retention ?? (bucket.objectLock ? defaultRetention(rule, now) : null),
    legalHold: lock.legalHold ?? false,
  };
}

/** Header fields of the answer to a write. */
export function writtenHeaders(
  bucket: Bucket,
  version: ObjectVersion,
  key: CustomerKey | undefined,
): Record<string, string> {
  return {
    etag: `"${version.etag}"`,
    ...encryptionHeaders(key),
    ...checksumHeaders(version.checksums),
    ...versionIdHeader(bucket, version.versionId),
    ...expirationHeader(bucket, version),
  };
}

/**
 * The version that `x-amz-copy-source` names, if the caller may read it and its conditions hold.
 *
 * @param sourceKey - the client's key of the source, where the request brings one
 * @throws S3Error InvalidArgument, AccessDenied, NoSuchBucket, NoSuchKey, PreconditionFailed.
 */
export async function findSource(
  call: Call,
  sourceKey: CustomerKey | undefined,
): Promise<ObjectVersion> {
  const { headers } = call.request;
  const { bucketName, key, versionId } = parseSource(headers.get('x-amz-copy-source')!);
  const bucket = await findBucket(call.metadata, bucketName);
  const expected = headers.get('x-amz-source-expected-bucket-owner');
  if (expected !== undefined && expected !== bucket.owner) throw new S3Error('AccessDenied');
  const action = versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion';
  const version = await findVersion(call, action, { bucket, key, versionId });
  checkVersionKey(sourceKey, version);
  checkReadConditions(headers, version, 'x-amz-copy-source-');
  return version;
}

function parseSource(header: string): { bucketName: string; key: string; versionId?: string } {
  const bad = () =>
    invalidArgument(
      'x-amz-copy-source',
      header.slice(0, 200),
      'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
    );
  const mark = header.lastIndexOf('?versionId=');
  const path = uriDecode(mark < 0 ? header : header.slice(0, mark))?.replace(/^\//, '');
  const slash = path?.indexOf('/') ?? -1;
  if (path === undefined || slash < 1 || slash === path.length - 1) throw bad();
  const versionId = mark < 0 ? undefined : uriDecode(header.slice(mark + '?versionId='.length));
  return {
    bucketName: path.slice(0, slash),
    key: checkKey(path.slice(slash + 1)),
    ...(versionId !== undefined && versionId !== '' && { versionId }),
  };
}

function directive(call: Call, name: string): 'COPY' | 'REPLACE' {
  const value = call.request.headers.get(name) ?? 'COPY';
  if (value !== 'COPY' && value !== 'REPLACE') {
    throw invalidArgument(name, value.slice(0, 20), 'Unknown directive.');
  }
  return value;
}

/** The source's checksums, or the one that was asked for, made from the bytes where it is another. */
async function copyChecksums(
  call: Call,
  source: ObjectVersion,
  key: CustomerKey | undefined,
): Promise<readonly Checksum[]> {
  const algorithm = askedAlgorithm(call);
  if (algorithm === undefined) return source.checksums;
  const there = source.checksums.filter(
    (checksum) => checksum.algorithm === algorithm && checksum.type === 'FULL_OBJECT',
  );
  if (there.length > 0) return there;
  return [
    { algorithm, value: await checksumOf(call, source, key, algorithm), type: 'FULL_OBJECT' },
  ];
}

/** The checksum that a copy is to have. @throws S3Error InvalidArgument. */
function askedAlgorithm({ request }: Call): ChecksumAlgorithm | undefined {
  const asked = request.headers.get('x-amz-checksum-algorithm');
  if (asked === undefined) return undefined;
  const algorithm = parseAlgorithm(asked);
  if (algorithm === undefined) {
    throw invalidArgument(
      'x-amz-checksum-algorithm',
      asked.slice(0, 20),
      'Checksum algorithm provided is unsupported.',
    );
  }
  return algorithm;
}

async function checksumOf(
  call: Call,
  source: ObjectVersion,
  key: CustomerKey | undefined,
  algorithm: ChecksumAlgorithm,
): Promise<string> {
  const hasher = await createHasher(algorithm);
  if (source.size > 0) {
    const range = { offset: 0, length: source.size };
    for await (const part of readBody(call.deps, source, range, call.request.signal, key)) {
      hasher.update(part);
    }
  }
  return hasher.digest().toString('base64');
}

/** The run of a copy's source that `x-amz-copy-source-range` names; the whole when it is not there. */
export function sourceRange(
  call: Call,
  { size }: ObjectVersion,
): { offset: number; length: number } {
  return (
    parseCopyRange(call.request.headers.get('x-amz-copy-source-range'), size) ?? {
      offset: 0,
      length: size,
    }
  );
}
