import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { Session } from 'node:inspector/promises';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@granary/kad';
import { Renter, RenterKeys } from '@granary/renter';
import { firstLine } from './first-line.js';
import { type Frame, flameGraphSvg, framesOf } from './flame-graph.js';
import { granaryCommand } from './granary-command.js';

const SIZE = Number(process.env['GRANARY_BENCH_MIB'] ?? 128) * 1024 * 1024;
/** Before, so that what is used often is compiled; and those that are profiled. */
const WARM = 4;
const ROUNDS = 6;
/** Smaller parts are not printed. */
const LEAST = 0.02;

/**
 * Where the renter's main thread spends its time in puts and gets on twelve farmer processes. Draws flame graphs into
 * the folder that GRANARY_BENCH_PLOTS names; what the threads for segments and the farmers do is not in them.
 */
export async function benchFlames(report: (line: string) => void): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-'));
  const network = spawn(process.execPath, [...granaryCommand, 'network', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const session = new Session();
  session.connect();
  try {
    const { bootstrap } = JSON.parse(await firstLine(network)) as { bootstrap: string };
    const renter = await Renter.open({
      directory: join(directory, 'renter'),
      keys: RenterKeys.fromEntropy(randomBytes(32)),
      bootstrap: [bootstrap],
      logger: silentLogger,
    });
    const path = join(directory, 'source');
    await writeFile(path, randomBytes(SIZE));
    const object = (i: number) => ({ bucket: 'bench', name: `object-${i}` });
    const work = {
      put: async (i: number) => {
        await renter.put(object(i), { kind: 'file', path });
      },
      get: async (i: number) => {
        for await (const part of renter.get(object(i))) void part;
      },
    };
    for (let i = 0; i < WARM; i += 1) for (const way of ['put', 'get'] as const) await work[way](i);
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: 500 });
    for (const way of ['put', 'get'] as const) {
      await session.post('Profiler.start');
      for (let i = WARM; i < WARM + ROUNDS; i += 1) await work[way](i);
      const frames = framesOf((await session.post('Profiler.stop')).profile);
      const title = `${ROUNDS} ${way}s of ${SIZE / 2 ** 20} MiB: the renter's main thread`;
      for (const text of outline(title, frames)) report(text);
      const plots = process.env['GRANARY_BENCH_PLOTS'];
      if (plots !== undefined) {
        await writeFile(join(plots, `flame-${way}.svg`), flameGraphSvg(title, frames));
      }
    }
    await renter.close();
  } finally {
    session.disconnect();
    if (network.exitCode === null) {
      const ended = new Promise((resolve) => network.once('exit', resolve));
      network.kill('SIGTERM');
      await ended;
    }
    await rm(directory, { recursive: true, force: true });
  }
}

/** A flame graph's larger parts as text. */
function outline(title: string, frames: readonly Frame[]): string[] {
  const large = frames.filter(({ from, to, depth }) => to - from >= LEAST && depth < 4);
  const lines = large.map(({ name, from, to, depth }) => {
    const share = (100 * (to - from)).toFixed(1).padStart(5);
    return `${share} % ${'  '.repeat(depth)}${name}`;
  });
  return [title, ...lines];
}
