import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { type FileHandle, mkdtemp, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCodec } from '@granary/erasure';
import { sha256Each } from '@granary/kad';
import { LEAF_SIZE, ShardTree } from '@granary/protocol';
import { median } from './median.js';
import type { TlsPump } from './tls-pump.js';

/** Bytes that each part of the work is measured with. */
const SIZE = 32 * 1024 * 1024;
const CHUNK = 64 * 1024;
/** A shard of a full segment at k = 4, and the pieces in which it is written and read. */
const SHARD = 4 * 1024 * 1024;
const PIECE = 256 * 1024;
const ROUNDS = 3;

/** What a byte of an object costs in CPU, part by part, each measured alone: nanoseconds a byte. */
export interface Limits {
  /** Name and cost of each part. */
  readonly put: readonly Part[];
  readonly get: readonly Part[];
}

/** How objects are coded, and how many audits each of their contracts has. */
export interface Scheme {
  readonly k: number;
  readonly n: number;
  readonly audits: number;
}

export type Part = readonly [name: string, cost: number];

/** The CPU time, in nanoseconds a byte, of some work on `bytes` bytes. Nothing else may go on in this process. */
function costOf(bytes: number, work: () => unknown): Promise<number> {
  return medianOf(async () => {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    return ((user + system) * 1000) / bytes;
  });
}

/** The median of what several measurements give. */
async function medianOf(measure: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  while (values.length < ROUNDS) values.push(await measure());
  return median(values);
}

/** Every part at its median over several measurements. */
export function medianParts(runs: readonly (readonly Part[])[]): Part[] {
  return runs[0]!.map(([name], i) => [name, median(runs.map((parts) => parts[i]![1]))]);
}

function eachChunk(data: Uint8Array, size: number, work: (chunk: Uint8Array) => void): void {
  for (let at = 0; at < data.length; at += size) work(data.subarray(at, at + size));
}

/**
 * Files written as a farmer does, each synced, and read. They stay until others were written, as those of a farmer do, whose
 * memory is not free either: memory for what is written is part of what it costs, and costs least when it was given back
 * a moment ago.
 */
export class WrittenFiles {
  private last: string | undefined;

  /** What writing and reading cost: nanoseconds a byte. */
  async measure(data: Uint8Array): Promise<{ write: number; read: number }> {
    const directory = await mkdtemp(join(tmpdir(), 'granary-limits-'));
    const files: FileHandle[] = [];
    try {
      const write = await costOf(data.length, async () => {
        for (let at = 0; at < data.length; at += SHARD) {
          const file = await open(join(directory, String(files.length)), 'w+');
          files.push(file);
          for (let done = 0; done < SHARD; done += PIECE) {
            await file.write(data, at + done, PIECE, done);
          }
          await file.datasync();
        }
      });
      const into = Buffer.alloc(PIECE);
      const read = await costOf(data.length, async () => {
        for (const file of files.slice(0, data.length / SHARD)) {
          for (let done = 0; done < SHARD; done += PIECE) await file.read(into, 0, PIECE, done);
        }
      });
      return { write, read };
    } finally {
      await Promise.all(files.map((file) => file.close()));
      this.close();
      this.last = directory;
    }
  }

  /** Remove what is left. */
  close(): void {
    if (this.last !== undefined) rmSync(this.last, { recursive: true, force: true });
    this.last = undefined;
  }
}

/**
 * What the primitives alone would cost: everything that has to be done with each byte of an object under a scheme, by the
 * fastest library call that there is for it in Node, and nothing around it.
 */
export async function measureLimits(
  { k, n, audits }: Scheme,
  pump: TlsPump,
  files: WrittenFiles,
): Promise<Limits> {
  const data = randomBytes(SIZE);
  const key = randomBytes(32);
  const nonce = Buffer.alloc(12);
  const hash = await costOf(SIZE, () => createHash('sha256').update(data).digest());
  const trees = await costOf(SIZE, () =>
    eachChunk(data, SHARD, (shard) => {
      ShardTree.fromLeaves(SHARD, sha256Each(shard, LEAF_SIZE)).root();
    }),
  );
  const cipher = await costOf(SIZE, () =>
    eachChunk(data, CHUNK, (chunk) => {
      const gcm = createCipheriv('aes-256-gcm', key, nonce);
      gcm.update(chunk);
      gcm.final();
    }),
  );
  const code = await costOf(SIZE, () => {
    const gcm = createCipheriv('aes-256-gcm', key, nonce);
    gcm.setAAD(data);
    gcm.final();
  });
  const codec = await createCodec({ k, n });
  const shards = Array.from({ length: k }, () => data.subarray(0, Math.floor(SIZE / k)));
  const parity = Array.from({ length: n - k }, () => new Uint8Array(Math.floor(SIZE / k)));
  const coding = await costOf(SIZE, () => codec.encode(shards, parity));
  const { write, read } = await files.measure(data);
  const tls = await medianOf(() => pump.send(SIZE));
  const expansion = n / k;
  return {
    put: [
      ['read the file', read],
      ['SHA-256 of the object', hash],
      ['SHA-256 of the segment', hash],
      ['AES-256-GCM', cipher],
      ['coding', coding],
      [`shard trees of ${expansion.toFixed(2)} bytes (renter)`, trees * expansion],
      [`${audits} audit codes of ${expansion.toFixed(2)} bytes`, code * audits * expansion],
      [`TLS and sockets, ${expansion.toFixed(2)} bytes, both ends`, tls * expansion],
      [`shard trees of ${expansion.toFixed(2)} bytes (farmers)`, trees * expansion],
      [`write and sync ${expansion.toFixed(2)} bytes`, write * expansion],
    ],
    get: [
      ['read the shards', read],
      ['TLS and sockets, both ends', tls],
      ['shard trees', trees],
      ['AES-256-GCM', cipher],
    ],
  };
}
