import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { type MetadataStore, SqlRecords, openDatabase, openMetadataStore } from '@granary/bridge';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import { LmdbRecords } from '@granary/renter';
import {
  type PostgresServer,
  startPostgres,
} from '../../packages/bridge/src/sql/postgres-server.test-support.js';
import { until } from './support/granary.js';

/** Processes killed in one run of each; GRANARY_CRASHES sets another number. */
const CRASHES = Number(process.env['GRANARY_CRASHES'] ?? 8);
const WORKERS = 3;
const JOBS = 40;
const WORKER = fileURLToPath(new URL('./support/database-worker.mjs', import.meta.url));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Line {
  readonly begun?: string;
  readonly done?: string;
  readonly text?: string | null;
  readonly content?: string;
  readonly job?: string;
  readonly count?: number;
}

/** A worker that is started again whenever it was killed. */
class Worker {
  private child: ChildProcess | undefined;
  private output = Promise.resolve();
  private lines = 0;
  readonly stderr: string[] = [];

  constructor(
    private readonly args: readonly string[],
    private readonly heard: (line: Line) => void,
  ) {}

  start(): void {
    const child = spawn(process.execPath, [WORKER, ...this.args]);
    this.lines = 0;
    this.child = child;
    child.stderr.on('data', (chunk: Buffer) => this.stderr.push(chunk.toString()));
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      // The last line of one that was killed may be cut off.
      if (!line.endsWith('}')) return;
      this.lines += 1;
      this.heard(JSON.parse(line) as Line);
    });
    this.output = new Promise((resolve) => lines.once('close', resolve));
  }

  /** Wait until it is at work. */
  busy(): Promise<void> {
    return until('a worker is at work', () => this.lines > 0);
  }

  /** Kill it, and wait until all that it said was heard. More than once is no fault. */
  async kill(): Promise<void> {
    this.child?.kill('SIGKILL');
    await this.output;
  }
}

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function placeFor(kind: string): Promise<{ database: string; server?: PostgresServer }> {
  const directory = await mkdtemp(join(tmpdir(), 'granary-crash-'));
  cleanups.push(() => rm(directory, { recursive: true, force: true }));
  if (kind === 'lmdb') return { database: directory };
  if (kind === 'sqlite') return { database: join(directory, 'bridge.db') };
  const server = await startPostgres();
  cleanups.push(() => server.close());
  return { database: await server.createDatabase(), server };
}

/** Kill workers, and now and then the server, at random moments. */
async function killAtRandom(workers: readonly Worker[], server?: PostgresServer): Promise<void> {
  for (let i = 0; i < CRASHES; i += 1) {
    const victim = workers[Math.floor(Math.random() * workers.length)]!;
    await victim.busy();
    await sleep(Math.random() * 500);
    if (server !== undefined && i % 4 === 3) {
      await server.kill();
      await sleep(Math.random() * 300);
      await server.start();
      continue;
    }
    await victim.kill();
    victim.start();
  }
}

async function pagesOf(store: MetadataStore) {
  const objects = [];
  let after: string | undefined;
  for (;;) {
    const at = after === undefined ? {} : { after };
    const page = await store.listObjects({ bucket: 'bucket', limit: 5, ...at });
    objects.push(...page.objects);
    if (page.next === null) return objects;
    after = page.next;
  }
}

describe.each(['sqlite', 'postgres'])('metadata in %s under many processes', (kind) => {
  it('keeps every acknowledged write, and no half of one, whoever is killed', async () => {
    const { database, server } = await placeFor(kind);
    const masterKey = randomBytes(32);
    const open = () => openMetadataStore({ database, masterKey });
    let store = await open();
    cleanups.push(() => store.close());
    const owner = await store.createUser({
      name: 'owner',
      disabled: false,
      admin: false,
      passwordHash: null,
      quota: { bytes: null, objects: null, buckets: null },
      attributes: {},
    });
    await store.createBucket({ name: 'bucket', owner: owner.id });
    for (let i = 0; i < JOBS; i += 1) {
      await store.addJob({ queue: 'work', id: `job ${i}`, payload: i, due: 0 });
    }
    /** What a key was last known to be, and what may have happened to it since. */
    const states = new Map<string, Set<string | null>>();
    const contents = new Set<string>();
    const jobs: string[] = [];
    let acknowledged = 0;
    const heard = ({ begun, done, text, content, job }: Line) => {
      if (begun !== undefined) {
        states.set(begun, (states.get(begun) ?? new Set([null])).add(text!));
      }
      if (done !== undefined) {
        states.set(done, new Set([text!]));
        acknowledged += 1;
      }
      if (content !== undefined) contents.add(content);
      if (job !== undefined) jobs.push(job);
    };
    const workers = Array.from(
      { length: WORKERS },
      (_, i) =>
        new Worker(['metadata', database, masterKey.toString('hex'), `w${i}`, owner.id], heard),
    );
    cleanups.push(async () => void (await Promise.all(workers.map((worker) => worker.kill()))));
    for (const worker of workers) worker.start();
    await killAtRandom(workers, server);
    // Leases of those that were killed run out, and others do their work.
    await until('all jobs are done', async () => {
      const { waiting, leased } = await store.countJobs('work');
      return waiting + leased === 0;
    });
    await until('much is acknowledged', () => acknowledged > 20);
    await Promise.all(workers.map((worker) => worker.kill()));
    expect(workers.flatMap(({ stderr }) => stderr)).toEqual([]);

    await store.close();
    store = await open();
    const objects = await pagesOf(store);
    const listed = new Map(objects.map((object) => [object.key, object]));
    const referred = new Set<string>();
    for (const [key, possible] of states) {
      const version = await store.version('bucket', key);
      const found = version?.etag ?? null;
      expect([...possible], key).toContain(found);
      expect(listed.get(key)?.etag ?? null, key).toBe(found);
      if (version?.body.kind === 'extents') referred.add(version.body.extents[0]!.contentId);
      if (version?.body.kind === 'inline') {
        expect(Buffer.from(version.body.bytes).toString()).toBe(found);
      }
    }
    const bytes = objects.reduce((sum, { size }) => sum + size, 0);
    expect(await store.bucketUsage('bucket')).toEqual({ objects: objects.length, bytes });
    // No content is forgotten: it is referred to, or known as garbage once its claim has run out.
    await sleep(3100);
    const garbage = new Set<string>();
    for (let page = await store.garbageContents(1000); page.length > 0;) {
      for (const content of page) garbage.add(content);
      await store.forgetContents(page);
      page = await store.garbageContents(1000);
    }
    for (const content of contents) {
      expect(referred.has(content) !== garbage.has(content), content).toBe(true);
    }
    expect(new Set(jobs).size).toBe(jobs.length);
    expect(await store.countJobs('work')).toEqual({ waiting: 0, leased: 0, failing: 0 });
  });
});

describe.each(['lmdb', 'sqlite', 'postgres'])('records in %s under many processes', (kind) => {
  it('keeps transactions whole, and every acknowledged one, whoever is killed', async () => {
    const { database, server } = await placeFor(kind);
    const counts = Array<number>(WORKERS).fill(0);
    const workers = counts.map(
      (_, i) =>
        new Worker([kind, database, '', `w${i}`], ({ count }) => {
          if (count !== undefined) counts[i] = count;
        }),
    );
    cleanups.push(async () => void (await Promise.all(workers.map((worker) => worker.kill()))));
    for (const worker of workers) worker.start();
    await killAtRandom(workers, server);
    await until('all have written', () => counts.every((n) => n > 0));
    await Promise.all(workers.map((worker) => worker.kill()));
    expect(workers.flatMap(({ stderr }) => stderr)).toEqual([]);
    const parts = { clock: systemClock, random: systemRandom, logger: silentLogger };
    const store =
      kind === 'lmdb'
        ? await LmdbRecords.open(database)
        : await SqlRecords.open(await openDatabase(database, parts), 'renter');
    cleanups.push(() => store.close());
    const names = ['left', 'right', ...counts.map((_, i) => `of w${i}`)];
    const found = new Map(
      (await store.get(names)).map(({ key, value }) => [key, Number(value.toString())]),
    );
    const own = counts.map((_, i) => found.get(`of w${i}`)!);
    expect(found.get('left')).toBe(found.get('right'));
    expect(found.get('left')).toBe(own.reduce((sum, n) => sum + n, 0));
    own.forEach((n, i) => expect(n).toBeGreaterThanOrEqual(counts[i]!));
  });
});
