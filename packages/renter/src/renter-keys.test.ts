import { chmod, mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadKeyFile, saveKeyFile } from './key-file.js';
import { RenterKeys, entropyFromWords, generateWords, wordsFromEntropy } from './renter-keys.js';
import { seal, unseal } from './sealed-box.js';

const fresh = async () => join(await mkdtemp(join(tmpdir(), 'granary-keys-')), 'keys.json');

describe('24 words', () => {
  it('are the keys: the same words, the same keys; others, others', () => {
    const words = generateWords();
    expect(words.split(' ')).toHaveLength(24);
    const keys = RenterKeys.fromEntropy(entropyFromWords(`  ${words.toUpperCase()}\n`));
    const again = RenterKeys.fromEntropy(entropyFromWords(words));
    expect(again.identity.nodeId).toBe(keys.identity.nodeId);
    const id = new Uint8Array(16);
    expect(Buffer.from(again.objectKey(id)).equals(Buffer.from(keys.objectKey(id)))).toBe(true);
    const other = RenterKeys.fromEntropy(entropyFromWords(generateWords()));
    expect(other.identity.nodeId).not.toBe(keys.identity.nodeId);
    expect(wordsFromEntropy(entropyFromWords(words))).toBe(words);
  });

  it('have the entropy of BIP-39: a vector of its own', () => {
    const words = `${'abandon '.repeat(23)}art`;
    expect(Buffer.from(entropyFromWords(words)).toString('hex')).toBe('00'.repeat(32));
  });

  it('are refused with a typing error', () => {
    expect(() => entropyFromWords('abandon '.repeat(24))).toThrow(/do not belong together/);
    expect(() => entropyFromWords('abandon abandon')).toThrow(/24 words/);
    expect(() => entropyFromWords('')).toThrow(/24 words/);
    expect(() => RenterKeys.fromEntropy(new Uint8Array(16))).toThrow(/32 bytes/);
  });
});

describe('the key file', () => {
  const entropy = entropyFromWords(generateWords());
  const { nodeId } = RenterKeys.fromEntropy(entropy).identity;

  it('has mode 0600 and is not overwritten', async () => {
    const path = await fresh();
    await saveKeyFile(path, entropy);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await loadKeyFile(path)).identity.nodeId).toBe(nodeId);
    await expect(saveKeyFile(path, entropy)).rejects.toMatchObject({ code: 'RENTER_KEYS_EXIST' });
    await chmod(path, 0o640);
    await expect(loadKeyFile(path)).rejects.toThrow(/chmod 600/);
  });

  it('opens only with its password', async () => {
    const path = await fresh();
    await saveKeyFile(path, entropy, 'Grünes Gras');
    expect(await readFile(path, 'utf8')).not.toContain(Buffer.from(entropy).toString('hex'));
    expect((await loadKeyFile(path, 'Gru\u0308nes Gras')).identity.nodeId).toBe(nodeId);
    await expect(loadKeyFile(path, 'grünes Gras')).rejects.toMatchObject({
      code: 'RENTER_WRONG_PASSWORD',
    });
    await expect(loadKeyFile(path)).rejects.toMatchObject({ code: 'RENTER_PASSWORD_NEEDED' });
  });

  it('says what is wrong with it', async () => {
    const path = await fresh();
    await expect(loadKeyFile(path)).rejects.toMatchObject({ code: 'RENTER_NO_KEYS' });
    for (const text of ['', '{}', '{"version":1,"sealed":false,"entropy":"zz"}']) {
      await writeFile(path, text, { mode: 0o600 });
      await expect(loadKeyFile(path)).rejects.toMatchObject({ code: 'RENTER_KEYS_CORRUPT' });
    }
  });
});

it('seals records under their key and their name', () => {
  const key = new Uint8Array(32).fill(1);
  const sealed = seal(key, 'a', { x: 1 });
  expect(unseal(key, 'a', sealed)).toEqual({ x: 1 });
  expect(() => unseal(key, 'b', sealed)).toThrow(/does not open/);
  expect(() => unseal(new Uint8Array(32), 'a', sealed)).toThrow(/does not open/);
  sealed[sealed.length - 1]! ^= 1;
  expect(() => unseal(key, 'a', sealed)).toThrow(/does not open/);
  expect(() => unseal(key, 'a', Buffer.alloc(3))).toThrow(/does not open/);
});
