import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, stat, link } from 'node:fs/promises';
import { dirname } from 'node:path';
import { KadError, messageOf } from './errors.js';
import { Identity } from './identity.js';
import { makeDirectory } from './make-directory.js';

/**
 * Write an identity to a new file of mode 0600. The file appears whole and fsynced, or not at all.
 *
 * @throws KadError KAD_IDENTITY_EXISTS when the file is there; file-system errors as they are.
 */
export async function saveIdentity(path: string, identity: Identity): Promise<void> {
  await makeDirectory(dirname(path));
  const temporary = `${path}.${randomBytes(6).toString('hex')}.new`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    const privateKey = Buffer.from(identity.exportPrivateKey()).toString('hex');
    await file.writeFile(`${JSON.stringify({ version: 1, privateKey })}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    // A link, unlike a rename, does not replace what is there.
    await link(temporary, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new KadError('KAD_IDENTITY_EXISTS', `there is an identity in ${path} already`);
    }
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    await rename(temporary, path); // a file system without links
  } finally {
    await rm(temporary, { force: true });
  }
  const directory = await open(dirname(path), 'r');
  await directory.sync().finally(() => directory.close());
}

/**
 * Read an identity file.
 *
 * @throws KadError KAD_IDENTITY_FILE when it is missing, readable by others or not an identity.
 */
export async function loadIdentity(path: string): Promise<Identity> {
  let text: string;
  try {
    if (process.platform !== 'win32' && ((await stat(path)).mode & 0o077) !== 0) {
      throw new KadError(
        'KAD_IDENTITY_FILE',
        `others can read ${path}: make it yours alone with "chmod 600 ${path}"`,
      );
    }
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof KadError) throw error;
    const why =
      (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? `there is no identity in ${path}`
        : `the identity in ${path} cannot be read: ${messageOf(error)}`;
    throw new KadError('KAD_IDENTITY_FILE', why, { cause: error });
  }
  let key: unknown;
  try {
    key = (JSON.parse(text) as { privateKey?: unknown }).privateKey;
  } catch {
    key = undefined;
  }
  if (typeof key !== 'string' || !/^[0-9a-f]{64}$/.test(key)) {
    throw new KadError('KAD_IDENTITY_FILE', `${path} is not an identity file`);
  }
  return Identity.fromPrivateKey(Buffer.from(key, 'hex'));
}
