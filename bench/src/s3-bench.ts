import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ended } from './launched.js';
import { type Load, S3Load, type S3Target } from './s3-load.js';
import { startBridge, startNetwork, startPeer } from './s3-servers.js';

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
 * does not sync them, on the same disk. `GRANARY_BENCH_SCALE` (0 to 1) makes fewer requests, for a try:
 * with many clients fewer than one each.
 */
export async function benchS3(report: (line: string) => void): Promise<void> {
  const scale = Number(process.env['GRANARY_BENCH_SCALE'] ?? 1);
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-'));
  const children: ChildProcess[] = [];
  try {
    const home = await startNetwork(children, directory, FARMERS);
    const servers = [
      { name: 's3rver', target: await startPeer(children, directory) },
      { name: 'granary', target: await startBridge(children, home, SCHEME) },
    ];
    report(
      `${FARMERS} farmer processes, ${SCHEME}; s3rver writes files and does not sync; 503 is tried again`,
    );
    for (const { size, name, counts } of SIZES) {
      const body = randomBytes(size);
      for (const [i, clients] of CLIENTS.entries()) {
        const least = scale < 1 ? Math.min(clients, 8) : clients;
        const count = Math.max(least, Math.ceil(counts[i]! * scale));
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
          if (what === 'put') {
            await load.put(`${bucket}/${i}`, body);
            return;
          }
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
