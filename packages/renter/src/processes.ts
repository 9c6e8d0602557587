// Who works on a store that several may use, in Node: processes of one machine. `#renter/processes` in
// package.json chooses between this file and processes.browser.ts; both export the same names.

export { processSpace } from './process-space.js';

/** Make it known that we are there; our number. To be called before anything is written under it. */
export async function enterProcesses(): Promise<number> {
  return process.pid;
}

/** Find out whether somebody is still there, for {@link isAlive} to say. */
export async function lookAfter(_numbers: Iterable<number>): Promise<void> {}

/** Whether somebody is still there, as far as is known at once; who is not known to be gone is there. */
export function isAlive(number: number): boolean {
  // It may be another renter of this process.
  if (number === process.pid) return true;
  try {
    process.kill(number, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
