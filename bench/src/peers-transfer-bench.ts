import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { silentLogger } from '@granary/kad';
import { Renter, RenterKeys } from '@granary/renter';
import { median } from './median.js';

const GRANARY = new URL('../../packages/cli/bin/granary.mjs', import.meta.url).pathname;
const PEERS = fileURLToPath(new URL('../transfer-peers/', import.meta.url));
const MIB = 1024 * 1024;
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

/** A way to hand a file over: made available, then had by somebody else. Seconds of each. */
type HandOver = (file: string, size: number, round: number) => Promise<[number, number]>;

async function seconds<T>(work: () => Promise<T>): Promise<[number, T]> {
  const begun = performance.now();
  const result = await work();
  return [(performance.now() - begun) / 1000, result];
}

function check(size: number, expected: number): void {
  if (size !== expected) throw new Error(`${size} bytes came instead of ${expected}`);
}

/** Ours: a renter stores, another instance of it, which has everything yet to open, reads. */
function granary(directory: string, bootstrap: string): HandOver {
  const keys = RenterKeys.fromEntropy(randomBytes(32));
  const start = () =>
    Renter.open({ directory, keys, bootstrap: [bootstrap], logger: silentLogger });
  return async (file, size, round) => {
    const path = { bucket: 'bench', name: `object-${round}` };
    const writer = await start();
    const [put] = await seconds(() => writer.put(path, { kind: 'file', path: file }));
    await writer.close();
    const reader = await start();
    const [got] = await seconds(async () => {
      let read = 0;
      for await (const part of reader.get(path)) read += part.length;
      check(read, size);
    });
    await reader.close();
    return [put, got];
  };
}

/** Helia adds to blocks in files; another process, which has dialled it, reads by Bitswap. */
function helia(directory: string): HandOver {
  return async (file, size, round) => {
    const start = (name: string) =>
      Peer.start<{ address: string }>([join(PEERS, 'helia.mjs'), join(directory, name + round)]);
    const [from, to] = [await start('helia-from'), await start('helia-to')];
    try {
      await to.peer.ask({ dial: from.ready.address });
      const [add, { cid }] = await seconds(() => from.peer.ask<{ cid: string }>({ add: file }));
      const [fetched, result] = await seconds(() => to.peer.ask<{ size: number }>({ get: cid }));
      check(result.size, size);
      return [add, fetched];
    } finally {
      await from.peer.end();
      await to.peer.end();
    }
  };
}

/** WebTorrent hashes and seeds; another process, which is told its address, downloads into a file. */
function webtorrent(directory: string): HandOver {
  return async (file, size, round) => {
    const start = (name: string) =>
      Peer.start<{ port: number }>([join(PEERS, 'webtorrent.mjs'), join(directory, name + round)]);
    const [from, to] = [await start('torrent-from'), await start('torrent-to')];
    try {
      const [seed, { torrent }] = await seconds(() =>
        from.peer.ask<{ torrent: string }>({ seed: file }),
      );
      const [fetched, result] = await seconds(() =>
        to.peer.ask<{ size: number }>({ torrent, from: from.ready.port }),
      );
      check(result.size, size);
      return [seed, fetched];
    } finally {
      await from.peer.end();
      await to.peer.end();
    }
  };
}

/**
 * Put and get of one object beside Helia's add and fetch, and WebTorrent's seed and fetch, of the same
 * bytes. GRANARY_BENCH_MIB names its size; 64 when not given.
 */
export async function benchPeersTransfer(report: (line: string) => void): Promise<void> {
  if (!existsSync(join(PEERS, 'node_modules'))) {
    report('  left out: first install the peers, npm ci --prefix bench/transfer-peers');
    return;
  }
  const size = Number(process.env['GRANARY_BENCH_MIB'] ?? '64') * MIB;
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-peers-'));
  const network = await Peer.start<{ bootstrap: string }>([
    ...[GRANARY, 'network', '--json', '--dir', join(directory, 'network')],
  ]);
  try {
    const contestants: [string, HandOver][] = [
      [
        'granary, 4/6/10/12 on 12 farmers',
        granary(join(directory, 'renter'), network.ready.bootstrap),
      ],
      ['helia', helia(directory)],
      ['webtorrent', webtorrent(directory)],
    ];
    const times = contestants.map(() => [] as [number, number][]);
    for (let round = 0; round < ROUNDS; round += 1) {
      // New bytes: nobody has them already.
      const file = join(directory, `source-${round}`);
      const handle = await open(file, 'wx');
      for (let at = 0; at < size; at += MIB) await handle.write(randomBytes(MIB));
      await handle.close();
      for (const [i, [, handOver]] of contestants.entries()) {
        times[i]!.push(await handOver(file, size, round));
      }
    }
    report(`object of ${size / MIB} MiB, median of ${ROUNDS} rounds, in turn, each of new bytes`);
    const medians = times.map((all) => ({
      put: median(all.map(([put]) => put)),
      get: median(all.map(([, get]) => get)),
      both: median(all.map(([put, get]) => put + get)),
    }));
    const rate = (time: number) => `${(size / 1e6 / time).toFixed(0).padStart(4)} MB/s`;
    for (const [i, [name]] of contestants.entries()) {
      const { put, get, both } = medians[i]!;
      report(
        `  ${name.padEnd(34)} in ${rate(put)}, out ${rate(get)}, both ${rate(both)}` +
          (i === 0 ? '' : `; ours takes ${(medians[0]!.both / both).toFixed(2)} times its time`),
      );
    }
  } finally {
    await network.peer.end();
    await rm(directory, { recursive: true, force: true });
  }
}
