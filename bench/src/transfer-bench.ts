import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { silentLogger } from '@granary/kad';
import { Renter, RenterKeys, defaultSettings } from '@granary/renter';
import { granaryCommand } from './granary-command.js';
import { childCpuMs } from './child-cpu.js';
import { measureLimits } from './limits-bench.js';
import { median } from './median.js';

const WS_PEER = new URL('./ws-peer.js', import.meta.url).pathname;
const SIZE = Number(process.env['GRANARY_BENCH_MIB'] ?? 128) * 1024 * 1024;
const ROUNDS = 5;
/** What farmers are given before they count as warm, in objects of SIZE: their code is compiled as they work. */
const WARM_UP = 16;
const PUT = 'put, 4/6/10/12 on 12 farmers';
const GET = 'get';
const WARM_PUT = `put, when they have worked for ${(WARM_UP * SIZE) / 2 ** 30} GiB`;
const WARM_GET = 'get, likewise';

const rate = (bytes: number, ms: number) => `${(bytes / 1000 / ms).toFixed(0)} MB/s`;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`a process ended with ${code}`)));
    createInterface({ input: child.stdout! }).once('line', resolve);
  });
}

/** Copy bytes to another process through a plain `ws` socket, and back. */
async function throughSocket(port: number, data: Buffer, direction: 'up' | 'down'): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${direction}?${data.length}`, {
    perMessageDeflate: false,
  });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  const done = new Promise<void>((resolve, reject) => {
    let received = 0;
    socket.on('message', (part: Buffer, isBinary) => {
      received += part.length;
      if (!isBinary || received === data.length) resolve();
    });
    socket.once('close', () => reject(new Error('closed early')));
  });
  if (direction === 'up') {
    for (let at = 0; at < data.length; at += 262_144) {
      const sent = new Promise<void>((resolve) =>
        socket.send(data.subarray(at, at + 262_144), () => resolve()),
      );
      if (socket.bufferedAmount > 1_048_576) await sent;
    }
  }
  await done;
  socket.terminate();
}

/**
 * Put and get of one object on 12 farmer processes, beside the same bytes through plain sockets.
 * GRANARY_BENCH_MIB names its size; 128 when not given.
 */
export async function benchTransfers(report: (line: string) => void): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-'));
  const data = randomBytes(SIZE);
  const network = spawn(process.execPath, [...granaryCommand, 'network', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const peer = spawn(process.execPath, [WS_PEER], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const { bootstrap } = JSON.parse(await firstLine(network)) as { bootstrap: string };
    const port = Number(await firstLine(peer));
    const source = join(directory, 'source');
    await writeFile(source, data);
    const renter = await Renter.open({
      directory: join(directory, 'renter'),
      keys: RenterKeys.fromEntropy(randomBytes(32)),
      bootstrap: [bootstrap],
      logger: silentLogger,
    });
    const times: Record<string, number[]> = {};
    const costs: Record<string, number[]> = {};
    const cpuMs = async () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000 + ((await childCpuMs(network.pid!)) ?? 0);
    };
    const measure = async (name: string, work: () => Promise<unknown>) => {
      const before = await cpuMs();
      (times[name] ??= []).push(await timed(work));
      (costs[name] ??= []).push((((await cpuMs()) - before) * 1e6) / SIZE);
    };
    let objects = 0;
    // A name of its own for each, since to replace an object is to delete one, too.
    const pathOf = (object: number) => ({ bucket: 'bench', name: `object-${object}` });
    const put = () => renter.put(pathOf((objects += 1)), { kind: 'file', path: source });
    const get = async () => {
      let size = 0;
      for await (const part of renter.get(pathOf(objects))) size += part.length;
      if (size !== SIZE) throw new Error('the get was short');
    };
    for (let round = 0; round < ROUNDS; round += 1) {
      await measure('plain ws, to another process', () => throughSocket(port, data, 'up'));
      await measure('plain ws, from another process', () => throughSocket(port, data, 'down'));
      await measure(PUT, put);
      await measure(GET, get);
    }
    for (let i = 0; i < WARM_UP; i += 1) {
      await put();
      await get();
    }
    for (let round = 0; round < ROUNDS; round += 1) {
      await measure(WARM_PUT, put);
      await measure(WARM_GET, get);
    }
    await renter.close();
    report(`object of ${SIZE / 1024 / 1024} MiB, median of ${ROUNDS} rounds, all in one run`);
    for (const [name, all] of Object.entries(times)) {
      report(`  ${name.padEnd(34)} ${rate(SIZE, median(all)).padStart(10)}`);
    }
    const of = (name: string) => median(times[name]!);
    const up = of('plain ws, to another process') / of(PUT);
    const down = of('plain ws, from another process') / of(GET);
    report(`  put / plain ws = ${up.toFixed(2)}, get / plain ws = ${down.toFixed(2)}`);
    const { k, n } = defaultSettings.scheme;
    const limits = await measureLimits(k, n, defaultSettings.audits);
    reportLimits(report, PUT, median(costs[PUT]!), limits.put);
    reportLimits(report, GET, median(costs[GET]!), limits.get);
    reportLimits(report, WARM_PUT, median(costs[WARM_PUT]!), limits.put);
    reportLimits(report, WARM_GET, median(costs[WARM_GET]!), limits.get);
  } finally {
    peer.kill();
    network.kill('SIGTERM');
    await new Promise((resolve) => network.once('exit', resolve));
    await rm(directory, { recursive: true, force: true });
  }
}

/** Set what something costs in CPU beside what its parts cost alone. Milliseconds a MB are nanoseconds a byte. */
function reportLimits(
  report: (line: string) => void,
  name: string,
  cost: number,
  parts: readonly [string, number][],
): void {
  report(
    `\n${name}: CPU of all processes, beside that of its parts alone; milliseconds a MB of object`,
  );
  for (const [part, one] of parts) report(`  ${part.padEnd(46)} ${one.toFixed(2).padStart(7)}`);
  const sum = parts.reduce((total, [, one]) => total + one, 0);
  report(`  ${'all parts'.padEnd(46)} ${sum.toFixed(2).padStart(7)}`);
  const share = `${((100 * sum) / cost).toFixed(0)} % of it are the parts`;
  report(`  ${'measured'.padEnd(46)} ${cost.toFixed(2).padStart(7)}  ${share}`);
}
