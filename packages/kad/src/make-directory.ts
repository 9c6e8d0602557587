import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { KadError, messageOf } from './errors.js';

/**
 * Make a directory that only its owner can use, and those above it that are missing. One that is there stays as it
 * is.
 *
 * Node's own `mkdir` with `recursive` never ends where a directory can't be made in one that is there, and the
 * system says ENOENT: so it is in `/proc`.
 *
 * @throws KadError KAD_DIRECTORY when it can't be made; the cause says why.
 */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await make(resolve(path));
  } catch (error) {
    throw new KadError(
      'KAD_DIRECTORY',
      `the directory ${path} can't be made: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

async function make(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (await isDirectory(path)) return;
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    // The one above may have been made by somebody else since; where it was there before, the second try fails as the first.
    if (!(await isDirectory(dirname(path)))) await make(dirname(path));
    await mkdir(path, { mode: 0o700 }).catch(async (second: unknown) => {
      // Somebody else was quicker.
      if (!(await isDirectory(path))) throw second;
    });
  }
}

function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
