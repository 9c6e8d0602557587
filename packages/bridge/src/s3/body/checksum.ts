import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { createCRC32, createCRC64 } from 'hash-wasm';

/** The checksums that S3 knows, as its headers and documents name them. */
export const CHECKSUM_ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;

/** One of {@link CHECKSUM_ALGORITHMS}. */
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

/** Length of a checksum in bytes. */
export const CHECKSUM_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
};

/** A checksum under way. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** The checksum, big-endian for the CRCs. Only once. */
  digest(): Buffer;
}

/** Polynomials, reversed: CRC-32C of RFC 3720, CRC-64/NVME of the NVM Command Set specification. */
const CASTAGNOLI = 0x82f63b78;
const NVME = '9a6c9329ac4bc9b5';

/** Begin a checksum. */
export async function createHasher(algorithm: ChecksumAlgorithm): Promise<Hasher> {
  switch (algorithm) {
    case 'CRC32':
      return crc32Hasher();
    case 'CRC32C':
      return wasmHasher(await createCRC32(CASTAGNOLI));
    case 'CRC64NVME':
      return wasmHasher(await createCRC64(NVME));
    case 'SHA1':
    case 'SHA256': {
      const hash = createHash(algorithm);
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() };
    }
  }
}

function crc32Hasher(): Hasher {
  let value = 0;
  return {
    update: (bytes) => void (value = crc32(bytes, value)),
    digest() {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value);
      return bytes;
    },
  };
}

function wasmHasher(hash: {
  init(): unknown;
  update(bytes: Uint8Array): unknown;
  digest(format: 'binary'): Uint8Array;
}): Hasher {
  hash.init();
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => Buffer.from(hash.digest('binary')),
  };
}

/** The name of the header, and of the trailer field, that carries a checksum. */
export function checksumHeader(algorithm: ChecksumAlgorithm): string {
  return `x-amz-checksum-${algorithm.toLowerCase()}`;
}

/** An algorithm by its name in any case; undefined for one that S3 does not know. */
export function parseAlgorithm(name: string): ChecksumAlgorithm | undefined {
  const upper = name.toUpperCase();
  return CHECKSUM_ALGORITHMS.find((algorithm) => algorithm === upper);
}

/** A checksum's bytes from base64; undefined where they are not exactly that many bytes in base64. */
export function parseChecksum(algorithm: ChecksumAlgorithm, text: string): Buffer | undefined {
  return parseBase64(text, CHECKSUM_BYTES[algorithm]);
}

/** Bytes from strict base64 of a given length. */
export function parseBase64(text: string, length: number): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === length && bytes.toString('base64') === text ? bytes : undefined;
}
