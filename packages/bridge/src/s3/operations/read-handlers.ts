import { ContentGoneError } from '../../contents/object-backend.js';
import { readBody } from '../../contents/content-reader.js';
import type { ObjectVersion, Part } from '../../metadata/records.js';
import { type ByteRange, parseRange } from '../byte-range.js';
import type { Call } from '../call.js';
import { checkReadConditions } from '../conditional.js';
import type { CustomerKey } from '../../contents/customer-key.js';
import { checkVersionKey, customerKeyOf, encryptionHeaders } from '../customer-encryption.js';
import { httpDate } from '../http-date.js';
import { headerValue, hasOverrides, responseOverrides } from '../object-headers.js';
import { S3Error, invalidArgument } from '../s3-error.js';
import { type S3Response, emptyResponse, xmlResponse } from '../s3-response.js';
import { S3_NAMESPACE, type XmlElement, optional, xml } from '../xml-writer.js';
import { findVersion } from './find-version.js';
import type { Handlers } from './handler.js';
import { MAX_PAGE, limitOf } from './paging.js';
import { refuseUnsupported } from './unsupported-headers.js';
import { checksumHeaders, versionHeaders, versionIdHeader } from './version-headers.js';

/** How often a read begins anew when its version is replaced under it. */
const READ_TRIES = 3;

/** Reading objects. */
export const readHandlers: Handlers = {
  async HeadObject(call) {
    const { response } = await describe(call);
    return response;
  },

  async GetObject(call) {
    for (let attempt = 1; ; attempt++) {
      const { response, version, range, key } = await describe(call);
      if (range.length === 0) return response;
      try {
        const { signal } = call.request;
        const body = await begun(readBody(call.deps, version, range, signal, key));
        return { ...response, body };
      } catch (error) {
        // It was replaced between our look and our read; a version that was named can't be.
        if (!(error instanceof ContentGoneError) || attempt === READ_TRIES) throw error;
      }
    }
  },

  async GetObjectAttributes(call) {
    refuseUnsupported(call.request.headers);
    const { headers } = call.request;
    const wanted = new Set(
      (headers.get('x-amz-object-attributes') ?? '').split(',').map((name) => name.trim()),
    );
    const known = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'];
    const wrong = [...wanted].find((name) => !known.includes(name));
    if (wrong !== undefined) {
      throw invalidArgument(
        'x-amz-object-attributes',
        wrong.slice(0, 50),
        'Invalid attribute name specified.',
      );
    }
    const action =
      call.versionId === undefined ? 's3:GetObjectAttributes' : 's3:GetObjectVersionAttributes';
    const bucket = await call.bucket();
    const version = await findVersion(call, action, { key: call.key, versionId: call.versionId });
    checkVersionKey(customerKeyOf(call.request), version);
    const [checksum] = version.checksums;
    return xmlResponse(
      xml(
        'GetObjectAttributesResponse',
        [
          optional('ETag', wanted.has('ETag') ? version.etag : undefined),
          wanted.has('Checksum') && checksum !== undefined
            ? xml('Checksum', [
                xml(`Checksum${checksum.algorithm}`, checksum.value),
                xml('ChecksumType', checksum.type),
              ])
            : undefined,
          wanted.has('ObjectParts') ? await partsElement(call, version) : undefined,
          optional('StorageClass', wanted.has('StorageClass') ? version.storageClass : undefined),
          optional('ObjectSize', wanted.has('ObjectSize') ? version.size : undefined),
        ],
        { xmlns: S3_NAMESPACE },
      ),
      {
        'last-modified': httpDate(version.modified),
        ...versionIdHeader(bucket, version.versionId),
      },
    );
  },
};

interface Description {
  /** The answer without its body. */
  readonly response: S3Response;
  readonly version: ObjectVersion;
  /** The client's key that it is encrypted by. */
  readonly key?: CustomerKey;
  /** What is to be sent; of length 0 when it is nothing. */
  readonly range: ByteRange;
}

async function describe(call: Call): Promise<Description> {
  const { request } = call;
  const { headers, parameters } = request;
  refuseUnsupported(headers);
  if (hasOverrides(parameters) && call.caller === null) {
    throw new S3Error(
      'InvalidRequest',
      'Request specific response headers cannot be used for anonymous GET requests.',
    );
  }
  const action = call.versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion';
  const bucket = await call.bucket();
  const version = await findVersion(call, action, { key: call.key, versionId: call.versionId });
  const key = customerKeyOf(call.request);
  checkVersionKey(key, version);
  const found = { version, ...(key !== undefined && { key }) };
  const about = {
    ...versionHeaders(bucket, version),
    ...encryptionHeaders(key),
    ...Object.fromEntries(
      Object.entries(responseOverrides(parameters)).map(([name, value]) => [
        name,
        headerValue(value),
      ]),
    ),
  };
  try {
    checkReadConditions(headers, version);
  } catch (error) {
    if (!(error instanceof S3Error) || error.code !== 'XNotModified') throw error;
    const { etag, 'last-modified': modified } = about;
    const cache = version.details.headers['cache-control'];
    throw new S3Error('XNotModified', undefined, {
      headers: {
        etag: etag!,
        'last-modified': modified!,
        ...(cache !== undefined && { 'cache-control': headerValue(cache) }),
      },
    });
  }
  const partNumber = parameters.get('partNumber');
  if (partNumber !== undefined) {
    return { ...found, ...(await describePart(call, version, about, partNumber)) };
  }
  const range = parseRange(rangeHeader(call, version), version.size);
  if (range !== undefined) {
    return {
      ...found,
      range,
      response: emptyResponse(206, { ...about, ...rangeHeaders(range, version.size) }),
    };
  }
  return {
    ...found,
    range: { offset: 0, length: version.size },
    response: emptyResponse(200, {
      ...about,
      ...(wantsChecksums(call) && checksumHeaders(version.checksums)),
      'content-length': String(version.size),
    }),
  };
}

async function describePart(
  call: Call,
  version: ObjectVersion,
  about: Record<string, string>,
  text: string,
): Promise<Description> {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 10_000) {
    throw invalidArgument(
      'partNumber',
      text.slice(0, 20),
      'Part number must be an integer between 1 and 10000, inclusive',
    );
  }
  if (call.request.headers.has('range')) {
    throw new S3Error(
      'InvalidRequest',
      'Cannot specify both Range header and partNumber query parameter',
    );
  }
  const { body, size } = version;
  if (body.kind !== 'parts') {
    if (text !== '1') throw new S3Error('InvalidPartNumber');
    const range = { offset: 0, length: size };
    const headers = size === 0 ? { 'content-length': '0' } : rangeHeaders(range, size);
    return { version, range, response: emptyResponse(206, { ...about, ...headers }) };
  }
  const [part] = await call.metadata.versionParts(body.partsId, { partNumber: Number(text) }, 1);
  if (part === undefined || part.partNumber !== Number(text))
    throw new S3Error('InvalidPartNumber');
  const range = { offset: part.start, length: part.size };
  return {
    version,
    range,
    response: emptyResponse(206, {
      ...about,
      ...(wantsChecksums(call) && checksumHeaders(part.checksums)),
      ...rangeHeaders(range, size),
      'x-amz-mp-parts-count': String(body.count),
    }),
  };
}

/** `If-Range` (RFC 9110, 13.1.5): a range of another version is no use, so the whole is sent. */
function rangeHeader({ request }: Call, version: ObjectVersion): string | undefined {
  const range = request.headers.get('range');
  const ifRange = request.headers.get('if-range');
  if (range === undefined || ifRange === undefined) return range;
  const same = ifRange.startsWith('"')
    ? ifRange === `"${version.etag}"`
    : ifRange === httpDate(version.modified);
  return same ? range : undefined;
}

function rangeHeaders({ offset, length }: ByteRange, size: number): Record<string, string> {
  return {
    'content-length': String(length),
    'content-range': `bytes ${offset}-${offset + length - 1}/${size}`,
  };
}

function wantsChecksums({ request }: Call): boolean {
  return request.headers.get('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';
}

/** Wait for the first bytes, so that what goes wrong before them is an error and not a cut-off answer. */
async function begun(stream: AsyncGenerator<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const first = await stream.next();
  return (async function* () {
    try {
      if (first.done === true) return;
      yield first.value;
      yield* stream;
    } finally {
      await stream.return(undefined);
    }
  })();
}

async function partsElement(call: Call, version: ObjectVersion): Promise<XmlElement | undefined> {
  const { body } = version;
  if (body.kind !== 'parts') return undefined;
  const { headers } = call.request;
  const limit = limitOf('x-amz-max-parts', headers.get('x-amz-max-parts')) ?? MAX_PAGE;
  const marker = Number(headers.get('x-amz-part-number-marker') ?? 0) || 0;
  const found = await call.metadata.versionParts(
    body.partsId,
    { partNumber: marker + 1 },
    limit + 1,
  );
  const parts: readonly Part[] = found.slice(0, limit);
  const truncated = found.length > limit;
  const withChecksums = parts.some(({ checksums }) => checksums.length > 0);
  return xml('ObjectParts', [
    xml('PartsCount', body.count),
    xml('PartNumberMarker', marker),
    optional('NextPartNumberMarker', truncated ? parts.at(-1)?.partNumber : undefined),
    xml('MaxParts', limit),
    xml('IsTruncated', truncated),
    // S3 lists the parts themselves only where they have checksums.
    withChecksums
      ? parts.map((part) =>
          xml('Part', [
            ...part.checksums.map(({ algorithm, value }) => xml(`Checksum${algorithm}`, value)),
            xml('PartNumber', part.partNumber),
            xml('Size', part.size),
          ]),
        )
      : undefined,
  ]);
}
