import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChecksumAlgorithm, createHasher } from './checksum.js';
import { combineCrc, isCombinable } from './crc-combine.js';

async function of(algorithm: ChecksumAlgorithm, ...parts: Uint8Array[]): Promise<Buffer> {
  const hasher = await createHasher(algorithm);
  for (const part of parts) hasher.update(part);
  return hasher.digest();
}

describe.each(['CRC32', 'CRC32C', 'CRC64NVME'] as const)('%s', (algorithm) => {
  it('of a whole follows from its parts', () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array(), fc.uint8Array({ maxLength: 3000 }), async (a, b) => {
        const combined = combineCrc(
          algorithm,
          await of(algorithm, a),
          await of(algorithm, b),
          b.length,
        );
        expect(combined).toEqual(await of(algorithm, a, b));
      }),
    ));
});

it('a hash of a whole does not', () => {
  expect(isCombinable('SHA256')).toBe(false);
  expect(() => combineCrc('SHA1', Buffer.alloc(20), Buffer.alloc(20), 1)).toThrow(RangeError);
});
