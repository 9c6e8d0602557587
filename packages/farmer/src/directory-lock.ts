import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { FarmerError } from './errors.js';

/** When a process began, in ticks since the machine did; undefined where that can't be known. */
async function startOf(pid: number | 'self'): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The command's name, in brackets, may hold anything; the 20th field after it is the time.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

/** Whether the process that wrote a lock is still there, and not another with its ID. */
async function isHeld(lock: string): Promise<boolean> {
  const [id, start = ''] = lock.split(' ');
  const pid = Number(id);
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  if (start !== '') return (await startOf(pid)) === start;
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Take a directory for this one user alone, by a file with its process ID and when it began. A lock
 * left by a process that is no more is taken over.
 *
 * @returns what gives the lock back
 * @throws FarmerError FARMER_LOCKED.
 */
export async function lockDirectory(path: string): Promise<() => Promise<void>> {
  const mine = `${path}.${randomUUID()}`;
  await writeFile(mine, `${process.pid} ${(await startOf('self')) ?? ''}`, { mode: 0o600 });
  try {
    for (let attempt = 0; ; attempt += 1) {
      try {
        // A link appears with its content, and only if there is none yet.
        await link(mine, path);
        return () => rm(path, { force: true });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const found = await readFile(path, 'utf8').catch(() => '');
      if (attempt > 2 || (await isHeld(found))) {
        throw new FarmerError(
          'FARMER_LOCKED',
          `process ${found.split(' ')[0]} farms in this directory already (${path})`,
        );
      }
      // Of several that find the same stale lock, one moves it away. Who moved a fresh lock by
      // mistake puts it back.
      const stale = `${mine}.stale`;
      await rename(path, stale).catch(() => undefined);
      const moved = await readFile(stale, 'utf8').catch(() => '');
      if (moved !== found && (await isHeld(moved))) await link(stale, path).catch(() => undefined);
      await rm(stale, { force: true });
    }
  } finally {
    await rm(mine, { force: true });
  }
}
