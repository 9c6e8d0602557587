import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { open, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeDirectory } from '@granary/kad';
import { z } from 'zod';
import { RenterError, messageOf } from './errors.js';
import { RenterKeys } from './renter-keys.js';
import { syncDirectory } from './sync-directory.js';

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

const keyFileSchema = z.discriminatedUnion('sealed', [
  z.strictObject({ version: z.literal(1), sealed: z.literal(false), entropy: hex(32) }),
  z.strictObject({
    version: z.literal(1),
    sealed: z.literal(true),
    kdf: z.literal('scrypt'),
    N: z
      .number()
      .int()
      .min(1024)
      .max(2 ** 20),
    r: z.number().int().min(1).max(32),
    p: z.number().int().min(1).max(16),
    salt: hex(16),
    nonce: hex(12),
    ciphertext: hex(48),
  }),
]);

// 2^17, 8, 1 is OWASP's first choice for scrypt: 128 MiB, about half a second.
const SCRYPT = { N: 2 ** 17, r: 8, p: 1 };

function passwordKey(
  password: string,
  salt: Buffer,
  { N, r, p }: { N: number; r: number; p: number },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, 32, { N, r, p, maxmem: 256 * N * r }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

/**
 * Write a master secret to a new file of mode 0600, sealed under a password when one is given
 * (scrypt, RFC 7914; AES-256-GCM), and fsync it.
 *
 * @throws RenterError RENTER_KEYS_EXIST when the file is there; file-system errors as they are.
 */
export async function saveKeyFile(
  path: string,
  entropy: Uint8Array,
  password?: string,
): Promise<void> {
  let content: z.infer<typeof keyFileSchema>;
  if (password === undefined) {
    content = { version: 1, sealed: false, entropy: Buffer.from(entropy).toString('hex') };
  } else {
    const salt = randomBytes(16);
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', await passwordKey(password, salt, SCRYPT), nonce);
    const ciphertext = Buffer.concat([
      cipher.update(entropy),
      cipher.final(),
      cipher.getAuthTag(),
    ]).toString('hex');
    content = {
      version: 1,
      sealed: true,
      kdf: 'scrypt',
      ...SCRYPT,
      salt: salt.toString('hex'),
      nonce: nonce.toString('hex'),
      ciphertext,
    };
  }
  await makeDirectory(dirname(path));
  const file = await open(path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    throw new RenterError(
      'RENTER_KEYS_EXIST',
      `there are keys in ${path} already: keep them, or choose another --home`,
    );
  });
  try {
    await file.writeFile(`${JSON.stringify(content, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await syncDirectory(dirname(path));
}

/**
 * Read the keys that {@link saveKeyFile} wrote.
 *
 * @throws RenterError RENTER_NO_KEYS, RENTER_PASSWORD_NEEDED, RENTER_WRONG_PASSWORD or
 * RENTER_KEYS_CORRUPT.
 */
export async function loadKeyFile(path: string, password?: string): Promise<RenterKeys> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new RenterError('RENTER_NO_KEYS', `no keys in ${path}: make some with "granary init"`);
  });
  if (process.platform !== 'win32' && ((await stat(path)).mode & 0o077) !== 0) {
    throw new RenterError(
      'RENTER_KEYS_CORRUPT',
      `others can read ${path}: make it yours alone with "chmod 600 ${path}"`,
    );
  }
  let content: z.infer<typeof keyFileSchema>;
  try {
    content = keyFileSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new RenterError(
      'RENTER_KEYS_CORRUPT',
      `${path} is not a key file: restore it with "granary init --words"`,
      { cause: error },
    );
  }
  if (!content.sealed) return RenterKeys.fromEntropy(Buffer.from(content.entropy, 'hex'));
  if (password === undefined) {
    throw new RenterError('RENTER_PASSWORD_NEEDED', `the keys in ${path} need their password`);
  }
  const sealed = Buffer.from(content.ciphertext, 'hex');
  const key = await passwordKey(password, Buffer.from(content.salt, 'hex'), content);
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(content.nonce, 'hex'));
  decipher.setAuthTag(sealed.subarray(32));
  try {
    return RenterKeys.fromEntropy(
      Buffer.concat([decipher.update(sealed.subarray(0, 32)), decipher.final()]),
    );
  } catch (error) {
    throw new RenterError('RENTER_WRONG_PASSWORD', `wrong password for ${path}`, {
      cause: messageOf(error),
    });
  }
}
