import type { ChecksumAlgorithm } from './checksum.js';

/** Width in bits and reversed polynomial of the CRCs that can be combined. */
const CRCS: Partial<Record<ChecksumAlgorithm, readonly [width: number, polynomial: bigint]>> = {
  CRC32: [32, 0xedb88320n],
  CRC32C: [32, 0x82f63b78n],
  CRC64NVME: [64, 0x9a6c9329ac4bc9b5n],
};

/** Whether the checksum of a whole follows from those of its parts. */
export function isCombinable(algorithm: ChecksumAlgorithm): boolean {
  return CRCS[algorithm] !== undefined;
}

/**
 * The CRC of two runs of bytes together, from the CRC of each and the length of the second:
 * appending zero bytes is a linear map over GF(2), applied by repeated squaring (as zlib's
 * crc32_combine does).
 *
 * @param first, second - checksums, big-endian
 * @param length - bytes of the second run
 * @throws RangeError for a checksum that is not a CRC
 */
export function combineCrc(
  algorithm: ChecksumAlgorithm,
  first: Uint8Array,
  second: Uint8Array,
  length: number,
): Buffer {
  const crc = CRCS[algorithm];
  if (crc === undefined) throw new RangeError(`${algorithm} can't be combined`);
  const [width, polynomial] = crc;
  let value = toBigInt(first);
  // The map of one zero bit: row i is what bit i becomes.
  let map = Array.from({ length: width }, (_, i) => (i === 0 ? polynomial : 1n << BigInt(i - 1)));
  let bits = BigInt(length) * 8n;
  while (bits > 0n) {
    if ((bits & 1n) === 1n) value = apply(map, value);
    bits >>= 1n;
    if (bits > 0n) map = map.map((row) => apply(map, row));
  }
  const hex = (value ^ toBigInt(second)).toString(16).padStart(width / 4, '0');
  return Buffer.from(hex, 'hex');
}

function apply(map: readonly bigint[], value: bigint): bigint {
  let [result, rest, i] = [0n, value, 0];
  while (rest > 0n) {
    if ((rest & 1n) === 1n) result ^= map[i]!;
    rest >>= 1n;
    i += 1;
  }
  return result;
}

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}
