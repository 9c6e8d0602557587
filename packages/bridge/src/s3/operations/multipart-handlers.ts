import { readBody } from '../../contents/content-reader.js';
import { sharedBody } from '../../contents/shared-body.js';
import type { Checksum, Part, Upload } from '../../metadata/records.js';
import type { BodyPlan } from '../body/body-plan.js';
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm, checksumHeader } from '../body/checksum.js';
import { type VerifiedBody, verifiedBody } from '../body/verified-body.js';
import type { CustomerKey } from '../../contents/customer-key.js';
import { checkUploadKey, customerKeyOf, encryptionHeaders } from '../customer-encryption.js';
import { fullChecksums, storePayload } from './store-payload.js';
import type { Call } from '../call.js';
import { unquote, writeConditions } from '../conditional.js';
import { isoDate } from '../http-date.js';
import { S3Error, invalidArgument } from '../s3-error.js';
import { emptyResponse, xmlResponse } from '../s3-response.js';
import { type XmlNode, readXml } from '../xml-reader.js';
import { S3_NAMESPACE, optional, xml } from '../xml-writer.js';
import type { Handlers } from './handler.js';
import {
  type MultipartChecksum,
  multipartChecksum,
  multipartEtag,
  wholeChecksum,
} from './multipart-checksums.js';
import { ownerElement, ownerOf } from './owners.js';
import { MAX_PAGE, limitOf, nameEncoder } from './paging.js';
import { refuseUnsupported } from './unsupported-headers.js';
import { findSource, sourceRange, writeAttributes, writtenHeaders } from './write-handlers.js';

/** The most parts of an upload. */
const MAX_PARTS = 10_000;
/** The largest object that can be put together: 5 TiB, as with S3. */
const MAX_OBJECT_BYTES = 5 * 1024 ** 4;
/** A document that names ten thousand parts with checksums is not larger. */
const COMPLETE_BYTES = 4 * 1024 * 1024;

/** Multipart uploads. */
export const multipartHandlers: Handlers = {
  async CreateMultipartUpload(call) {
    const { headers } = call.request;
    const key = customerKeyOf(call.request);
    const attributes = await writeAttributes(call, key);
    const checksum = multipartChecksum(
      headers.get('x-amz-checksum-algorithm'),
      headers.get('x-amz-checksum-type'),
    );
    const upload = await call.metadata.createUpload({
      bucket: call.bucketName,
      key: call.key,
      ...attributes,
      attributes:
        checksum === undefined
          ? {}
          : { checksumAlgorithm: checksum.algorithm, checksumType: checksum.type },
    });
    return xmlResponse(
      xml(
        'InitiateMultipartUploadResult',
        [xml('Bucket', upload.bucket), xml('Key', upload.key), xml('UploadId', upload.uploadId)],
        { xmlns: S3_NAMESPACE },
      ),
      {
        ...encryptionHeaders(key),
        ...(checksum !== undefined && {
          'x-amz-checksum-algorithm': checksum.algorithm,
          'x-amz-checksum-type': checksum.type,
        }),
      },
    );
  },

  async UploadPart(call) {
    refuseUnsupported(call.request.headers);
    await call.authorize('s3:PutObject', { key: call.key });
    const partNumber = partNumberOf(call);
    const upload = await findUpload(call);
    const key = customerKeyOf(call.request);
    checkUploadKey(key, upload);
    const expected = checksumOf(upload);
    const given = call.plan.checksum?.algorithm;
    if (given !== undefined && expected !== undefined && given !== expected.algorithm) {
      throw new S3Error(
        'InvalidRequest',
        `Checksum Type mismatch occurred, expected checksum Type: ${expected.algorithm.toLowerCase()}, actual checksum Type: ${given.toLowerCase()}`,
      );
    }
    const payload = call.payload(expected?.algorithm);
    const part = await storePart(call, upload, partNumber, payload, key);
    return emptyResponse(200, {
      etag: `"${part.etag}"`,
      ...encryptionHeaders(key),
      ...Object.fromEntries(
        part.checksums.map(({ algorithm, value }) => [checksumHeader(algorithm), value]),
      ),
    });
  },

  async UploadPartCopy(call) {
    refuseUnsupported(call.request.headers);
    await call.authorize('s3:PutObject', { key: call.key });
    const partNumber = partNumberOf(call);
    const upload = await findUpload(call);
    const [sourceKey, key] = [
      customerKeyOf(call.request, 'copy-source-'),
      customerKeyOf(call.request),
    ];
    checkUploadKey(key, upload);
    const source = await findSource(call, sourceKey);
    const range = sourceRange(call, source);
    const stream = readBody(call.deps, source, range, call.request.signal, sourceKey);
    const plan: BodyPlan = { length: range.length };
    const payload = verifiedBody(stream, plan, undefined, checksumOf(upload)?.algorithm);
    // What a client's key has sealed is not cut: a run of it is no whole.
    const shared =
      key === undefined && sourceKey === undefined
        ? await sharedBody(call.metadata, source.body, range)
        : undefined;
    const part =
      shared === undefined
        ? await copyPart(call, upload, partNumber, payload, key)
        : await sharePart(call, upload, partNumber, payload, shared);
    return xmlResponse(
      xml(
        'CopyPartResult',
        [
          xml('LastModified', isoDate(part.modified)),
          xml('ETag', `"${part.etag}"`),
          part.checksums.map(({ algorithm, value }) => xml(`Checksum${algorithm}`, value)),
        ],
        { xmlns: S3_NAMESPACE },
      ),
      { 'x-amz-copy-source-version-id': source.versionId, ...encryptionHeaders(key) },
    );
  },

  async ListParts(call) {
    await call.authorize('s3:ListMultipartUploadParts', { key: call.key });
    const { parameters } = call.request;
    const upload = await findUpload(call);
    const { encode, type } = nameEncoder(parameters);
    const limit = limitOf('max-parts', parameters.get('max-parts')) ?? MAX_PAGE;
    const marker =
      limitOf('part-number-marker', parameters.get('part-number-marker'), MAX_PARTS) ?? 0;
    const found = await call.metadata.listParts(
      upload.bucket,
      upload.key,
      upload.uploadId,
      marker,
      Math.max(1, Math.min(limit, MAX_PAGE)),
    );
    const parts = found.slice(0, limit);
    const more =
      parts.length > 0 &&
      (
        await call.metadata.listParts(
          upload.bucket,
          upload.key,
          upload.uploadId,
          parts.at(-1)!.partNumber,
          1,
        )
      ).length > 0;
    const owner = await ownerOf(call, upload.owner);
    const checksum = checksumOf(upload);
    return xmlResponse(
      xml(
        'ListPartsResult',
        [
          optional('EncodingType', type),
          xml('Bucket', upload.bucket),
          xml('Key', encode(upload.key)),
          xml('UploadId', upload.uploadId),
          ownerElement(owner, 'Initiator'),
          ownerElement(owner),
          xml('StorageClass', upload.storageClass),
          xml('PartNumberMarker', marker),
          optional('NextPartNumberMarker', parts.at(-1)?.partNumber),
          xml('MaxParts', limit),
          xml('IsTruncated', more),
          optional('ChecksumAlgorithm', checksum?.algorithm),
          optional('ChecksumType', checksum?.type),
          parts.map((part) =>
            xml('Part', [
              xml('PartNumber', part.partNumber),
              xml('LastModified', isoDate(part.modified)),
              xml('ETag', `"${part.etag}"`),
              xml('Size', part.size),
              ...part.checksums.map(({ algorithm, value }) => xml(`Checksum${algorithm}`, value)),
            ]),
          ),
        ],
        { xmlns: S3_NAMESPACE },
      ),
    );
  },

  async CompleteMultipartUpload(call) {
    const { headers } = call.request;
    refuseUnsupported(headers);
    await call.authorize('s3:PutObject', { key: call.key });
    const precondition = writeConditions(headers);
    const named = readParts(
      readXml(await call.document(COMPLETE_BYTES), 'CompleteMultipartUpload'),
    );
    const uploadId = call.request.parameters.get('uploadId')!;
    const upload = await call.metadata.upload(call.bucketName, call.key, uploadId);
    const key = customerKeyOf(call.request);
    if (upload !== undefined && key !== undefined) checkUploadKey(key, upload);
    const checksums = upload === undefined ? [] : await checkParts(call, upload, named);
    const version = await call.metadata.completeUpload(call.bucketName, call.key, uploadId, {
      parts: named.map(({ partNumber, etag }) => ({ partNumber, etag })),
      etag: multipartEtag(named.map(({ etag }) => etag)),
      checksums,
      ...(precondition !== undefined && { precondition }),
    });
    const { etag, ...written } = writtenHeaders(await call.bucket(), version, key);
    return xmlResponse(
      xml(
        'CompleteMultipartUploadResult',
        [
          xml('Location', locationOf(call)),
          xml('Bucket', call.bucketName),
          xml('Key', call.key),
          xml('ETag', etag!),
          version.checksums.flatMap(({ algorithm, value, type }) => [
            xml(`Checksum${algorithm}`, value),
            xml('ChecksumType', type),
          ]),
        ],
        { xmlns: S3_NAMESPACE },
      ),
      Object.fromEntries(
        Object.entries(written).filter(([name]) => !name.startsWith('x-amz-checksum-')),
      ),
    );
  },

  async AbortMultipartUpload(call) {
    await call.authorize('s3:AbortMultipartUpload', { key: call.key });
    await call.metadata.abortUpload(
      call.bucketName,
      call.key,
      call.request.parameters.get('uploadId')!,
    );
    return emptyResponse(204);
  },
};

/** A part that a complete names. */
interface NamedPart {
  readonly partNumber: number;
  /** Without quotes. */
  readonly etag: string;
  readonly checksums: ReadonlyMap<ChecksumAlgorithm, string>;
}

async function findUpload(call: Call): Promise<Upload> {
  const uploadId = call.request.parameters.get('uploadId')!;
  const upload = await call.metadata.upload(call.bucketName, call.key, uploadId);
  if (upload === undefined) {
    throw new S3Error('NoSuchUpload', undefined, { fields: { UploadId: uploadId.slice(0, 100) } });
  }
  return upload;
}

function checksumOf({ attributes }: Upload): MultipartChecksum | undefined {
  const { checksumAlgorithm, checksumType } = attributes as {
    checksumAlgorithm?: ChecksumAlgorithm;
    checksumType?: Checksum['type'];
  };
  return checksumAlgorithm === undefined
    ? undefined
    : { algorithm: checksumAlgorithm, type: checksumType ?? 'COMPOSITE' };
}

function partNumberOf({ request }: Call): number {
  const text = request.parameters.get('partNumber') ?? '';
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > MAX_PARTS) {
    throw invalidArgument(
      'partNumber',
      text.slice(0, 20),
      `Part number must be an integer between 1 and ${MAX_PARTS}, inclusive`,
    );
  }
  return number;
}

async function storePart(
  call: Call,
  { bucket, key, uploadId }: Upload,
  partNumber: number,
  payload: VerifiedBody,
  customerKey: CustomerKey | undefined,
): Promise<Part> {
  const stored = await storePayload(call, payload, customerKey);
  try {
    return await call.metadata.putPart(bucket, key, uploadId, { partNumber, ...stored.held });
  } catch (error) {
    await stored.abandon();
    throw error;
  }
}

async function copyPart(
  call: Call,
  upload: Upload,
  partNumber: number,
  payload: VerifiedBody,
  key: CustomerKey | undefined,
): Promise<Part> {
  const give = await call.deps.copies.take(call.request.signal);
  try {
    return await storePart(call, upload, partNumber, payload, key);
  } finally {
    give();
  }
}

/** Refer to bytes that are there already; they are read all the same, for their MD5. */
async function sharePart(
  call: Call,
  { bucket, key, uploadId }: Upload,
  partNumber: number,
  payload: VerifiedBody,
  body: Part['body'],
): Promise<Part> {
  const bytes = payload.stream[Symbol.asyncIterator]();
  while ((await bytes.next()).done !== true) call.request.signal.throwIfAborted();
  const facts = payload.facts();
  return call.metadata.putPart(bucket, key, uploadId, {
    partNumber,
    size: facts.size,
    etag: facts.md5,
    checksums: fullChecksums(facts),
    body,
  });
}

function readParts(root: XmlNode): NamedPart[] {
  const nodes = root.all('Part');
  if (nodes.length === 0 || nodes.length > MAX_PARTS) {
    throw new S3Error('MalformedXML', `A <CompleteMultipartUpload> has 1 to ${MAX_PARTS} <Part>s.`);
  }
  const parts = nodes.map((node) => {
    const number = node.required('PartNumber');
    if (!/^\d{1,5}$/.test(number)) throw new S3Error('MalformedXML');
    const etag = unquote(node.required('ETag'));
    if (!/^[0-9a-f]{32}$/.test(etag)) throw invalidPart(Number(number), etag);
    const checksums = new Map<ChecksumAlgorithm, string>();
    for (const algorithm of CHECKSUM_ALGORITHMS) {
      const value = node.textOf(`Checksum${algorithm}`);
      if (value !== undefined && value !== '') checksums.set(algorithm, value);
    }
    return { partNumber: Number(number), etag, checksums };
  });
  if (parts.some(({ partNumber }, i) => i > 0 && parts[i - 1]!.partNumber >= partNumber)) {
    throw new S3Error('InvalidPartOrder');
  }
  return parts;
}

/** Check what a complete names against what was uploaded; the object's checksums. */
async function checkParts(
  call: Call,
  upload: Upload,
  named: readonly NamedPart[],
): Promise<Checksum[]> {
  const { headers } = call.request;
  const there = await allParts(call, upload);
  const parts = named.map((name) => {
    const part = there.get(name.partNumber);
    if (part === undefined || part.etag !== name.etag)
      throw invalidPart(name.partNumber, name.etag);
    for (const [algorithm, value] of name.checksums) {
      const found = part.checksums.find((checksum) => checksum.algorithm === algorithm);
      if (found !== undefined && found.value !== value)
        throw invalidPart(name.partNumber, name.etag);
    }
    return part;
  });
  const small = parts.slice(0, -1).find(({ size }) => size < call.deps.limits.minPartBytes);
  if (small !== undefined) {
    throw new S3Error(
      'EntityTooSmall',
      'Your proposed upload is smaller than the minimum allowed size',
      {
        fields: {
          ETag: small.etag,
          MinSizeAllowed: String(call.deps.limits.minPartBytes),
          ProposedSize: String(small.size),
          PartNumber: String(small.partNumber),
        },
      },
    );
  }
  const size = parts.reduce((sum, part) => sum + part.size, 0);
  if (size > MAX_OBJECT_BYTES) throw new S3Error('EntityTooLarge');
  const announced = headers.get('x-amz-mp-object-size');
  if (announced !== undefined && announced !== String(size)) {
    throw new S3Error(
      'InvalidRequest',
      `The provided 'x-amz-mp-object-size' header value ${announced.slice(0, 20)} does not match what was computed: ${size}`,
    );
  }
  const kind = checksumOf(upload);
  const whole = kind === undefined ? undefined : await wholeChecksum(kind, parts);
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = headers.get(checksumHeader(algorithm));
    if (value === undefined) continue;
    const ours = whole?.algorithm === algorithm ? whole.value : undefined;
    if (ours !== value && ours?.replace(/-\d+$/, '') !== value) {
      throw new S3Error(
        'BadDigest',
        `The ${algorithm.toLowerCase()} you specified did not match the calculated checksum.`,
      );
    }
  }
  return whole === undefined ? [] : [whole];
}

async function allParts(call: Call, upload: Upload): Promise<ReadonlyMap<number, Part>> {
  const all = new Map<number, Part>();
  for (let after = 0; ;) {
    const page = await call.metadata.listParts(
      upload.bucket,
      upload.key,
      upload.uploadId,
      after,
      MAX_PAGE,
    );
    for (const part of page) all.set(part.partNumber, part);
    if (page.length < MAX_PAGE) return all;
    after = page.at(-1)!.partNumber;
  }
}

function invalidPart(partNumber: number, etag: string): S3Error {
  return new S3Error('InvalidPart', undefined, {
    fields: { PartNumber: String(partNumber), ETag: etag.slice(0, 64) },
  });
}

function locationOf({ request, bucketName, key }: Call): string {
  const path = key.split('/').map(encodeURIComponent).join('/');
  const host = request.headers.get('host') ?? 'localhost';
  const scheme = request.secure ? 'https' : 'http';
  return request.virtualHost
    ? `${scheme}://${host}/${path}`
    : `${scheme}://${host}/${bucketName}/${path}`;
}
