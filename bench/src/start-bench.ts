import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeFlags } from 'granary/node-flags';

const RUNS = 20;
const TICK_MS = 10;
const GRANARY = new URL('../../packages/cli/bin/granary.mjs', import.meta.url).pathname;
/** The same command as the compiler leaves it: a file for each module. */
const UNBUNDLED = new URL('../../packages/cli/dist/main.js', import.meta.url).pathname;

/** CPU of all children that have ended, in milliseconds: proc(5), `/proc/PID/stat`, fields 16 and 17. */
async function endedCpuMs(): Promise<number> {
  const stat = await readFile('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

/** What it costs to start a command: CPU of a process (user and system) and time. */
export async function benchStart(report: (line: string) => void): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-start-'));
  try {
    const empty = join(directory, 'empty.mjs');
    await writeFile(empty, '');
    const home = join(directory, 'home');
    run([GRANARY, 'init', '--home', home]);
    const commands: [string, string[]][] = [
      ['node itself', [empty]],
      ['granary --version', [GRANARY, '--version']],
      ['granary --help', [GRANARY, '--help']],
      ['granary --help, without the bundle', [UNBUNDLED, '--help']],
      ['granary ls', [GRANARY, 'ls', '--home', home]],
      ['granary ls, without the bundle', [UNBUNDLED, 'ls', '--home', home]],
    ];
    for (const [name, args] of commands) {
      const walls: number[] = [];
      const before = await endedCpuMs();
      for (let i = 0; i < RUNS; i++) {
        const begun = performance.now();
        run(args);
        walls.push(performance.now() - begun);
      }
      const cpu = ((await endedCpuMs()) - before) / RUNS;
      const wall = walls.sort((a, b) => a - b)[RUNS / 2]!;
      report(
        `  ${name.padEnd(36)} ${cpu.toFixed(0).padStart(4)} ms of CPU, ${wall.toFixed(0).padStart(4)} ms (mean, median of ${RUNS})`,
      );
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function run(args: readonly string[]): void {
  const { status, stderr } = spawnSync(process.execPath, [...nodeFlags, ...args], {
    encoding: 'utf8',
    env: { ...process.env, GRANARY_LOG_LEVEL: 'silent' },
  });
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`);
}
