import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rm,
  stat,
  statfs,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import ts from 'typescript';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Clock, Identity, silentLogger } from '@granary/kad';
import {
  type Contract,
  type ContractTerms,
  HASH_SIZE,
  STREAM_LEVEL,
  ShardTree,
  acceptContract,
  contractHash,
  leafCount,
  levelCount,
  proposeContract,
  toHex,
} from '@granary/protocol';
import { ContractBook } from './contract-book.js';
import { contractTerms } from './contract-terms.test-support.js';
import { ShardStore, type ShardStoreOptions } from './shard-store.js';

const renter = Identity.generate();
const farmer = Identity.generate();
const MINUTE = 60_000;
let directory: string;
let now: number;
const clock: Clock = {
  now: () => now,
  setTimeout: () => undefined,
  clearTimeout: () => undefined,
};

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-shards-'));
  now = 1_800_000_000_000;
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const open = (change: Partial<ShardStoreOptions> = {}) =>
  ShardStore.open({
    directory: join(directory, 'farmer'),
    quotaBytes: 100_000,
    reservationMs: 10 * MINUTE,
    graceMs: 5 * MINUTE,
    clock,
    logger: silentLogger,
    ...change,
  });

interface Offer {
  readonly hash: string;
  readonly contract: Contract;
  readonly terms: ContractTerms;
  readonly shard: Uint8Array;
}
function offer(shard: Uint8Array, durationMs = 60 * MINUTE): Offer {
  const terms = contractTerms({ renter, farmer }, shard, { end: now + durationMs }, now);
  const contract = acceptContract(farmer, proposeContract(renter, terms));
  return { hash: contractHash(terms), contract, terms, shard };
}

async function begin(store: ShardStore, { hash, contract, terms, shard }: Offer, bytes: number) {
  await store.reserve(hash, contract);
  const part = await store.openPartial(hash, terms);
  if (bytes > part.offset) await part.append(shard.subarray(part.offset, bytes));
  return part;
}

async function keep(store: ShardStore, one: Offer): Promise<void> {
  const part = await begin(store, one, one.shard.length);
  await store.commit(one.hash, one.terms, part);
}

const keepWhole = (store: ShardStore, { hash, contract, shard }: Offer) =>
  store.keepWhole(hash, contract, new Uint8Array(0), shard);

async function read(store: ShardStore, { hash, terms }: Offer): Promise<Buffer> {
  const shard = await store.openShard(hash);
  try {
    const bytes = Buffer.alloc(terms.shardSize);
    await shard.readFully(bytes, 0);
    expect(toHex((await shard.tree()).root())).toBe(terms.shardHash);
    return bytes;
  } finally {
    await shard.close();
  }
}

const pathOf = (hash: string) => join(directory, 'farmer', 'shards', hash.slice(0, 2), hash);
const partials = () => readdir(join(directory, 'farmer', 'partial'));
async function shardFiles(): Promise<string[]> {
  const names = await readdir(join(directory, 'farmer', 'shards'), { recursive: true });
  return names.map((name) => name.slice(3)).filter((name) => name !== '');
}

describe('a shard store', () => {
  it('takes a shard in parts of any sizes, several at a time', async () => {
    const store = await open({ quotaBytes: 100_000_000 });
    const parts = fc.array(fc.nat({ max: 30_000 }), { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.array(parts, { minLength: 1, maxLength: 6 }), async (groups) => {
        now += 1;
        const total = groups.flat().reduce((sum, size) => sum + size, 0);
        const one = offer(randomBytes(total));
        const part = await begin(store, one, 0);
        for (const sizes of groups) {
          let at = part.offset;
          await part.append(...sizes.map((size) => one.shard.subarray(at, (at += size))));
          expect(part.offset).toBe(at);
        }
        await store.commit(one.hash, one.terms, part);
        expect((await read(store, one)).equals(one.shard)).toBe(true);
      }),
      { numRuns: 30 },
    );
    await store.close();
  });

  it('keeps to a model through any order of work, restarts included', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('store' as const), size: fc.nat({ max: 40_000 }) }),
      fc.record({ kind: fc.constant('whole' as const), size: fc.nat({ max: 40_000 }) }),
      fc.record({ kind: fc.constant('part' as const), size: fc.nat({ max: 40_000 }) }),
      fc.record({
        kind: fc.constantFrom('finish', 'replace', 'release', 'delete'),
        pick: fc.nat(),
      }),
      fc.record({ kind: fc.constant('wait' as const), minutes: fc.nat({ max: 12 }) }),
      fc.record({ kind: fc.constant('restart' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        await rm(join(directory, 'farmer'), { recursive: true, force: true });
        let store = await open();
        const stored = new Map<string, Offer>();
        const reserved = new Map<string, Offer & { until: number }>();
        const total = (map: Map<string, Offer>) =>
          [...map.values()].reduce((sum, { shard }) => sum + shard.length, 0);
        const tick = () => (now += 1); // no two contracts alike
        for (const one of steps) {
          tick();
          if ('size' in one) {
            const made = offer(randomBytes(one.size), 20 * MINUTE);
            const fits = total(stored) + total(reserved) + one.size <= 100_000;
            const work = {
              store: () => keep(store, made),
              whole: () => keepWhole(store, made),
              part: () => begin(store, made, one.size >> 1).then((part) => part.suspend()),
            }[one.kind]();
            if (!fits) {
              await expect(work).rejects.toMatchObject({ code: 'FARMER_FULL' });
            } else {
              await work;
              if (one.kind !== 'part') stored.set(made.hash, made);
              else reserved.set(made.hash, { ...made, until: now + 10 * MINUTE });
            }
          } else if ('pick' in one) {
            const pool = one.kind === 'delete' ? new Map([...stored, ...reserved]) : reserved;
            const picked = [...pool.values()][one.pick % Math.max(1, pool.size)];
            if (picked === undefined) continue;
            if (one.kind === 'finish' || one.kind === 'replace') {
              // A part that is there is gone on with, or overwritten.
              await (one.kind === 'finish' ? keep : keepWhole)(store, picked);
              stored.set(picked.hash, picked);
            } else if (one.kind === 'release') {
              await store.release(picked.hash);
            } else {
              const freed = stored.delete(picked.hash) ? picked.shard.length : 0;
              expect(await store.delete(picked.hash)).toBe(freed);
              expect(await store.delete(picked.hash)).toBe(0);
              const gone = { code: 'FARMER_GONE' };
              const reserved = store.reserve(picked.hash, picked.contract);
              await expect(reserved).rejects.toMatchObject(gone);
              await expect(keepWhole(store, picked)).rejects.toMatchObject(gone);
            }
            reserved.delete(picked.hash);
          } else {
            if (one.kind === 'wait') {
              now += one.minutes * MINUTE;
              await store.sweep(new Set());
              for (const [hash, { terms }] of stored) {
                if (terms.end + 5 * MINUTE <= now) stored.delete(hash);
              }
            } else {
              await store.close();
              store = await open();
            }
            for (const [hash, { until }] of reserved) if (until <= now) reserved.delete(hash);
          }
          expect(store.usage).toMatchObject({
            usedBytes: total(stored),
            reservedBytes: total(reserved),
            freeBytes: 100_000 - total(stored) - total(reserved),
            shards: stored.size,
          });
        }
        for (const one of stored.values()) {
          expect((await read(store, one)).equals(one.shard)).toBe(true);
        }
        await store.reconcile(new AbortController().signal);
        expect(store.usage.missing).toBe(0);
        expect((await shardFiles()).sort()).toEqual([...stored.keys()].sort());
        for (const name of await partials()) expect(reserved.has(name)).toBe(true);
        await store.close();
      }),
      { numRuns: 15, seed: 20260118 },
    );
  });

  it('never promises more than its quota to contracts that come at one time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 2, maxLength: 12 }),
        async (sizes) => {
          await rm(join(directory, 'farmer'), { recursive: true, force: true });
          const store = await open();
          const offers = sizes.map((size) => offer(randomBytes(size)));
          const results = await Promise.allSettled(
            offers.map((one, i) => (i % 2 === 0 ? keep : keepWhole)(store, one)),
          );
          let kept = 0;
          for (const [i, result] of results.entries()) {
            if (result.status === 'fulfilled') kept += sizes[i]!;
            else expect(result.reason).toMatchObject({ code: 'FARMER_FULL' });
          }
          expect(kept).toBeLessThanOrEqual(100_000);
          expect(kept).toBeGreaterThan(0);
          expect(store.usage).toMatchObject({ usedBytes: kept, reservedBytes: 0 });
          await store.close();
        },
      ),
      { numRuns: 15, seed: 20260119 },
    );
  });

  it('keeps nothing of a shard that came whole and is not what its contract says', async () => {
    const store = await open();
    const [one, other] = [offer(randomBytes(9000)), offer(randomBytes(9000))];
    const wrong = keepWhole(store, { ...one, shard: other.shard });
    await expect(wrong).rejects.toMatchObject({ code: 'FARMER_WRONG_BYTES' });
    const short = keepWhole(store, { ...one, shard: one.shard.subarray(1) });
    await expect(short).rejects.toMatchObject({ code: 'FARMER_WRONG_BYTES' });
    expect(store.entry(one.hash)).toBeUndefined();
    expect([...(await partials()), ...(await shardFiles())]).toEqual([]);
    expect(store.usage).toMatchObject({ usedBytes: 0, reservedBytes: 0, freeBytes: 100_000 });
    await keepWhole(store, one);
    expect((await read(store, one)).equals(one.shard)).toBe(true);
    await store.close();
  });

  it('takes a shard in again that came whole and that a crash kept from its book', async () => {
    let store = await open();
    const [before, lost] = [offer(randomBytes(1000)), offer(randomBytes(20_000))];
    await keepWhole(store, before);
    await store.close();
    const book = join(directory, 'farmer', 'contracts.lmdb');
    const older = await readFile(book);
    store = await open();
    await keepWhole(store, lost);
    await store.close();
    // The file was in its place, and the book was not written any more.
    await writeFile(book, older);
    store = await open();
    expect(store.entry(lost.hash)).toBeUndefined();
    await store.reconcile(new AbortController().signal);
    expect(await store.holds(lost.hash)).toBe(true);
    expect(store.contract(lost.hash)).toEqual(lost.contract);
    expect((await read(store, lost)).equals(lost.shard)).toBe(true);
    expect(store.usage).toMatchObject({ shards: 2, usedBytes: 21_000, missing: 0 });
    await store.close();
  });

  it('does not sweep what is being worked on, and lets a part go on after it was swept', async () => {
    const store = await open();
    const one = offer(randomBytes(20_000));
    const part = await begin(store, one, 10_000);
    now += 11 * MINUTE;
    await store.sweep(new Set([one.hash]));
    await part.suspend();
    expect(store.usage.reservedBytes).toBe(20_000);
    await store.sweep(new Set());
    expect(store.usage.reservedBytes).toBe(0);
    expect(await partials()).toEqual([]);
    const again = await begin(store, one, 0);
    expect(again.offset).toBe(0);
    await again.append(one.shard);
    await store.commit(one.hash, one.terms, again);
    expect((await read(store, one)).equals(one.shard)).toBe(true);
    await store.close();
  });

  it('keeps shards through the grace period, and the mark of a delete to the end of the contract', async () => {
    let store = await open();
    const kept = offer(randomBytes(1000));
    const gone = offer(randomBytes(1001));
    await keep(store, kept);
    await keep(store, gone);
    await store.delete(gone.hash);
    now += 60 * MINUTE - 1;
    await store.sweep(new Set());
    await store.close();
    store = await open();
    await expect(store.reserve(gone.hash, gone.contract)).rejects.toMatchObject({
      code: 'FARMER_GONE',
    });
    now += 5 * MINUTE;
    await store.sweep(new Set());
    expect(await store.holds(kept.hash)).toBe(true);
    expect(store.entry(gone.hash)).toBeUndefined();
    now += 1;
    await store.sweep(new Set());
    expect(await store.holds(kept.hash)).toBe(false);
    expect(await shardFiles()).toEqual([]);
    await store.close();
  });

  it('leaves a delete that is cut off by its end to the next start', async () => {
    let store = await open();
    const gone = offer(randomBytes(1000));
    await keep(store, gone);
    const deleting = store.delete(gone.hash);
    while (store.entry(gone.hash)?.state !== 'deleted') await new Promise((r) => setImmediate(r));
    // What is written to a book that is closed breaks the process from a queue of LMDB's.
    await store.close();
    await deleting;
    await new Promise((resolve) => setTimeout(resolve, 50));
    store = await open();
    expect(store.entry(gone.hash)?.state).toBe('deleted');
    expect(await shardFiles()).toEqual([]);
    await store.close();
  });

  it('is readable by its own user alone', async () => {
    const store = await open();
    const one = offer(randomBytes(5000));
    await keep(store, one);
    const mode = async (path: string) => (await stat(path)).mode & 0o777;
    expect(await mode(join(directory, 'farmer'))).toBe(0o700);
    expect(await mode(join(directory, 'farmer', 'shards'))).toBe(0o700);
    expect(await mode(pathOf(one.hash))).toBe(0o600);
    await store.close();
  });
});

describe('the nodes in a shard’s file', () => {
  const SIZE = 300_000;
  const at = SIZE + leafCount(SIZE) * HASH_SIZE;
  const proofs = async (store: ShardStore, { hash }: Offer) => {
    const shard = await store.openShard(hash);
    try {
      const tree = await shard.tree(STREAM_LEVEL);
      return [tree.rangeProof(STREAM_LEVEL, 0, 4), tree.rangeProof(STREAM_LEVEL, 1, 2)];
    } finally {
      await shard.close();
    }
  };
  const expected = ({ shard }: Offer) => {
    const tree = ShardTree.of(shard);
    return [tree.rangeProof(STREAM_LEVEL, 0, 4), tree.rangeProof(STREAM_LEVEL, 1, 2)];
  };
  const holds = async (store: ShardStore, { hash, terms }: Offer) => {
    const shard = await store.openShard(hash);
    return shard.matches(terms.shardHash).finally(() => shard.close());
  };

  it('are what downloads are proved with', async () => {
    const store = await open({ quotaBytes: 10_000_000 });
    const one = offer(randomBytes(SIZE));
    await keep(store, one);
    expect(await proofs(store, one)).toEqual(expected(one));
    expect(await holds(store, one)).toBe(true);
    // It is they that are read: with one of them changed the proof is another, and the shard is found damaged.
    const file = await readFile(pathOf(one.hash));
    file[at + 8 + 40]! ^= 1;
    await writeFile(pathOf(one.hash), file);
    expect(await proofs(store, one)).not.toEqual(expected(one));
    expect(await holds(store, one)).toBe(false);
    await store.close();
  });

  it('are missing in files of before, which are proved from their leaves', async () => {
    const store = await open({ quotaBytes: 10_000_000 });
    const one = offer(randomBytes(SIZE));
    await keep(store, one);
    const file = await readFile(pathOf(one.hash));
    const nodes = 8 + levelCount(leafCount(SIZE), STREAM_LEVEL) * HASH_SIZE;
    for (const end of [file.length, at + nodes + 20, at + nodes]) {
      const before = Buffer.concat([file.subarray(0, at), file.subarray(at + nodes, end)]);
      await writeFile(pathOf(one.hash), before);
      expect(await proofs(store, one)).toEqual(expected(one));
      expect(await holds(store, one)).toBe(true);
    }
    await store.close();
  });
});

describe('recovery', () => {
  it('finishes what a crash left at any point between the part and the book', async () => {
    const store = await open();
    const sizes = [0, 1, 5000, 20_000];
    const offers = sizes.map((size) => offer(randomBytes(size)));
    for (const one of offers) await (await begin(store, one, one.shard.length)).suspend();
    await store.close();
    const leaves = (one: Offer) => ShardTree.of(one.shard).leaves();
    const file = (one: Offer) => join(directory, 'farmer', 'partial', one.hash);
    // Some of the leaves written; all of them; in its place, but not in the book.
    await writeFile(
      file(offers[1]!),
      Buffer.concat([offers[1]!.shard, leaves(offers[1]!).slice(0, 7)]),
    );
    await writeFile(file(offers[2]!), Buffer.concat([offers[2]!.shard, leaves(offers[2]!)]));
    await mkdir(join(pathOf(offers[3]!.hash), '..'), { recursive: true });
    await writeFile(pathOf(offers[3]!.hash), Buffer.concat([offers[3]!.shard, leaves(offers[3]!)]));
    await rm(file(offers[3]!));
    const again = await open();
    expect(again.usage).toMatchObject({ shards: 0, reservedBytes: 25_001 });
    // Nobody was told of it.
    expect(await shardFiles()).toEqual([]);
    for (const one of offers) {
      const part = await begin(again, one, 0);
      expect(part.offset).toBe(one === offers[3] ? 0 : one.shard.length);
      await part.append(one.shard.subarray(part.offset));
      await again.commit(one.hash, one.terms, part);
      expect((await read(again, one)).equals(one.shard)).toBe(true);
    }
    expect(again.usage).toMatchObject({ shards: 4, usedBytes: 25_001, reservedBytes: 0 });
    await again.close();
  });

  it('removes a file whose contract was deleted before the crash, and files of no contract', async () => {
    let store = await open();
    const [kept, deleted] = [offer(randomBytes(1000)), offer(randomBytes(2000))];
    await keep(store, kept);
    await keep(store, deleted);
    const bytes = await readFile(pathOf(deleted.hash));
    await store.delete(deleted.hash);
    await store.close();
    await mkdir(join(pathOf(deleted.hash), '..'), { recursive: true });
    await writeFile(pathOf(deleted.hash), bytes);
    const unknown = `${kept.hash.slice(0, 2)}${'0'.repeat(62)}`;
    await writeFile(pathOf(unknown), 'x');
    store = await open();
    await store.reconcile(new AbortController().signal);
    expect(await shardFiles()).toEqual([kept.hash]);
    expect(store.usage).toMatchObject({ missing: 0, shards: 1 });
    await store.close();
  });

  /** The sources as plain JavaScript, for a process of their own. */
  async function programWith(main: string): Promise<string> {
    const program = join(directory, 'program');
    const packages = fileURLToPath(new URL('../..', import.meta.url));
    const modules = join(packages, '../node_modules');
    await mkdir(join(program, 'node_modules/@granary'), { recursive: true });
    for (const name of await readdir(modules)) {
      if (name === '@granary' || name.startsWith('.')) continue;
      await symlink(join(modules, name), join(program, 'node_modules', name));
    }
    for (const name of ['kad', 'nat', 'protocol', 'payments', 'farmer']) {
      const target = join(program, 'node_modules/@granary', name);
      await mkdir(target);
      const manifest = {
        type: 'module',
        exports: './index.js',
        imports: {
          '#kad/platform': './platform.js',
          '#kad/websocket-dial': './websocket-dial.js',
        },
      };
      await writeFile(join(target, 'package.json'), JSON.stringify(manifest));
      const source = join(packages, name, 'src');
      for (const file of await readdir(source, { recursive: true })) {
        if (!/^[a-z0-9/.-]+\.ts$/.test(file) || /\.test(-support)?\.ts$/.test(file)) continue;
        await mkdir(dirname(join(target, file)), { recursive: true });
        const { outputText } = ts.transpileModule(await readFile(join(source, file), 'utf8'), {
          compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
        });
        await writeFile(join(target, file.replace(/ts$/, 'js')), outputText);
      }
    }
    await writeFile(join(program, 'main.mjs'), main);
    return join(program, 'main.mjs');
  }

  it('finds all that was acknowledged when the process is killed in the middle of uploads', async () => {
    // It stores, begins, and deletes shards whose bytes follow from their number, many at a time.
    const main = await programWith(`
      import { writeSync } from 'node:fs';
      import { Identity, silentLogger, systemClock } from '@granary/kad';
      import * as protocol from '@granary/protocol';
      import { ShardStore } from '@granary/farmer';
      const [directory, from] = [process.argv[2], Number(process.argv[3])];
      const me = Identity.generate();
      const key = protocol.toHex(me.publicKey);
      const store = await ShardStore.open({
        directory, quotaBytes: 1e9, reservationMs: 3600000, graceMs: 0,
        clock: systemClock, logger: silentLogger,
      });
      const say = (...words) => writeSync(1, words.join(' ') + '\\n');
      const work = async (i) => {
        const shard = new Uint8Array(1000 + 37 * i).fill(i);
        const terms = {
          version: 1, renter: me.nodeId, renterKey: key, farmer: me.nodeId, farmerKey: key,
          shardHash: protocol.toHex(protocol.ShardTree.of(shard).root()), shardSize: shard.length,
          begin: i, end: 4102444800000, currency: 'credit', storagePrice: '0', egressPrice: '0',
          auditRoot: null, auditCount: 0, channel: null,
        };
        const hash = protocol.contractHash(terms);
        const contract = protocol.acceptContract(me, protocol.proposeContract(me, terms));
        if (i % 2 === 0) {
          await store.keepWhole(hash, contract, new Uint8Array(0), shard);
        } else {
          await store.reserve(hash, contract);
          const part = await store.openPartial(hash, terms);
          await part.append(shard.subarray(0, 900));
          if (i % 5 === 4) return;
          await part.append(shard.subarray(900));
          await store.commit(hash, terms, part);
        }
        say('stored', i, hash);
        if (i % 5 === 3) {
          await store.delete(hash);
          say('deleted', i, hash);
        }
      };
      let next = from;
      await Promise.all(Array.from({ length: 8 }, async () => { for (;;) await work(next++); }));
    `);
    const farm = join(directory, 'farmer');
    const stored = new Map<string, number>();
    const deleted = new Set<string>();
    for (const round of [0, 1, 2, 3]) {
      const lines = await new Promise<string[]>((resolve, reject) => {
        const child = spawn(process.execPath, [main, farm, String(round * 1000)]);
        let out = '';
        let errors = '';
        child.stderr.on('data', (part: Buffer) => (errors += part.toString()));
        child.stdout.on('data', (part: Buffer) => {
          out += part.toString();
          if (out.split('\n').length > 25 + 13 * round) child.kill('SIGKILL');
        });
        child.on('error', reject);
        child.on('close', (_code, signal) => {
          if (signal === 'SIGKILL') resolve(out.split('\n').slice(0, -1));
          else reject(new Error(`it ended by itself: ${errors}`));
        });
      });
      for (const line of lines) {
        const [word, i, hash] = line.split(' ');
        if (word === 'stored') stored.set(hash!, Number(i));
        else deleted.add(hash!);
      }
      // What is kept beside the entries, so that opening need not walk them, is as they are.
      const book = ContractBook.open(join(farm, 'contracts.lmdb'));
      expect(book.totals.stored).toBeGreaterThan(0);
      expect(await book.verifyTotals(new AbortController().signal)).toBe(true);
      await book.close();
    }
    expect(stored.size).toBeGreaterThan(100);
    expect(deleted.size).toBeGreaterThan(10);
    now = Date.now();
    const store = await open({ quotaBytes: 1e9 });
    await store.reconcile(new AbortController().signal);
    expect(store.usage.missing).toBe(0);
    for (const [hash, i] of stored) {
      // A delete may have been done and not yet said.
      const state = store.entry(hash)?.state;
      if (deleted.has(hash) || (i % 5 === 3 && state === 'deleted')) {
        expect(state).toBe('deleted');
        expect(await store.holds(hash)).toBe(false);
        continue;
      }
      expect(state).toBe('stored');
      const shard = await store.openShard(hash);
      const bytes = Buffer.alloc(shard.size);
      await shard.readFully(bytes, 0);
      await shard.close();
      expect(bytes.equals(Buffer.alloc(1000 + 37 * i, i))).toBe(true);
    }
    // Every file is whole and in the book, and the figures are those of the files.
    let bytes = 0;
    for (const name of await shardFiles()) {
      const entry = store.entry(name)!;
      expect(entry.state).toBe('stored');
      const least = entry.size + leafCount(entry.size) * HASH_SIZE;
      expect((await stat(pathOf(name))).size).toBeGreaterThan(least);
      bytes += entry.size;
    }
    expect(store.usage.usedBytes).toBe(bytes);
    for (const name of await partials()) expect(store.entry(name)?.state).toBe('reserved');
    now += 2 * 3600_000;
    await store.sweep(new Set());
    expect(await partials()).toEqual([]);
    expect(store.usage.reservedBytes).toBe(0);
    await store.close();
  });
});

const isRoot = process.getuid?.() === 0;
/** Why a small disk can't be had here; undefined when it can. */
const noMount = (() => {
  if (process.platform !== 'linux' || !isRoot) return 'mounting a tmpfs takes root on Linux';
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    execFileSync('umount', ['/mnt']);
    return undefined;
  } catch {
    return 'this system does not let its root mount a tmpfs';
  }
})();

describe('a full disk', () => {
  it.skipIf(noMount !== undefined)(
    `is an error, never an acknowledgement, and leaves what was stored${noMount === undefined ? '' : ` (skipped: ${noMount})`}`,
    async () => {
      const disk = join(directory, 'farmer');
      await mkdir(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m,mode=700', 'tmpfs', disk]);
      try {
        const store = await open({ quotaBytes: 1e9 });
        // The farmer keeps some of the disk for itself, whatever the quota.
        expect(store.usage.freeBytes).toBeLessThan(10_000_000);
        const large = offer(randomBytes(12_000_000));
        await expect(store.reserve(large.hash, large.contract)).rejects.toMatchObject({
          code: 'FARMER_FULL',
        });
        const before = offer(randomBytes(1_000_000));
        await keep(store, before);
        const doomed = offer(randomBytes(3_000_000));
        const part = await begin(store, doomed, 1_000_000);
        // Somebody else fills the disk.
        const { bavail, bsize } = await statfs(disk);
        await writeFile(join(disk, 'other'), Buffer.alloc((bavail - 100) * bsize));
        await expect(part.append(doomed.shard.subarray(1_000_000))).rejects.toMatchObject({
          code: 'FARMER_FULL',
        });
        await part.discard();
        await store.release(doomed.hash);
        expect(await partials()).toEqual([]);
        expect(store.usage).toMatchObject({ shards: 1, reservedBytes: 0 });
        await store.sweep(new Set());
        expect(store.usage.freeBytes).toBe(0);
        const small = offer(randomBytes(10));
        await expect(store.reserve(small.hash, small.contract)).rejects.toMatchObject({
          code: 'FARMER_FULL',
        });
        expect((await read(store, before)).equals(before.shard)).toBe(true);
        await rm(join(disk, 'other'));
        await store.sweep(new Set());
        await keep(store, small);
        await store.close();
      } finally {
        execFileSync('umount', ['-l', disk]);
      }
    },
  );
});

describe('a directory without permission', () => {
  const NOBODY = 65_534;
  /** Root may do anything, so that it has to be somebody else for a while. */
  async function asNobody(work: () => Promise<void>): Promise<void> {
    if (!isRoot) return work();
    process.seteuid!(NOBODY);
    try {
      await work();
    } finally {
      process.seteuid!(0);
    }
  }

  it('is an error that says so, when it is opened and while it is used', async () => {
    if (isRoot) await chown(directory, NOBODY, NOBODY);
    await asNobody(async () => {
      await chmod(directory, 0o500);
      await expect(open()).rejects.toMatchObject({ code: 'FARMER_DIRECTORY' });
      await chmod(directory, 0o700);
      const store = await open();
      const before = offer(randomBytes(1000));
      await keep(store, before);
      const partial = join(directory, 'farmer', 'partial');
      const one = offer(randomBytes(5000));
      await chmod(partial, 0o500);
      await expect(begin(store, one, 5000)).rejects.toMatchObject({ code: 'FARMER_DISK' });
      await chmod(partial, 0o700);
      const part = await begin(store, one, 5000);
      await chmod(join(directory, 'farmer', 'shards'), 0o500);
      await expect(store.commit(one.hash, one.terms, part)).rejects.toMatchObject({
        code: 'FARMER_DISK',
      });
      expect(await store.holds(one.hash)).toBe(false);
      await chmod(join(directory, 'farmer', 'shards'), 0o700);
      // What came is not lost.
      await keep(store, one);
      expect((await read(store, one)).equals(one.shard)).toBe(true);
      await chmod(pathOf(before.hash), 0);
      await expect(store.openShard(before.hash)).rejects.toMatchObject({ code: 'FARMER_DISK' });
      await store.close();
    });
  });

  it('or that is a file is an error too', async () => {
    await writeFile(join(directory, 'farmer'), 'a file');
    await expect(open()).rejects.toMatchObject({ code: 'FARMER_DIRECTORY' });
  });
});
