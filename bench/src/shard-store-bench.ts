import { mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { open as openLmdb } from 'lmdb';
import { sha256 } from '@granary/kad';
import { toHex } from '@granary/protocol';
import { SHARD_SIZE as SIZE, contractOf, openStore, putShard, shard } from './made-up-shards.js';

const PARALLEL = 64;
/** Gets and deletes measured, at most: they don't depend on how many came before. */
const SAMPLE = 10_000;

/** One way to keep shards. */
interface Contestant {
  readonly name: string;
  put(i: number): Promise<void>;
  get(i: number): Promise<void>;
  delete(i: number): Promise<void>;
  /** Close and open again. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

async function granaryStore(directory: string): Promise<Contestant> {
  let store = await openStore(directory);
  return {
    name: 'ShardStore',
    put: (i) => putShard(store, i),
    get: async (i) => {
      const stored = await store.openShard(contractOf(i).hash);
      await stored.readFully(new Uint8Array(SIZE), 0);
      await stored.close();
    },
    delete: async (i) => void (await store.delete(contractOf(i).hash)),
    reopen: async () => {
      await store.close();
      store = await openStore(directory);
    },
    close: () => store.close(),
  };
}

/** A file a shard, written, synced and renamed into one of 256 directories, which is synced, too. */
async function plainFiles(directory: string): Promise<Contestant> {
  const made = new Set<string>();
  const place = (i: number) => {
    const name = toHex(sha256(Buffer.from(String(i))));
    return { folder: join(directory, name.slice(0, 2)), name };
  };
  const sync = async (path: string) => {
    const handle = await open(path, 'r');
    await handle.sync();
    await handle.close();
  };
  await mkdir(directory, { recursive: true });
  return {
    name: 'plain files',
    put: async (i) => {
      const { folder, name } = place(i);
      if (!made.has(folder)) await mkdir(folder, { recursive: true });
      made.add(folder);
      const part = join(directory, `${name}.part`);
      const file = await open(part, 'wx');
      await file.write(shard, 0, SIZE, 0);
      await file.datasync();
      await file.close();
      await rename(part, join(folder, name));
      await sync(folder);
    },
    get: async (i) => {
      const { folder, name } = place(i);
      await readFile(join(folder, name));
    },
    delete: async (i) => {
      const { folder, name } = place(i);
      await rm(join(folder, name));
      await sync(folder);
    },
    reopen: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** LMDB alone, the shard as its value; a put is done when it is on the disk. */
function lmdbAlone(directory: string): Promise<Contestant> {
  const start = () => openLmdb<Buffer, string>({ path: directory, encoding: 'binary' });
  let db = start();
  const key = (i: number) => toHex(sha256(Buffer.from(String(i))));
  return Promise.resolve({
    name: 'LMDB alone',
    put: async (i) => {
      await db.put(key(i), Buffer.from(shard));
      await db.flushed;
    },
    get: (i) => {
      if (db.get(key(i)) === undefined) throw new Error('a value is missing');
      return Promise.resolve();
    },
    delete: async (i) => {
      await db.remove(key(i));
      await db.flushed;
    },
    reopen: async () => {
      await db.close();
      db = start();
      db.get(key(0));
    },
    close: () => db.close(),
  });
}

/** Shards a second. */
export async function rate(count: number, work: (i: number) => Promise<void>): Promise<number> {
  let next = 0;
  const begin = performance.now();
  const worker = async () => {
    for (let i = next++; i < count; i = next++) await work(i);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return (count / (performance.now() - begin)) * 1000;
}

/**
 * The farmer's shard store beside plain files and beside LMDB alone: puts (synced to the disk),
 * gets and deletes a second, 64 at a time, and the time to open, at the counts that
 * GRANARY_BENCH_SHARDS names.
 */
export async function benchShardStore(report: (line: string) => void): Promise<void> {
  const counts = (process.env['GRANARY_BENCH_SHARDS'] ?? '10000').split(',').map(Number);
  report(`shards of ${SIZE} bytes, ${PARALLEL} at a time, every put synced`);
  for (const count of counts) {
    const rates: { name: string; put: number; get: number; del: number }[] = [];
    for (const make of [granaryStore, plainFiles, lmdbAlone]) {
      const directory = await mkdtemp(join(tmpdir(), 'granary-bench-shards-'));
      try {
        const contestant = await make(join(directory, 'store'));
        const put = await rate(count, (i) => contestant.put(i));
        const begin = performance.now();
        await contestant.reopen();
        const opened = performance.now() - begin;
        const sample = Math.min(count, SAMPLE);
        const spread = (i: number) => Math.floor((i * count) / sample);
        const get = await rate(sample, (i) => contestant.get(spread(i)));
        const del = await rate(sample, (i) => contestant.delete(spread(i)));
        await contestant.close();
        rates.push({ name: contestant.name, put, get, del });
        const rss = (process.memoryUsage().rss / 2 ** 20).toFixed(0);
        report(
          `${count} shards, ${contestant.name.padEnd(11)}: put ${put.toFixed(0)}/s, get ${get.toFixed(0)}/s, ` +
            `delete ${del.toFixed(0)}/s, open ${opened.toFixed(0)} ms, process ${rss} MiB`,
        );
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    }
    const [ours, ...others] = rates;
    for (const other of others) {
      const ratio = (pick: (r: typeof other) => number) => (pick(ours!) / pick(other)).toFixed(2);
      report(
        `  ShardStore / ${other.name}: put ${ratio((r) => r.put)}, get ${ratio((r) => r.get)}, delete ${ratio((r) => r.del)}`,
      );
    }
  }
}
