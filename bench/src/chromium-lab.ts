import { spawn } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'vite';
import { firstLine } from './first-line.js';
import { granaryCommand } from './granary-command.js';

const PAGE = new URL('../browser-page', import.meta.url).pathname;

/** The browser of the system. */
export const CHROMIUM = '/usr/bin/chromium';

/** Build the page that is measured, by default that of a renter. @returns its folder */
export async function buildPage(directory: string, root = PAGE): Promise<string> {
  const outDir = join(directory, 'page');
  await build({
    configFile: false,
    root,
    logLevel: 'warn',
    build: { outDir, emptyOutDir: true, target: 'es2023' },
  });
  return outDir;
}

/** A network of processes on this machine that pages reach. */
export interface LabNetwork {
  readonly bootstrap: string;
  readonly farmers: readonly { readonly browsers: readonly string[] }[];
  stop(): Promise<void>;
}

/** Start `granary network --browsers`. */
export async function startNetwork(): Promise<LabNetwork> {
  const network = spawn(process.execPath, [...granaryCommand, 'network', '--browsers', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stop = async () => {
    network.kill('SIGTERM');
    await new Promise((resolve) => network.once('exit', resolve));
  };
  const ready = JSON.parse(await firstLine(network)) as Omit<LabNetwork, 'stop'>;
  return { ...ready, stop };
}

/** Whether a process came from this one. */
async function isOurs(pid: string): Promise<boolean> {
  for (let at = pid; at !== '0' && at !== '1';) {
    if (at === String(process.pid)) return true;
    at = /^PPid:\s+(\d+)/m.exec(await readFile(`/proc/${at}/status`, 'utf8'))?.[1] ?? '0';
  }
  return false;
}

/** One process of a browser of ours, and what it holds, in kB. */
export interface BrowserProcess {
  /** `renderer`, `gpu-process`, `utility` …; empty for the browser itself. */
  readonly type: string;
  readonly rss: number;
  /** What is its alone, and its share of the rest. */
  readonly pss: number;
}

/** The processes of the browsers that this process has started. */
export async function browserProcesses(): Promise<BrowserProcess[]> {
  const found: BrowserProcess[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8');
      if (!/^\S*chromium/.test(command) || !(await isOurs(pid))) continue;
      const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
      const kilobytes = (field: string) =>
        Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0);
      found.push({
        type: /--type=([\w-]+)/.exec(command)?.[1] ?? '',
        rss: kilobytes('Rss'),
        pss: kilobytes('Pss'),
      });
    } catch {
      // It has just ended.
    }
  }
  return found;
}
