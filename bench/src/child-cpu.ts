import { readFile, readdir } from 'node:fs/promises';

/** Milliseconds of a clock tick that Linux counts CPU in (`USER_HZ`, 100 a second on all of its platforms). */
const TICK_MS = 10;

/** CPU that a process has used, in milliseconds. @throws where the system does not tell, or there is no such process. */
export async function processCpuMs(pid: number | string): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // Behind the name, which may have spaces, comes field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/**
 * CPU that the living children of a process have used, in milliseconds; undefined where the system
 * does not tell (Linux does: proc(5), `/proc/PID/stat`, fields 14 and 15).
 */
export async function childCpuMs(pid: number): Promise<number | undefined> {
  try {
    let sum = 0;
    for (const task of await readdir(`/proc/${pid}/task`)) {
      const children = await readFile(`/proc/${pid}/task/${task}/children`, 'utf8');
      for (const child of children.split(' ').filter((word) => /^\d+$/.test(word))) {
        sum += await processCpuMs(child);
      }
    }
    return sum;
  } catch {
    return undefined;
  }
}
