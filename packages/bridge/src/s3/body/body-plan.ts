import type { HeaderList } from '../header-list.js';
import { S3Error } from '../s3-error.js';
import type { PayloadSigning } from '../signature/claim.js';
import {
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  checksumHeader,
  parseAlgorithm,
  parseBase64,
  parseChecksum,
} from './checksum.js';

/** What a request says of its body: how long it is, how it is encoded, what must be true of it. */
export interface BodyPlan {
  /** Bytes of the payload. */
  readonly length: number;
  /** Set where the payload may end before that. */
  readonly open?: true;
  /** Set where the body is in `aws-chunked` encoding. */
  readonly chunked?: { readonly signed: boolean; readonly trailer: readonly string[] | null };
  /** SHA-256 of the payload that was signed, in hex. */
  readonly sha256?: string;
  /** From `Content-MD5`. */
  readonly md5?: Buffer;
  readonly checksum?: {
    readonly algorithm: ChecksumAlgorithm;
    /** Undefined where it comes in the trailer. */
    readonly value?: Buffer;
  };
}

/** The most bytes that a put may send: 5 GiB, as with S3. */
export const MAX_PUT_BYTES = 5 * 1024 ** 3;

/**
 * Find out what to expect of a body.
 *
 * @param payload - how it is signed; undefined for an anonymous request
 * @throws S3Error MissingContentLength, EntityTooLarge, InvalidDigest, InvalidRequest.
 */
export function planBody(headers: HeaderList, payload: PayloadSigning | undefined): BodyPlan {
  const encoded = payload?.kind === 'chunks';
  const length = lengthOf(headers, encoded);
  if (length > MAX_PUT_BYTES) {
    throw new S3Error('EntityTooLarge', undefined, {
      fields: { ProposedSize: String(length), MaxSizeAllowed: String(MAX_PUT_BYTES) },
    });
  }
  const trailer = trailerOf(headers, payload);
  const checksum = checksumOf(headers, trailer);
  const md5 = md5Of(headers);
  return {
    length,
    ...(encoded && { chunked: { signed: payload.signed, trailer } }),
    ...(payload?.kind === 'hash' && { sha256: payload.sha256 }),
    ...(md5 !== undefined && { md5 }),
    ...(checksum !== undefined && { checksum }),
  };
}

function lengthOf(headers: HeaderList, encoded: boolean): number {
  const name = encoded ? 'x-amz-decoded-content-length' : 'content-length';
  const text = headers.get(name);
  if (text === undefined) {
    if (encoded)
      throw new S3Error('MissingContentLength', `You must provide the ${name} HTTP header.`);
    // No body at all (RFC 9112, 6.3).
    if (!headers.has('transfer-encoding')) return 0;
    throw new S3Error('MissingContentLength');
  }
  if (!/^\d{1,15}$/.test(text)) throw new S3Error('InvalidRequest', `${name} is not a number.`);
  return Number(text);
}

function trailerOf(
  headers: HeaderList,
  payload: PayloadSigning | undefined,
): readonly string[] | null {
  const text = headers.get('x-amz-trailer');
  if (payload?.kind !== 'chunks' || !payload.trailer) {
    if (text === undefined) return null;
    throw new S3Error(
      'InvalidRequest',
      'x-amz-trailer needs an x-amz-content-sha256 that ends in -TRAILER.',
    );
  }
  const names = (text ?? '').split(',').map((name) => name.trim().toLowerCase());
  const known = CHECKSUM_ALGORITHMS.map(checksumHeader);
  if (text === undefined || names.length !== 1 || !known.includes(names[0]!)) {
    throw new S3Error('InvalidRequest', 'x-amz-trailer must name one x-amz-checksum-… field.');
  }
  return names;
}

function checksumOf(headers: HeaderList, trailer: readonly string[] | null): BodyPlan['checksum'] {
  const given = CHECKSUM_ALGORITHMS.filter((algorithm) => headers.has(checksumHeader(algorithm)));
  const inTrailer = CHECKSUM_ALGORITHMS.filter((algorithm) =>
    trailer?.includes(checksumHeader(algorithm)),
  );
  if (given.length + inTrailer.length > 1) {
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    );
  }
  const algorithm = given[0] ?? inTrailer[0];
  const announced = headers.get('x-amz-sdk-checksum-algorithm');
  if (announced !== undefined) {
    const named = parseAlgorithm(announced);
    if (named === undefined) {
      throw new S3Error(
        'InvalidRequest',
        'Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]',
      );
    }
    if (algorithm !== undefined && algorithm !== named) {
      throw new S3Error(
        'InvalidRequest',
        'Value for x-amz-sdk-checksum-algorithm header is invalid: it is not the checksum that was sent.',
      );
    }
    if (algorithm === undefined && !headers.has('content-md5')) {
      throw new S3Error(
        'InvalidRequest',
        'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
      );
    }
  }
  if (algorithm === undefined) return undefined;
  if (given.length === 0) return { algorithm };
  const value = parseChecksum(algorithm, headers.get(checksumHeader(algorithm))!);
  if (value === undefined) {
    throw new S3Error(
      'InvalidRequest',
      `Value for ${checksumHeader(algorithm)} header is invalid.`,
    );
  }
  return { algorithm, value };
}

function md5Of(headers: HeaderList): Buffer | undefined {
  const text = headers.get('content-md5');
  if (text === undefined) return undefined;
  const md5 = parseBase64(text, 16);
  if (md5 === undefined) throw new S3Error('InvalidDigest');
  return md5;
}
