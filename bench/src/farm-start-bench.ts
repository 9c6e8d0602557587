import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { processCpuMs } from './child-cpu.js';
import { granaryCommand } from './granary-command.js';
import { openStore, putShard } from './made-up-shards.js';
import { median } from './median.js';
import { rate } from './shard-store-bench.js';

const ROUNDS = 7;

/** What it took a farmer until it said that it is ready. */
interface Start {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly rssMib: number;
}

function waitForExit(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once('exit', () => resolve()));
}

/** Start `granary farm` on a directory, and stop it when it is ready. */
async function startFarmer(directory: string, end: NodeJS.Signals): Promise<Start> {
  const begun = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...[...granaryCommand, 'farm', '--data', directory, '--host', '127.0.0.1'],
      ...['--port', '0', '--space', '1TB', '--no-dashboard', '--json', '--log-level', 'error'],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const gone = waitForExit(child);
  const ready = new Promise<boolean>((resolve) => {
    createInterface({ input: child.stdout! }).once('line', () => resolve(true));
  });
  if ((await Promise.race([ready, gone])) !== true) throw new Error('the farmer did not start');
  const wallMs = performance.now() - begun;
  const cpuMs = await processCpuMs(child.pid!);
  const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
  child.kill(end);
  await gone;
  return {
    wallMs,
    cpuMs,
    rssMib: Number(/VmRSS:\s*(\d+)/.exec(status)?.[1]) / 1024,
  };
}

/** Store what is not there yet. */
async function fill(directory: string, count: number): Promise<void> {
  const store = await openStore(directory);
  const there = store.usage.shards;
  await rate(count - there, (i) => putShard(store, there + i));
  await store.close();
}

/**
 * How long `granary farm` takes until it is ready, as a whole process, with as many shards as
 * GRANARY_BENCH_SHARDS names, after a stop and after SIGKILL. Its directory is made in
 * GRANARY_BENCH_DIRECTORY, or where temporary files go; with GRANARY_BENCH_KEEP set it stays, and is used
 * again: a million shards take longer to store than to measure.
 */
export async function benchFarmStart(report: (line: string) => void): Promise<void> {
  const counts = (process.env['GRANARY_BENCH_SHARDS'] ?? '0,10000').split(',').map(Number);
  const place = process.env['GRANARY_BENCH_DIRECTORY'] ?? tmpdir();
  const keep = process.env['GRANARY_BENCH_KEEP'] !== undefined;
  for (const count of counts) {
    const directory = keep
      ? join(place, `granary-bench-farm-${count}`)
      : await mkdtemp(join(place, 'granary-bench-farm-'));
    try {
      await fill(directory, count);
      for (const end of ['SIGTERM', 'SIGKILL'] as const) {
        // The first makes its identity and its certificate.
        await startFarmer(directory, end);
        const starts: Start[] = [];
        for (let i = 0; i < ROUNDS; i++) starts.push(await startFarmer(directory, end));
        const middle = (of: (start: Start) => number) => median(starts.map(of));
        report(
          `  ${String(count).padStart(8)} shards, after ${end}: ready after ${middle((s) => s.wallMs).toFixed(0)} ms, ` +
            `${middle((s) => s.cpuMs)} ms of CPU, ${middle((s) => s.rssMib).toFixed(0)} MiB (medians of ${ROUNDS})`,
        );
      }
    } finally {
      if (!keep) await rm(directory, { recursive: true, force: true });
    }
  }
}
