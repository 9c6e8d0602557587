import { createHash } from 'node:crypto';
import type { Checksum, Part } from '../../metadata/records.js';
import {
  type ChecksumAlgorithm,
  createHasher,
  parseAlgorithm,
  parseChecksum,
} from '../body/checksum.js';
import { combineCrc, isCombinable } from '../body/crc-combine.js';
import { S3Error, invalidArgument } from '../s3-error.js';

/** How a multipart upload's checksum is made. */
export interface MultipartChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: Checksum['type'];
}

/**
 * Read what CreateMultipartUpload says of checksums.
 *
 * @returns undefined where it says nothing
 * @throws S3Error InvalidArgument, InvalidRequest for a combination that S3 does not have.
 */
export function multipartChecksum(
  algorithmText: string | undefined,
  typeText: string | undefined,
): MultipartChecksum | undefined {
  if (algorithmText === undefined) {
    if (typeText !== undefined) {
      throw new S3Error(
        'InvalidRequest',
        'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
      );
    }
    return undefined;
  }
  const algorithm = parseAlgorithm(algorithmText);
  if (algorithm === undefined) {
    throw new S3Error(
      'InvalidRequest',
      'Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]',
    );
  }
  const usual = algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE';
  const type = typeText ?? usual;
  if (type !== 'FULL_OBJECT' && type !== 'COMPOSITE') {
    throw invalidArgument(
      'x-amz-checksum-type',
      type.slice(0, 20),
      'Value for x-amz-checksum-type header is invalid.',
    );
  }
  const fits = type === 'FULL_OBJECT' ? isCombinable(algorithm) : algorithm !== 'CRC64NVME';
  if (!fits) {
    throw new S3Error(
      'InvalidRequest',
      `The ${type} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
    );
  }
  return { algorithm, type };
}

/** The ETag of a multipart object: the MD5 of its parts' MD5s, and how many they are. */
export function multipartEtag(etags: readonly string[]): string {
  const hash = createHash('md5');
  for (const etag of etags) hash.update(Buffer.from(etag, 'hex'));
  return `${hash.digest('hex')}-${etags.length}`;
}

/**
 * The checksum of a multipart object from those of its parts.
 *
 * @returns undefined where a part has none of the algorithm
 */
export async function wholeChecksum(
  { algorithm, type }: MultipartChecksum,
  parts: readonly Pick<Part, 'size' | 'checksums'>[],
): Promise<Checksum | undefined> {
  const values: Buffer[] = [];
  for (const { checksums } of parts) {
    const found = checksums.find((checksum) => checksum.algorithm === algorithm);
    const bytes = found === undefined ? undefined : parseChecksum(algorithm, found.value);
    if (bytes === undefined) return undefined;
    values.push(bytes);
  }
  if (type === 'FULL_OBJECT') {
    const whole = values.reduce((sum, value, i) =>
      combineCrc(algorithm, sum, value, parts[i]!.size),
    );
    return { algorithm, type, value: whole.toString('base64') };
  }
  const hasher = await createHasher(algorithm);
  for (const value of values) hasher.update(value);
  return { algorithm, type, value: `${hasher.digest().toString('base64')}-${parts.length}` };
}
