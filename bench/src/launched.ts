import { type ChildProcess, spawn } from 'node:child_process';
import { firstLine } from './first-line.js';

/** End a process, and wait until it has. */
export async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await gone;
  clearTimeout(timer);
}

/** Programs of Node that a benchmark has started. */
export class Launched {
  private readonly children: ChildProcess[] = [];

  /** Start one. @returns the first line that it prints */
  start(args: readonly string[]): Promise<string> {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.children.push(child);
    return firstLine(child);
  }

  /** End all, and wait until they have. */
  async end(): Promise<void> {
    await Promise.all(this.children.map(ended));
  }
}
