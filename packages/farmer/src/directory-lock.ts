import { open, readFile, rm } from 'node:fs/promises';
import { FarmerError } from './errors.js';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Take a directory for this process alone, by a file with its process ID. A lock left by a process
 * that is no more is taken over.
 *
 * @returns what gives the lock back
 * @throws FarmerError FARMER_LOCKED.
 */
export async function lockDirectory(path: string): Promise<() => Promise<void>> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const file = await open(path, 'wx', 0o600);
      await file.writeFile(String(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const pid = Number(await readFile(path, 'utf8').catch(() => '0'));
      // Our own ID in it means an earlier life, as after a restart in a container.
      if (attempt > 0 || (pid !== process.pid && pid > 0 && isAlive(pid))) {
        throw new FarmerError(
          'FARMER_LOCKED',
          `process ${pid} farms in this directory already (${path})`,
        );
      }
      await rm(path, { force: true });
    }
  }
}
