import type { ChildProcess } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { mkdtemp, readFile, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { S3Load } from './s3-load.js';
import { ended } from './launched.js';
import { startBridge, startNetwork } from './s3-servers.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const PART = 64 * MIB;
const AT_A_TIME = 4;
const FARMERS = 6;
const SCHEME = '4/5/5/6';
/** Bytes on the disk for each of the object's, at most. */
const EXPANSION = 6 / 4;

/**
 * One large object through a bridge on farmer processes, put in parts and read back, and what memory the bridge
 * takes meanwhile. `GRANARY_BENCH_GIB` says how large; 1 by default. The farmers need half as much again on the disk.
 */
export async function benchMultipart(report: (line: string) => void): Promise<void> {
  const size = Math.round(Number(process.env['GRANARY_BENCH_GIB'] ?? 1) * GIB);
  const { bavail, bsize } = await statfs(tmpdir());
  if (size * EXPANSION + 2 * GIB > bavail * bsize) {
    report(`  ${(size / GIB).toFixed(0)} GiB do not fit on the disk of ${tmpdir()}`);
    return;
  }
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-'));
  const children: ChildProcess[] = [];
  try {
    const home = await startNetwork(children, directory, FARMERS);
    const bridge = await startBridge(children, home, SCHEME);
    const load = new S3Load(bridge, AT_A_TIME);
    report(
      `  ${(size / GIB).toFixed(1)} GiB in parts of 64 MiB, ${AT_A_TIME} at a time, ${SCHEME}`,
    );
    report(`  before                 ${await memory(bridge.pid)}`);
    await load.put('/bench');
    const put = await uploaded(load, size, async (share) => {
      report(`  ${String(share).padStart(3)} % put              ${await memory(bridge.pid)}`);
    });
    report(`  put                    ${speed(size, put)}`);
    const begun = performance.now();
    const compared = new Comparer();
    const bytes = await load.get('/bench/large', (part) => compared.take(part));
    if (bytes !== size) throw new Error(`${bytes} bytes came of ${size}`);
    report(`  got, byte for byte     ${speed(size, performance.now() - begun)}`);
    report(`  after                  ${await memory(bridge.pid)}`);
    load.close();
  } finally {
    for (const child of children.reverse()) await ended(child);
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Put an object in parts. @returns milliseconds */
async function uploaded(
  load: S3Load,
  size: number,
  onQuarter: (percent: number) => Promise<void>,
): Promise<number> {
  const begun = performance.now();
  const answer = await load.post('/bench/large?uploads=', '');
  const id = /<UploadId>(\w+)</.exec(answer)![1]!;
  const parts = Math.ceil(size / PART);
  const etags: string[] = [];
  let done = 0;
  await load.run(parts, async (i) => {
    const bytes = noise(i).subarray(0, Math.min(PART, size - i * PART));
    etags[i] = await load.put(`/bench/large?partNumber=${i + 1}&uploadId=${id}`, bytes);
    done += 1;
    const [before, now] = [done - 1, done].map((n) => Math.floor((4 * n) / parts)) as [
      number,
      number,
    ];
    if (now > before) await onQuarter(25 * now);
  });
  const named = etags.map(
    (etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
  );
  const body = `<CompleteMultipartUpload>${named.join('')}</CompleteMultipartUpload>`;
  await load.post(`/bench/large?uploadId=${id}`, body);
  return performance.now() - begun;
}

/** The bytes of a part: AES-CTR noise, another for each number. */
function noise(part: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32BE(part);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(PART));
}

/** Compares a stream with the noise of all parts one after another. */
class Comparer {
  private at = 0;
  private expected = noise(0);

  take(part: Buffer): void {
    for (let from = 0; from < part.length;) {
      const within = this.at % PART;
      if (within === 0 && this.at > 0) this.expected = noise(this.at / PART);
      const count = Math.min(PART - within, part.length - from);
      if (part.compare(this.expected, within, within + count, from, from + count) !== 0) {
        throw new Error(`what came is not what was put, at byte ${this.at} or behind it`);
      }
      from += count;
      this.at += count;
    }
  }
}

/** What a process takes now, and has taken at most (proc(5)). */
async function memory(pid: number): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const mib = (name: string) =>
    (Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024).toFixed(0);
  return `resident ${mib('VmRSS')} MiB, at most ${mib('VmHWM')} MiB`;
}

function speed(bytes: number, ms: number): string {
  return `${(ms / 1000).toFixed(1)} s, ${(bytes / 1000 / ms).toFixed(0)} MB/s`;
}
