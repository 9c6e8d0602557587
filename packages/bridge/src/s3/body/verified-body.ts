import { createHash } from 'node:crypto';
import { S3Error } from '../s3-error.js';
import type { ChunkSigner } from '../signature/chunk-signer.js';
import { decodeAwsChunked } from './aws-chunked.js';
import type { BodyPlan } from './body-plan.js';
import {
  type ChecksumAlgorithm,
  type Hasher,
  checksumHeader,
  createHasher,
  parseChecksum,
} from './checksum.js';

/** What was found out about a payload while it went by. */
export interface BodyFacts {
  /** Bytes. */
  readonly size: number;
  /** MD5 in hex. */
  readonly md5: string;
  /** The checksums that were computed, in base64. */
  readonly checksums: ReadonlyMap<ChecksumAlgorithm, string>;
}

/** A payload that is verified as it is read. */
export interface VerifiedBody {
  /**
   * The payload. **It is good only when it has ended without an error.** To be read once.
   *
   * @throws S3Error IncompleteBody, BadDigest, XAmzContentSHA256Mismatch, SignatureDoesNotMatch, …
   */
  readonly stream: AsyncIterable<Uint8Array>;
  /** What was found; to be asked for when the stream has ended. */
  facts(): BodyFacts;
}

/**
 * Verify a body against its plan: length, chunk signatures, SHA-256, MD5 and checksum.
 *
 * @param signer - for chunks that are signed
 * @param also - a checksum to be computed besides
 */
export function verifiedBody(
  source: AsyncIterable<Uint8Array>,
  plan: BodyPlan,
  signer: ChunkSigner | undefined,
  also?: ChecksumAlgorithm,
): VerifiedBody {
  let facts: BodyFacts | undefined;
  async function* stream(): AsyncGenerator<Uint8Array> {
    const md5 = createHash('md5');
    const sha256 = plan.sha256 === undefined ? undefined : createHash('sha256');
    const hashers = new Map<ChecksumAlgorithm, Hasher>();
    for (const algorithm of new Set([plan.checksum?.algorithm, also])) {
      if (algorithm !== undefined) hashers.set(algorithm, await createHasher(algorithm));
    }
    let trailer: ReadonlyMap<string, string> = new Map();
    const payload =
      plan.chunked === undefined
        ? source
        : decodeAwsChunked(source, {
            ...(plan.chunked.signed && { signer: signer! }),
            trailer: plan.chunked.trailer,
            length: plan.length,
            onTrailer: (fields) => (trailer = fields),
          });
    let size = 0;
    for await (const part of payload) {
      size += part.length;
      if (size > plan.length) throw wrongLength();
      md5.update(part);
      sha256?.update(part);
      for (const hasher of hashers.values()) hasher.update(part);
      yield part;
    }
    if (size !== plan.length && plan.open !== true) throw wrongLength();
    if (sha256 !== undefined && sha256.digest('hex') !== plan.sha256) {
      throw new S3Error('XAmzContentSHA256Mismatch');
    }
    const md5Bytes = md5.digest();
    if (plan.md5 !== undefined && !plan.md5.equals(md5Bytes)) {
      throw new S3Error(
        'BadDigest',
        'The Content-MD5 you specified did not match what we received.',
        {
          fields: {
            ExpectedDigest: plan.md5.toString('base64'),
            CalculatedDigest: md5Bytes.toString('base64'),
          },
        },
      );
    }
    const digests = new Map([...hashers].map(([name, hasher]) => [name, hasher.digest()] as const));
    if (plan.checksum !== undefined) checkChecksum(plan.checksum, digests, trailer);
    facts = {
      size,
      md5: md5Bytes.toString('hex'),
      checksums: new Map([...digests].map(([name, bytes]) => [name, bytes.toString('base64')])),
    };
  }
  return {
    stream: stream(),
    facts() {
      if (facts === undefined) throw new Error('the body was not read to its end');
      return facts;
    },
  };
}

/** Read a whole body that has to be small. @throws S3Error MaxMessageLengthExceeded, and what a verified body throws. */
export async function readSmallBody(
  { stream }: VerifiedBody,
  plan: BodyPlan,
  most: number,
): Promise<Buffer> {
  if (plan.length > most) {
    throw new S3Error('MaxMessageLengthExceeded', undefined, {
      fields: { MaxMessageLengthBytes: String(most) },
    });
  }
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

function checkChecksum(
  { algorithm, value }: NonNullable<BodyPlan['checksum']>,
  digests: ReadonlyMap<ChecksumAlgorithm, Buffer>,
  trailer: ReadonlyMap<string, string>,
): void {
  const name = checksumHeader(algorithm);
  const expected = value ?? parseChecksum(algorithm, trailer.get(name) ?? '');
  if (expected === undefined) {
    throw new S3Error('InvalidRequest', `Value for ${name} trailing header is invalid.`);
  }
  if (!expected.equals(digests.get(algorithm)!)) {
    throw new S3Error(
      'BadDigest',
      `The ${algorithm} you specified did not match the calculated checksum.`,
    );
  }
}

function wrongLength(): S3Error {
  return new S3Error('IncompleteBody');
}
