import { fork, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { WebSocket } from 'ws';
import { silentLogger } from '@granary/kad';
import { Renter, RenterKeys, defaultSettings } from '@granary/renter';
import { firstLine } from './first-line.js';
import { granaryCommand } from './granary-command.js';
import { childCpuMs } from './child-cpu.js';
import { type Limits, medianParts } from './limits-bench.js';
import { median } from './median.js';
import { nextMessage } from './next-message.js';

const WS_PEER = new URL('./ws-peer.js', import.meta.url).pathname;
const PARTS_PEER = new URL('./limits-peer.js', import.meta.url).pathname;
const SIZE = Number(process.env['GRANARY_BENCH_MIB'] ?? 128) * 1024 * 1024;
/** An object that is large: what there is once for every object counts for little. */
const LARGE = 8 * SIZE;
const ROUNDS = 5;
const LARGE_ROUNDS = 3;

const rate = (bytes: number, ms: number) => `${(bytes / 1000 / ms).toFixed(0)} MB/s`;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
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
  const parts = fork(PARTS_PEER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ready = nextMessage(parts);
  // It is awaited later.
  ready.catch(() => undefined);
  try {
    const { bootstrap } = JSON.parse(await firstLine(network)) as { bootstrap: string };
    const port = Number(await firstLine(peer));
    /** A file of new bytes. */
    const makeSource = async (size: number): Promise<Source> => {
      const path = join(directory, `source-${size}`);
      for (let at = 0; at < size; at += SIZE) await appendFile(path, randomBytes(SIZE));
      return { path, size };
    };
    const usual = await makeSource(SIZE);
    const large = await makeSource(LARGE);
    const renter = await Renter.open({
      directory: join(directory, 'renter'),
      keys: RenterKeys.fromEntropy(randomBytes(32)),
      bootstrap: [bootstrap],
      logger: silentLogger,
    });
    const { k, n } = defaultSettings.scheme;
    const measureLimits = async () => {
      const measured = nextMessage<Limits>(parts);
      parts.send({ k, n, audits: defaultSettings.audits });
      return await measured;
    };
    await ready;
    // Once for nothing, so that all of it is compiled.
    await measureLimits();
    const cpuMs = async () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000 + ((await childCpuMs(network.pid!)) ?? 0);
    };
    let objects = 0;
    /** A new object put, got and deleted, and in between what each part of that costs alone. */
    const transfer = async ({ path, size }: Source): Promise<Transfer> => {
      const measure = async (work: () => Promise<unknown>) => {
        const before = await cpuMs();
        const ms = await timed(work);
        return { ms, cost: (((await cpuMs()) - before) * 1e6) / size };
      };
      const object = { bucket: 'bench', name: `object-${(objects += 1)}` };
      const put = await measure(() => renter.put(object, { kind: 'file', path }));
      const limits = await measureLimits();
      const get = await measure(async () => {
        let got = 0;
        for await (const part of renter.get(object)) got += part.length;
        if (got !== size) throw new Error('the get was short');
      });
      await renter.delete(object);
      return { put, get, limits };
    };
    const plain: Record<'up' | 'down', number[]> = { up: [], down: [] };
    const several = async (count: number, source: Source) => {
      const rounds: Transfer[] = [];
      while (rounds.length < count) rounds.push(await transfer(source));
      return rounds;
    };
    const begun: Transfer[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const way of ['up', 'down'] as const) {
        plain[way].push(await timed(() => throughSocket(port, data, way)));
      }
      begun.push(await transfer(usual));
    }
    await transfer(large);
    const ofLarge = await several(LARGE_ROUNDS, large);
    const after = await several(ROUNDS, usual);
    await renter.close();
    report('objects at 4/6/10/12 on 12 farmers, medians, all in one run');
    const up = median(plain.up);
    const down = median(plain.down);
    report(`  plain ws, to another process ${rate(SIZE, up)}, from it ${rate(SIZE, down)}`);
    const ofPut = up / median(begun.map(({ put }) => put.ms));
    const ofGet = down / median(begun.map(({ get }) => get.ms));
    report(`  put / plain ws = ${ofPut.toFixed(2)}, get / ${ofGet.toFixed(2)}`);
    reportRounds(report, usual, 'on farmers that have just begun', begun);
    reportRounds(report, large, 'after one of them', ofLarge);
    reportRounds(report, usual, 'after all that', after);
  } finally {
    peer.kill();
    if (parts.connected) parts.disconnect();
    network.kill('SIGTERM');
    await new Promise((resolve) => network.once('exit', resolve));
    await rm(directory, { recursive: true, force: true });
  }
}

/** A file to put. */
interface Source {
  readonly path: string;
  /** Bytes, in whole SIZEs. */
  readonly size: number;
}

interface Measured {
  readonly ms: number;
  /** CPU of all processes, in nanoseconds a byte. */
  readonly cost: number;
}

interface Transfer {
  readonly put: Measured;
  readonly get: Measured;
  readonly limits: Limits;
}

/** Set what putting and getting cost in CPU beside what their parts cost alone. Milliseconds a MB are nanoseconds a byte. */
function reportRounds(
  report: (line: string) => void,
  { size }: Source,
  when: string,
  rounds: readonly Transfer[],
): void {
  for (const way of ['put', 'get'] as const) {
    const cost = median(rounds.map((round) => round[way].cost));
    const speed = rate(size, median(rounds.map((round) => round[way].ms)));
    const what = `${way} of ${size / 2 ** 20} MiB, ${when}: ${speed}`;
    report(`\n${what}; milliseconds of CPU of all processes for a MB of object`);
    const parts = medianParts(rounds.map(({ limits }) => limits[way]));
    for (const [part, one] of parts) report(`  ${part.padEnd(46)} ${one.toFixed(2).padStart(7)}`);
    const sum = parts.reduce((total, [, one]) => total + one, 0);
    report(`  ${'all parts'.padEnd(46)} ${sum.toFixed(2).padStart(7)}`);
    const share = `${((100 * sum) / cost).toFixed(0)} % of it are the parts`;
    report(`  ${'measured'.padEnd(46)} ${cost.toFixed(2).padStart(7)}  ${share}`);
  }
}
