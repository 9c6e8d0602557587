import { expect, it } from 'vitest';
import {
  CHECKSUM_ALGORITHMS,
  createHasher,
  parseAlgorithm,
  parseBase64,
  parseChecksum,
} from './checksum.js';

// The check values of the CRC catalogue (reveng) and of FIPS 180, over "123456789".
it.each([
  ['CRC32', 'cbf43926'],
  ['CRC32C', 'e3069283'],
  ['CRC64NVME', 'ae8b14860a799888'],
  ['SHA1', 'f7c3bc1d808e04732adf679965ccc34ca7ae3441'],
  ['SHA256', '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225'],
] as const)('%s has its published check value', async (algorithm, expected) => {
  for (const cut of [0, 4, 9]) {
    const hasher = await createHasher(algorithm);
    hasher.update(Buffer.from('123456789'.slice(0, cut)));
    hasher.update(Buffer.from('123456789'.slice(cut)));
    expect(hasher.digest().toString('hex')).toBe(expected);
  }
});

it('hashes under way at one time do not get into each other', async () => {
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const [a, b] = [await createHasher(algorithm), await createHasher(algorithm)];
    a.update(Buffer.from('one'));
    b.update(Buffer.from('two'));
    a.update(Buffer.from('one'));
    const alone = await createHasher(algorithm);
    alone.update(Buffer.from('oneone'));
    expect(a.digest()).toEqual(alone.digest());
    b.digest();
  }
});

it('checksums are read strictly', () => {
  expect(parseChecksum('CRC32', 'y/Q5Jg==')?.toString('hex')).toBe('cbf43926');
  for (const bad of ['y/Q5Jg', 'y/Q5J', '', 'y/Q5JgA=', ' y/Q5Jg==', 'y/Q5Jh==']) {
    expect(parseChecksum('CRC32', bad), bad).toBeUndefined();
  }
  expect(parseBase64('!!!!', 3)).toBeUndefined();
  expect(parseAlgorithm('crc64nvme')).toBe('CRC64NVME');
  expect(parseAlgorithm('MD5')).toBeUndefined();
});
