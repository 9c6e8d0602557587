import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Load, S3Load, type S3Target } from './s3-load.js';

const GRANARY = new URL('../../packages/cli/bin/granary.mjs', import.meta.url).pathname;
const S3RVER = join(
  dirname(createRequire(import.meta.url).resolve('s3rver/package.json')),
  'bin/s3rver.js',
);
const KIB = 1024;
const MIB = 1024 * KIB;
const FARMERS = 7;
const SCHEME = '4/5/6/7';
const CLIENTS = [1, 8, 64];
/** Sizes, and how many objects each number of clients puts and gets. */
const SIZES = [
  { size: 4 * KIB, name: '4 KiB', counts: [500, 3000, 6000] },
  { size: MIB, name: '1 MiB', counts: [60, 240, 480] },
  { size: 100 * MIB, name: '100 MiB', counts: [5, 16, 64] },
] as const;

interface Server {
  readonly name: string;
  readonly target: S3Target;
}

/**
 * Put and get through a bridge on farmer processes, beside s3rver, a plain S3 server of npm that writes files and
 * does not sync them, on the same disk. `GRANARY_BENCH_SCALE` (0 to 1) makes fewer requests, for a try.
 */
export async function benchS3(report: (line: string) => void): Promise<void> {
  const scale = Number(process.env['GRANARY_BENCH_SCALE'] ?? 1);
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-'));
  const children: ChildProcess[] = [];
  try {
    const home = await startNetwork(children, directory);
    const servers = [
      { name: 's3rver', target: await startPeer(children, directory) },
      { name: 'granary', target: await startBridge(children, home) },
    ];
    report(
      `${FARMERS} farmer processes, ${SCHEME}; s3rver writes files and does not sync; 503 is tried again`,
    );
    for (const { size, name, counts } of SIZES) {
      const body = randomBytes(size);
      for (const [i, clients] of CLIENTS.entries()) {
        const count = Math.max(clients, Math.ceil(counts[i]! * scale));
        await compare({ servers, body, name, clients, count, report });
      }
    }
  } finally {
    for (const child of children.reverse()) await ended(child);
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function compare(about: {
  readonly servers: readonly Server[];
  readonly body: Buffer;
  readonly name: string;
  readonly clients: number;
  readonly count: number;
  readonly report: (line: string) => void;
}): Promise<void> {
  const { servers, body, name, clients, count, report } = about;
  const bucket = `/b${randomBytes(6).toString('hex')}`;
  const loads = servers.map((server) => new S3Load(server.target, clients));
  for (const load of loads) await load.put(bucket);
  for (const what of ['put', 'get'] as const) {
    const results: Load[] = [];
    for (const load of loads) {
      if (what === 'get') await check(load, `${bucket}/0`, body);
      results.push(
        await load.run(count, async (i) => {
          if (what === 'put') return load.put(`${bucket}/${i}`, body);
          const bytes = await load.get(`${bucket}/${i}`);
          if (bytes !== body.length) throw new Error(`${bytes} bytes came of ${body.length}`);
        }),
      );
    }
    for (const [i, { rate, p50, p95, again }] of results.entries()) {
      const speed =
        body.length >= MIB
          ? `${((rate * body.length) / 1e6).toFixed(0)} MB/s`
          : `${rate.toFixed(0)}/s`;
      report(
        `  ${what} ${name}, ${String(clients).padStart(2)} clients  ${servers[i]!.name.padEnd(8)} ` +
          `${speed.padStart(9)}  p50 ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms` +
          (again === 0 ? '' : `, ${again} tried again`) +
          (i === 0 ? '' : `  ours is ${(rate / results[0]!.rate).toFixed(2)} times it`),
      );
    }
  }
  for (const load of loads) {
    await load.run(count, (i) => load.delete(`${bucket}/${i}`));
    load.close();
  }
}

/** That what is read is what was put. */
async function check(load: S3Load, path: string, body: Buffer): Promise<void> {
  const parts: Buffer[] = [];
  await load.get(path, (part) => parts.push(part));
  if (!Buffer.concat(parts).equals(body)) throw new Error(`${path} is not what was put`);
}

async function startNetwork(children: ChildProcess[], directory: string): Promise<string> {
  const line = await start(children, [
    ...[GRANARY, 'network', '--json', '-n', String(FARMERS), '--space', '40GB'],
    ...['--dir', join(directory, 'network')],
  ]);
  return (JSON.parse(line) as { home: string }).home;
}

async function startBridge(children: ChildProcess[], home: string): Promise<S3Target> {
  const args = [GRANARY, 'bridge', '--json', '--log-level', 'silent', '--listen', '127.0.0.1:0'];
  const env = { GRANARY_HOME: home, GRANARY_SCHEME: SCHEME };
  return JSON.parse(await start(children, args, env)) as S3Target;
}

async function startPeer(children: ChildProcess[], directory: string): Promise<S3Target> {
  const line = await start(children, [
    ...[S3RVER, '--directory', join(directory, 's3rver'), '--port', '0', '--silent'],
  ]);
  const port = /:(\d+)/.exec(line)?.[1];
  if (port === undefined) throw new Error(`s3rver says ${line}`);
  return { url: `http://127.0.0.1:${port}`, accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' };
}

/** Start a program of Node; its first line that says something. */
function start(
  children: ChildProcess[],
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.trim() !== '') resolve(line);
    });
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await gone;
  clearTimeout(timer);
}
