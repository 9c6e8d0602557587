import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCodec } from '@granary/erasure';
import { sha256Each } from '@granary/kad';
import { LEAF_SIZE } from '@granary/protocol';
import { pumpThroughTls } from './tls-pump.js';

/** Bytes that each part of the work is measured with. */
const SIZE = 32 * 1024 * 1024;
const CHUNK = 64 * 1024;
const ROUNDS = 3;

/** What a byte of an object costs in CPU, part by part, each measured alone: nanoseconds a byte. */
export interface Limits {
  /** Name and cost of each part. */
  readonly put: readonly [string, number][];
  readonly get: readonly [string, number][];
}

/** Least CPU time, in nanoseconds a byte, of some work on `bytes` bytes. */
async function costOf(bytes: number, work: () => unknown): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, ((user + system) * 1000) / bytes);
  }
  return least;
}

function eachChunk(data: Uint8Array, size: number, work: (chunk: Uint8Array) => void): void {
  for (let at = 0; at < data.length; at += size) work(data.subarray(at, at + size));
}

/**
 * What the primitives alone would cost: everything that has to be done with each byte of an object under a scheme, by the
 * fastest library call that there is for it in Node, and nothing around it.
 */
export async function measureLimits(k: number, n: number, audits: number): Promise<Limits> {
  const data = randomBytes(SIZE);
  const key = randomBytes(32);
  const nonce = Buffer.alloc(12);
  const hash = await costOf(SIZE, () => createHash('sha256').update(data).digest());
  const leaves = await costOf(SIZE, () => sha256Each(data, LEAF_SIZE));
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
  const path = join(tmpdir(), `granary-limits-${process.pid}`);
  const file = await open(path, 'w+');
  const write = await costOf(SIZE, async () => {
    await file.write(data, 0, SIZE, 0);
    await file.datasync();
  });
  const read = await costOf(SIZE, () => file.read(data, 0, SIZE, 0));
  await file.close();
  await rm(path, { force: true });
  const tls = await pumpThroughTls(SIZE);
  const expansion = n / k;
  return {
    put: [
      ['read the file', read],
      ['SHA-256 of the object', hash],
      ['SHA-256 of the segment', hash],
      ['AES-256-GCM', cipher],
      ['coding', coding],
      [`leaves of ${expansion.toFixed(2)} bytes (renter)`, leaves * expansion],
      [`${audits} audit codes of ${expansion.toFixed(2)} bytes`, code * audits * expansion],
      [`TLS and sockets, ${expansion.toFixed(2)} bytes, both ends`, tls * expansion],
      [`leaves of ${expansion.toFixed(2)} bytes (farmers)`, leaves * expansion],
      [`write and sync ${expansion.toFixed(2)} bytes`, write * expansion],
    ],
    get: [
      ['read the shards', read],
      ['TLS and sockets, both ends', tls],
      ['leaves', leaves],
      ['AES-256-GCM', cipher],
    ],
  };
}
