import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { silentLogger } from '@granary/kad';
import { type RedundancyScheme, formatScheme } from '@granary/protocol';
import { Renter, RenterKeys } from '@granary/renter';
import { granaryCommand } from './granary-command.js';
import { childCpuMs, processCpuMs } from './child-cpu.js';
import { median } from './median.js';

const PEERS = fileURLToPath(new URL('../transfer-peers/', import.meta.url));
const MIB = 1024 * 1024;
/** Rounds after the first one, in which everything has just been started. */
const ROUNDS = 3;

/** A process that takes a line of JSON and answers with one. */
class Peer {
  private constructor(
    private readonly child: ChildProcess,
    private readonly lines: AsyncIterator<string>,
  ) {}

  static async start<T>(args: readonly string[]): Promise<{ peer: Peer; ready: T }> {
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const peer = new Peer(child, lines);
    return { peer, ready: await peer.next<T>() };
  }

  get pid(): number {
    return this.child.pid!;
  }

  ask<T>(request: unknown): Promise<T> {
    this.child.stdin!.write(`${JSON.stringify(request)}\n`);
    return this.next<T>();
  }

  private async next<T>(): Promise<T> {
    const { done, value } = await this.lines.next();
    if (done === true) throw new Error('a process of the benchmark has ended');
    return JSON.parse(value) as T;
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    await gone;
  }
}

/** Someone who hands files over: makes one available, and has somebody else have it. */
interface Contestant {
  readonly name: string;
  /** Seconds of both. */
  handOver(file: string, size: number, round: number): Promise<{ put: number; get: number }>;
  /** CPU of all of its processes, in milliseconds. */
  cpuMs(): Promise<number>;
  close(): Promise<void>;
}

async function seconds<T>(work: () => Promise<T>): Promise<[number, T]> {
  const begun = performance.now();
  const result = await work();
  return [(performance.now() - begun) / 1000, result];
}

function check(size: number, expected: number): void {
  if (size !== expected) throw new Error(`${size} bytes came instead of ${expected}`);
}

/** Ours: a renter stores on farmer processes, another one of the same keys reads. */
async function granary(
  directory: string,
  farmers: number,
  scheme: RedundancyScheme,
): Promise<Contestant> {
  const { peer: network, ready } = await Peer.start<{ bootstrap: string }>([
    ...[...granaryCommand, 'network', '--json', '--farmers', String(farmers)],
    ...['--dir', join(directory, `network-${farmers}`)],
  ]);
  const keys = RenterKeys.fromEntropy(randomBytes(32));
  const open = () =>
    Renter.open({
      directory: join(directory, `renter-${farmers}`),
      keys,
      bootstrap: [ready.bootstrap],
      settings: { scheme },
      logger: silentLogger,
    });
  const [writer, reader] = [await open(), await open()];
  return {
    name: `granary, ${formatScheme(scheme)} on ${farmers} ${farmers === 1 ? 'farmer' : 'farmers'}`,
    async handOver(file, size, round) {
      const path = { bucket: 'bench', name: `object-${round}` };
      const [put] = await seconds(() => writer.put(path, { kind: 'file', path: file }));
      const [get] = await seconds(async () => {
        let read = 0;
        for await (const part of reader.get(path)) read += part.length;
        check(read, size);
      });
      return { put, get };
    },
    async cpuMs() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000 + ((await childCpuMs(network.pid)) ?? NaN);
    },
    async close() {
      await reader.close();
      await writer.close();
      await network.end();
    },
  };
}

/** Two processes of a peer. */
async function pair<T>(program: string, directory: string) {
  const start = (name: string) =>
    Peer.start<T>([join(PEERS, program), join(directory, `${program}-${name}`)]);
  const [from, to] = [await start('from'), await start('to')];
  return {
    from,
    to,
    cpuMs: async () => (await processCpuMs(from.peer.pid)) + (await processCpuMs(to.peer.pid)),
    close: async () => {
      await from.peer.end();
      await to.peer.end();
    },
  };
}

/** Helia adds to blocks in files; another process, which dials it at first, reads by Bitswap. */
async function helia(directory: string): Promise<Contestant> {
  const { from, to, cpuMs, close } = await pair<{ address: string }>('helia.mjs', directory);
  return {
    name: 'helia',
    async handOver(file, size) {
      const [put, { cid }] = await seconds(() => from.peer.ask<{ cid: string }>({ add: file }));
      const [get, result] = await seconds(async () => {
        await to.peer.ask({ dial: from.ready.address });
        return to.peer.ask<{ size: number }>({ get: cid });
      });
      check(result.size, size);
      return { put, get };
    },
    cpuMs,
    close,
  };
}

/** WebTorrent hashes and seeds; another process, which is told its address, downloads into a file. */
async function webtorrent(directory: string): Promise<Contestant> {
  const { from, to, cpuMs, close } = await pair<{ port: number }>('webtorrent.mjs', directory);
  return {
    name: 'webtorrent',
    async handOver(file, size) {
      const [put, { torrent }] = await seconds(() =>
        from.peer.ask<{ torrent: string }>({ seed: file }),
      );
      const [get, result] = await seconds(() =>
        to.peer.ask<{ size: number }>({ torrent, from: from.ready.port }),
      );
      check(result.size, size);
      return { put, get };
    },
    cpuMs,
    close,
  };
}

/** What one round of one of them took: seconds, and milliseconds of CPU. */
interface Round {
  readonly put: number;
  readonly get: number;
  readonly cpu: number;
}

/**
 * Put and get of one object beside Helia's add and fetch, and WebTorrent's seed and fetch, of the same
 * bytes: ours between a renter and one farmer process with one copy, as theirs do it, and as it is meant, on 12.
 * GRANARY_BENCH_MIB names its size; 64 when not given.
 */
export async function benchPeersTransfer(report: (line: string) => void): Promise<void> {
  const size = Number(process.env['GRANARY_BENCH_MIB'] ?? '64') * MIB;
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-peers-'));
  const contestants: Contestant[] = [];
  try {
    contestants.push(
      await granary(directory, 1, { k: 1, repair: 1, success: 1, n: 1 }),
      await granary(directory, 12, { k: 4, repair: 6, success: 10, n: 12 }),
    );
    if (existsSync(join(PEERS, 'node_modules'))) {
      contestants.push(await helia(directory), await webtorrent(directory));
    } else {
      report('  peers left out: first install them, npm ci --prefix bench/transfer-peers');
    }
    const rounds = contestants.map(() => [] as Round[]);
    for (let round = 0; round <= ROUNDS; round += 1) {
      // New bytes: nobody has them already.
      const file = join(directory, `source-${round}`);
      const handle = await open(file, 'wx');
      for (let at = 0; at < size; at += MIB)
        await handle.write(randomBytes(Math.min(MIB, size - at)));
      await handle.close();
      for (const [i, contestant] of contestants.entries()) {
        const before = await contestant.cpuMs();
        const taken = await contestant.handOver(file, size, round);
        rounds[i]!.push({ ...taken, cpu: (await contestant.cpuMs()) - before });
      }
    }
    report(
      `  object of ${size / MIB} MiB; in turn, each round of new bytes, by processes and connections that stay`,
    );
    compare(contestants, rounds, (all) => all[0]!, 'the first round', size, report);
    const middle = (all: readonly Round[]) => {
      const of = (value: (round: Round) => number) => median(all.slice(1).map(value));
      return { put: of(({ put }) => put), get: of(({ get }) => get), cpu: of(({ cpu }) => cpu) };
    };
    compare(contestants, rounds, middle, `median of the ${ROUNDS} after it`, size, report);
  } finally {
    for (const contestant of contestants) await contestant.close();
    await rm(directory, { recursive: true, force: true });
  }
}

/** A table, and what the time of each of ours is to that of each peer, put and get together. */
function compare(
  contestants: readonly Contestant[],
  rounds: readonly (readonly Round[])[],
  pick: (all: readonly Round[]) => Round,
  title: string,
  size: number,
  report: (line: string) => void,
): void {
  report(`  ${title}`);
  const rate = (time: number) => `${(size / 1e6 / time).toFixed(0).padStart(4)} MB/s`;
  const took = rounds.map(pick);
  const ours = contestants.flatMap(({ name }, i) => (name.startsWith('granary') ? [i] : []));
  for (const [i, { name }] of contestants.entries()) {
    const { put, get, cpu } = took[i]!;
    const times = ours.map((j) => ((took[j]!.put + took[j]!.get) / (put + get)).toFixed(2));
    report(
      `    ${name.padEnd(32)} in ${rate(put)}, out ${rate(get)}, both ${rate(put + get)}, ` +
        `CPU ${((cpu * 1e6) / size).toFixed(1).padStart(5)} ms a MB` +
        (ours.includes(i) ? '' : `; ours take ${times.join(' and ')} times its time`),
    );
  }
}
