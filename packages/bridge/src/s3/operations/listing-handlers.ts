import type { VersionSummary } from '../../metadata/records.js';
import type { AclOwner } from '../access/acl.js';
import type { Call } from '../call.js';
import { isoDate } from '../http-date.js';
import { invalidArgument } from '../s3-error.js';
import { xmlResponse } from '../s3-response.js';
import { S3_NAMESPACE, type XmlElement, optional, xml } from '../xml-writer.js';
import type { Handlers } from './handler.js';
import { ownerElement, ownersOf } from './owners.js';
import { MAX_PAGE, makeToken, nameEncoder, parseLimit, parseToken } from './paging.js';

type Encode = (name: string) => string;

/** Listings of objects, versions and unfinished uploads. */
export const listingHandlers: Handlers = {
  async ListObjects(call) {
    await call.authorize('s3:ListBucket');
    const { parameters } = call.request;
    const marker = parameters.get('marker') ?? '';
    const { limit, prefix, delimiter, page, encode, type } = await listPage(call, marker);
    const owners = await ownersOf(
      call,
      page.objects.map(({ owner }) => owner),
    );
    return xmlResponse(
      xml(
        'ListBucketResult',
        [
          xml('Name', call.bucketName),
          xml('Prefix', encode(prefix)),
          xml('Marker', encode(marker)),
          optional('NextMarker', page.next === null ? undefined : encode(page.next)),
          xml('MaxKeys', limit),
          optional('Delimiter', delimiter === undefined ? undefined : encode(delimiter)),
          optional('EncodingType', type),
          xml('IsTruncated', page.next !== null),
          page.objects.map((object) => contentElement(object, encode, owners)),
          prefixElements(page.commonPrefixes, encode),
        ],
        { xmlns: S3_NAMESPACE },
      ),
    );
  },

  async ListObjectsV2(call) {
    const { parameters } = call.request;
    const version = parameters.get('list-type');
    if (version !== '2') {
      throw invalidArgument(
        'list-type',
        (version ?? '').slice(0, 20),
        'Invalid List Type specified in Request',
      );
    }
    await call.authorize('s3:ListBucket');
    const token = parameters.get('continuation-token');
    const startAfter = parameters.get('start-after');
    const after = token === undefined ? (startAfter ?? '') : parseToken(token);
    const { limit, prefix, delimiter, page, encode, type } = await listPage(call, after);
    const owners =
      parameters.get('fetch-owner') === 'true'
        ? await ownersOf(
            call,
            page.objects.map(({ owner }) => owner),
          )
        : undefined;
    return xmlResponse(
      xml(
        'ListBucketResult',
        [
          xml('Name', call.bucketName),
          xml('Prefix', encode(prefix)),
          optional('StartAfter', startAfter === undefined ? undefined : encode(startAfter)),
          optional('ContinuationToken', token),
          optional('NextContinuationToken', page.next === null ? undefined : makeToken(page.next)),
          xml('KeyCount', page.objects.length + page.commonPrefixes.length),
          xml('MaxKeys', limit),
          optional('Delimiter', delimiter === undefined ? undefined : encode(delimiter)),
          optional('EncodingType', type),
          xml('IsTruncated', page.next !== null),
          page.objects.map((object) => contentElement(object, encode, owners)),
          prefixElements(page.commonPrefixes, encode),
        ],
        { xmlns: S3_NAMESPACE },
      ),
    );
  },

  async ListObjectVersions(call) {
    await call.authorize('s3:ListBucketVersions');
    const { parameters } = call.request;
    const { encode, type } = nameEncoder(parameters);
    const limit = parseLimit(parameters, 'max-keys') ?? MAX_PAGE;
    const [prefix, delimiter] = [parameters.get('prefix') ?? '', delimiterOf(call)];
    const keyMarker = parameters.get('key-marker') ?? '';
    const versionMarker = parameters.get('version-id-marker');
    if (versionMarker !== undefined && versionMarker !== '' && keyMarker === '') {
      throw invalidArgument(
        'version-id-marker',
        versionMarker.slice(0, 100),
        'A version-id marker cannot be specified without a key marker.',
      );
    }
    const page = await call.metadata.listVersions({
      bucket: call.bucketName,
      limit,
      prefix,
      ...(delimiter !== undefined && { delimiter }),
      ...(keyMarker !== '' && { keyMarker }),
      ...(versionMarker !== undefined &&
        versionMarker !== '' && { versionIdMarker: versionMarker }),
    });
    const owners = await ownersOf(
      call,
      page.versions.map(({ owner }) => owner),
    );
    return xmlResponse(
      xml(
        'ListVersionsResult',
        [
          xml('Name', call.bucketName),
          xml('Prefix', encode(prefix)),
          xml('KeyMarker', encode(keyMarker)),
          xml('VersionIdMarker', versionMarker ?? ''),
          optional('NextKeyMarker', page.next === null ? undefined : encode(page.next.keyMarker)),
          optional('NextVersionIdMarker', page.next?.versionIdMarker ?? undefined),
          xml('MaxKeys', limit),
          optional('Delimiter', delimiter === undefined ? undefined : encode(delimiter)),
          optional('EncodingType', type),
          xml('IsTruncated', page.next !== null),
          page.versions.map((version) =>
            xml(version.isDeleteMarker ? 'DeleteMarker' : 'Version', [
              xml('Key', encode(version.key)),
              xml('VersionId', version.versionId),
              xml('IsLatest', version.isLatest),
              xml('LastModified', isoDate(version.modified)),
              ...(version.isDeleteMarker ? [] : factElements(version)),
              ownerElement(owners.get(version.owner)!),
            ]),
          ),
          prefixElements(page.commonPrefixes, encode),
        ],
        { xmlns: S3_NAMESPACE },
      ),
    );
  },

  async ListMultipartUploads(call) {
    await call.authorize('s3:ListBucketMultipartUploads');
    const { parameters } = call.request;
    const { encode, type } = nameEncoder(parameters);
    const limit = parseLimit(parameters, 'max-uploads') ?? MAX_PAGE;
    const [prefix, delimiter] = [parameters.get('prefix') ?? '', delimiterOf(call)];
    const keyMarker = parameters.get('key-marker') ?? '';
    const uploadMarker = parameters.get('upload-id-marker') ?? '';
    const page = await call.metadata.listUploads({
      bucket: call.bucketName,
      limit,
      prefix,
      ...(delimiter !== undefined && { delimiter }),
      ...(keyMarker !== '' && { keyMarker }),
      // Without a key it means nothing.
      ...(keyMarker !== '' && uploadMarker !== '' && { uploadIdMarker: uploadMarker }),
    });
    const owners = await ownersOf(
      call,
      page.uploads.map(({ owner }) => owner),
    );
    return xmlResponse(
      xml(
        'ListMultipartUploadsResult',
        [
          xml('Bucket', call.bucketName),
          xml('KeyMarker', encode(keyMarker)),
          xml('UploadIdMarker', uploadMarker),
          optional('NextKeyMarker', page.next === null ? undefined : encode(page.next.keyMarker)),
          optional('NextUploadIdMarker', page.next?.uploadIdMarker ?? undefined),
          xml('Prefix', encode(prefix)),
          optional('Delimiter', delimiter === undefined ? undefined : encode(delimiter)),
          optional('EncodingType', type),
          xml('MaxUploads', limit),
          xml('IsTruncated', page.next !== null),
          page.uploads.map((upload) => {
            const owner = owners.get(upload.owner)!;
            return xml('Upload', [
              xml('Key', encode(upload.key)),
              xml('UploadId', upload.uploadId),
              ownerElement(owner, 'Initiator'),
              ownerElement(owner),
              xml('StorageClass', upload.storageClass),
              xml('Initiated', isoDate(upload.initiated)),
              optional('ChecksumAlgorithm', textOf(upload.attributes['checksumAlgorithm'])),
              optional('ChecksumType', textOf(upload.attributes['checksumType'])),
            ]);
          }),
          prefixElements(page.commonPrefixes, encode),
        ],
        { xmlns: S3_NAMESPACE },
      ),
    );
  },
};

async function listPage(call: Call, after: string) {
  const { parameters } = call.request;
  const encoder = nameEncoder(parameters);
  const limit = parseLimit(parameters, 'max-keys') ?? MAX_PAGE;
  const [prefix, delimiter] = [parameters.get('prefix') ?? '', delimiterOf(call)];
  const page = await call.metadata.listObjects({
    bucket: call.bucketName,
    limit,
    prefix,
    ...(delimiter !== undefined && { delimiter }),
    ...(after !== '' && { after }),
  });
  return { ...encoder, limit, prefix, delimiter, page };
}

/** An empty delimiter is none. */
function delimiterOf(call: Call): string | undefined {
  return call.request.parameters.get('delimiter') || undefined;
}

function contentElement(
  object: VersionSummary,
  encode: Encode,
  owners: ReadonlyMap<string, AclOwner> | undefined,
): XmlElement {
  return xml('Contents', [
    xml('Key', encode(object.key)),
    xml('LastModified', isoDate(object.modified)),
    ...factElements(object),
    ...(owners === undefined ? [] : [ownerElement(owners.get(object.owner)!)]),
  ]);
}

function factElements({ etag, size, storageClass, checksums }: VersionSummary): XmlElement[] {
  const [checksum] = checksums;
  return [
    xml('ETag', `"${etag}"`),
    ...(checksum === undefined
      ? []
      : [xml('ChecksumAlgorithm', checksum.algorithm), xml('ChecksumType', checksum.type)]),
    xml('Size', size),
    xml('StorageClass', storageClass),
  ];
}

function prefixElements(prefixes: readonly string[], encode: Encode): XmlElement[] {
  return prefixes.map((prefix) => xml('CommonPrefixes', [xml('Prefix', encode(prefix))]));
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
