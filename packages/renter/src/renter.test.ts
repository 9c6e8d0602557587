import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
// The renter's own tests need farmers; the layers let no other code of this package name them.
// eslint-disable-next-line no-restricted-imports
import { Farmer } from '@granary/farmer';
import { Identity, silentLogger } from '@granary/kad';
import { all } from './all.js';
import { Renter, RenterKeys, type ShardProgress } from './index.js';

const scheme = { k: 2, repair: 3, success: 4, n: 5 };
const settings = { scheme, segmentSize: 256 * 1024, hedgeMs: 200, tailMs: 300 };
const keys = RenterKeys.fromEntropy(randomBytes(32));
let directory: string;
const farmers: Farmer[] = [];
let renter: Renter;

const openRenter = () =>
  Renter.open({
    directory: join(directory, 'renter'),
    keys,
    bootstrap: [farmers[0]!.address],
    logger: silentLogger,
    settings,
  });
const startFarmer = (name: string) =>
  Farmer.open({
    directory: join(directory, name),
    identity: Identity.generate(),
    host: '127.0.0.1',
    port: 0,
    bootstrap: farmers.slice(0, 1).map(({ address }) => address),
    quotaBytes: 100_000_000,
    logger: silentLogger,
  });
const read = async (name: string, range: { offset?: number; length?: number } = {}) => {
  const parts: Uint8Array[] = [];
  for await (const part of renter.get({ bucket: 'test', name }, range)) parts.push(part);
  return Buffer.concat(parts);
};
const stream = async function* (content: Uint8Array, step = 50_000) {
  for (let at = 0; at < content.length; at += step) {
    yield await Promise.resolve(content.subarray(at, at + step));
  }
};
const put = (name: string, content: Uint8Array) =>
  renter.put({ bucket: 'test', name }, { kind: 'stream', stream: stream(content) });
const shardsHeld = () => farmers.reduce((sum, farmer) => sum + farmer.stats().shards, 0);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-renter-'));
  for (let i = 0; i < 6; i += 1) farmers.push(await startFarmer(`farmer-${i}`));
  renter = await openRenter();
});
afterAll(async () => {
  await renter.close();
  await Promise.all(farmers.map((farmer) => farmer.stop()));
  await rm(directory, { recursive: true, force: true });
});

describe('a renter', () => {
  it.each([0, 1, 65_520, 65_521, 262_080, 700_001])('stores and reads %i bytes', async (size) => {
    const content = randomBytes(size);
    const { manifest } = await put(`size-${size}`, content);
    expect(manifest.size).toBe(size);
    expect((await read(`size-${size}`)).equals(content)).toBe(true);
  });

  it('reads ranges, and refuses those that are not there', async () => {
    const content = randomBytes(900_000);
    await put('ranges', content);
    for (const [offset, length] of [
      [0, 1],
      [899_999, 1],
      [65_519, 3],
      [262_000, 200],
      [100_000, 700_000],
      [5, 0],
    ] as const) {
      const got = await read('ranges', { offset, length });
      expect(got.equals(content.subarray(offset, offset + length)), `${offset}+${length}`).toBe(
        true,
      );
    }
    await expect(read('ranges', { offset: 900_001 })).rejects.toMatchObject({
      code: 'RENTER_RANGE',
    });
    await expect(read('ranges', { offset: -1 })).rejects.toMatchObject({ code: 'RENTER_RANGE' });
    await expect(read('ranges', { offset: 0, length: 900_001 })).rejects.toThrow(/900000 bytes/);
  });

  it('replaces an object, and leaves no shard of the old one', async () => {
    const before = shardsHeld();
    await put('replaced', randomBytes(300_000));
    const between = shardsHeld();
    const content = randomBytes(300_000);
    const { garbage } = await put('replaced', content);
    expect(garbage.pending).toEqual([]);
    expect(garbage.confirmed).toBeGreaterThanOrEqual(8);
    expect(shardsHeld()).toBe(between);
    expect(between).toBeGreaterThan(before);
    expect((await read('replaced')).equals(content)).toBe(true);
    const { confirmed } = await renter.delete({ bucket: 'test', name: 'replaced' });
    expect(confirmed).toBe(between - before);
    expect(shardsHeld()).toBe(before);
    await expect(read('replaced')).rejects.toMatchObject({ code: 'RENTER_NOT_FOUND' });
  });

  it('lists in order, by prefix and page, and knows its buckets', async () => {
    for (const name of ['list/b', 'list/a', 'list/ä', 'lisu', 'list/a/c'])
      await put(name, Buffer.of(1));
    const names = async (options = {}) =>
      (await all(renter.list('test', options))).map(({ name }) => name);
    expect(await names({ prefix: 'list/' })).toEqual(['list/a', 'list/a/c', 'list/b', 'list/ä']);
    expect(await names({ prefix: 'list/', after: 'list/a' })).toEqual([
      'list/a/c',
      'list/b',
      'list/ä',
    ]);
    expect(await names({ prefix: 'list/', limit: 2 })).toEqual(['list/a', 'list/a/c']);
    expect(await names({ prefix: 'none' })).toEqual([]);
    await renter.put(
      { bucket: 'another', name: 'x' },
      { kind: 'stream', stream: stream(Buffer.of(1)) },
    );
    expect(await all(renter.buckets())).toEqual(['another', 'test']);
    for (const bucket of ['', 'UPPER', 'a/b', '.x']) {
      await expect(all(renter.list(bucket)), bucket).rejects.toThrow(/not a bucket's name/);
    }
    await expect(put('', Buffer.of(1))).rejects.toMatchObject({ code: 'RENTER_BAD_PATH' });
    await expect(put('x'.repeat(1025), Buffer.of(1))).rejects.toMatchObject({
      code: 'RENTER_BAD_PATH',
    });
  });

  it('gets into a file that appears whole, and goes on with a part', async () => {
    const content = randomBytes(900_000);
    await put('file', content);
    const target = join(directory, 'file.out');
    const path = { bucket: 'test', name: 'file' };
    const stopping = new AbortController();
    const stopped = renter.getToFile(path, target, {
      signal: stopping.signal,
      onProgress: ({ segments }) => {
        if (segments === 2) stopping.abort();
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: 'RENTER_ABORTED' });
    await expect(stat(target)).rejects.toThrow();
    const part = (await readdir(directory)).find((name) => name.endsWith('.granary-part'))!;
    // What a crash may leave: a part whose end is not what it should be.
    const bytes = await readFile(join(directory, part));
    await writeFile(join(directory, part), Buffer.concat([bytes, Buffer.alloc(300_000)]));
    const { resumedBytes } = await renter.getToFile(path, target);
    expect(resumedBytes).toBeGreaterThan(0);
    expect(resumedBytes).toBeLessThan(900_000);
    expect((await readFile(target)).equals(content)).toBe(true);
    expect((await readdir(directory)).some((name) => name.endsWith('.granary-part'))).toBe(false);
  });

  it('goes on with a put of the same file, and begins anew with a changed one', async () => {
    const source = join(directory, 'source.bin');
    await writeFile(source, randomBytes(1_500_000));
    const path = { bucket: 'test', name: 'resumed' };
    const interrupted = () => {
      const stopping = new AbortController();
      return renter.put(
        path,
        { kind: 'file', path: source },
        {
          signal: stopping.signal,
          onProgress: ({ segments }) => {
            if (segments === 2) stopping.abort();
          },
        },
      );
    };
    await expect(interrupted()).rejects.toMatchObject({ code: 'RENTER_ABORTED' });
    expect((await renter.status()).unfinishedUploads).toHaveLength(1);
    const resumed = await renter.put(path, { kind: 'file', path: source });
    expect(resumed.resumedSegments).toBeGreaterThanOrEqual(2);
    expect((await renter.status()).unfinishedUploads).toHaveLength(0);
    expect((await read('resumed')).equals(await readFile(source))).toBe(true);

    await expect(interrupted()).rejects.toMatchObject({ code: 'RENTER_ABORTED' });
    await writeFile(source, randomBytes(1_500_000));
    const anew = await renter.put(path, { kind: 'file', path: source });
    expect(anew.resumedSegments).toBe(0);
    expect((await read('resumed')).equals(await readFile(source))).toBe(true);
    await renter.delete(path);
    await renter.collectGarbage();
    expect((await renter.status()).pendingDeletes).toBe(0);
  });

  it('gives up a put that was cut off, and leaves no shard of it', async () => {
    const before = shardsHeld();
    const path = { bucket: 'test', name: 'given up' };
    const file = join(directory, 'given-up');
    await writeFile(file, randomBytes(1_500_000));
    const stop = new AbortController();
    await expect(
      renter.put(
        path,
        { kind: 'file', path: file },
        { signal: stop.signal, onProgress: ({ segments }) => segments > 0 && stop.abort() },
      ),
    ).rejects.toMatchObject({ code: 'RENTER_ABORTED' });
    const unfinished = async () => (await renter.status()).unfinishedUploads.length;
    expect(await unfinished()).toBe(1);
    expect(await renter.giveUp({ ...path, name: 'another' })).toBe(0);
    expect(await renter.giveUp(path)).toBe(1);
    expect(await unfinished()).toBe(0);
    await renter.collectGarbage();
    expect(shardsHeld()).toBe(before);
  });

  it('tells of every shard on its way, and how an object is', async () => {
    const path = { bucket: 'test', name: 'watched' };
    const content = randomBytes(400_000);
    const last = new Map<string, ShardProgress>();
    const onShard = (step: ShardProgress) => {
      expect(step.bytes).toBeLessThanOrEqual(step.size);
      last.set(`${step.segment}/${step.shard}`, step);
    };
    await renter.put(path, { kind: 'stream', stream: stream(content) }, { onShard });
    const { segments, farmers: holders } = await renter.stat(path);
    expect(last.size).toBe(segments * scheme.n);
    const done = [...last.values()].filter(({ state }) => state === 'done');
    expect(done.length).toBeGreaterThanOrEqual(segments * scheme.success);
    for (const { bytes, size, farmer } of done) {
      expect(bytes).toBe(size);
      expect(holders.map(({ nodeId }) => nodeId)).toContain(farmer);
    }
    const states = new Map<string, ShardProgress['state']>();
    const options = {
      onShard: ({ segment, shard, state }: ShardProgress) =>
        void states.set(`${segment}/${shard}`, state),
    };
    expect(await all(renter.get(path, options))).toHaveLength(segments);
    expect([...states.values()].filter((state) => state === 'done').length).toBeGreaterThanOrEqual(
      segments * scheme.k,
    );
    const health = await renter.healthOf(path, { soon: 0 });
    expect(health).toMatchObject({ name: 'watched', segments, verdict: 'fine', endangered: 0 });
    expect(health.shards.healthy).toBeGreaterThanOrEqual(scheme.success);
    expect(await renter.askHolders(path)).toEqual([]);
    await expect(renter.healthOf({ ...path, name: 'x' }, { soon: 0 })).rejects.toMatchObject({
      code: 'RENTER_NOT_FOUND',
    });
  });

  it('has the first bytes of a large segment before the rest of it is there', async () => {
    const path = { bucket: 'test', name: 'large' };
    const large = await Renter.open({
      directory: join(directory, 'large-renter'),
      keys: RenterKeys.fromEntropy(randomBytes(32)),
      bootstrap: [farmers[0]!.address],
      logger: silentLogger,
      settings: { ...settings, segmentSize: 48 * 1024 * 1024 },
    });
    try {
      const content = randomBytes(18_000_000);
      await large.put(path, { kind: 'stream', stream: stream(content, 1_000_000) });
      expect(await large.stat(path)).toMatchObject({ segments: 1 });
      const steps: ShardProgress[] = [];
      const onShard = (step: ShardProgress) => steps.push(step);
      const segments: number[] = [];
      const onProgress = (progress: { segments: number }) => segments.push(progress.segments);
      const parts: Uint8Array[] = [];
      const done = () => steps.filter(({ state }) => state === 'done');
      for await (const part of large.get(path, { onShard, onProgress })) {
        // So much of k shards is enough, and no other segment was asked for.
        if (parts.length === 0) {
          const begun = new Set(steps.filter(({ bytes }) => bytes > 0).map(({ shard }) => shard));
          expect(begun.size).toBeGreaterThanOrEqual(scheme.k);
          expect(done().length).toBeLessThan(scheme.k);
        }
        parts.push(part);
      }
      expect(Buffer.concat(parts).equals(content)).toBe(true);
      expect(done().length).toBeGreaterThanOrEqual(scheme.k);
      expect([Math.max(...segments.slice(0, -1)), segments.at(-1)]).toEqual([0, 1]);
    } finally {
      await large.close();
    }
  });

  it('says what is wrong with a source', async () => {
    const from = (path: string) =>
      renter.put({ bucket: 'test', name: 's' }, { kind: 'file', path });
    await expect(from(join(directory, 'none'))).rejects.toThrow(/there is no such file/);
    await expect(from(directory)).rejects.toThrow(/is not a file/);
  });

  it('places on others what a dead farmer does not take, and reads without the dead', async () => {
    const dead = await startFarmer('dying');
    farmers.push(dead);
    await renter.farmers({ refresh: true });
    await dead.stop();
    const content = randomBytes(600_000);
    await put('around', content);
    expect((await read('around')).equals(content)).toBe(true);
    farmers.pop();
  });

  it('keeps what it has over a restart, and finds farmers that moved', async () => {
    const content = randomBytes(400_000);
    await put('kept', content);
    await renter.close();
    renter = await openRenter();
    expect((await read('kept')).equals(content)).toBe(true);
    expect((await renter.stat({ bucket: 'test', name: 'kept' })).sha256).toHaveLength(64);
  });

  it('tells plainly when there are too few farmers or shards', async () => {
    const big = { k: 5, repair: 6, success: 40, n: 40 };
    const path = { bucket: 'test', name: 'toobig' };
    await expect(
      renter.put(path, { kind: 'stream', stream: stream(Buffer.of(1)) }, { scheme: big }),
    ).rejects.toMatchObject({ code: 'RENTER_NOT_ENOUGH_FARMERS' });
    expect((await renter.status()).unfinishedUploads).toHaveLength(0);
    const lonely = await Renter.open({
      directory: join(directory, 'lonely'),
      keys: RenterKeys.fromEntropy(randomBytes(32)),
      bootstrap: ['https://127.0.0.1:9'],
      logger: silentLogger,
    });
    await expect(
      lonely.put(path, { kind: 'stream', stream: stream(Buffer.of(1)) }),
    ).rejects.toMatchObject({ code: 'RENTER_NETWORK_UNREACHABLE' });
    await lonely.close();
  });
});
