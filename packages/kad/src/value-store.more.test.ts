import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LmdbValueStore } from './lmdb-value-store.js';
import { LruMap } from './lru-map.js';
import { MemoryValueStore, type ValueStore } from './value-store.js';

let directory: string;
let count = 0;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kad-values-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const newPath = () => join(directory, `${(count += 1)}.lmdb`);
const keys = ['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(64));
const entryOf = (size: number, fill = 7) => ({
  value: new Uint8Array(size).fill(fill),
  expires: 1_700_000_000_123.5,
  refreshed: 1_600_000_000_001,
});

const kinds: [string, (maxBytes?: number) => ValueStore][] = [
  ['the memory store', (maxBytes) => new MemoryValueStore(maxBytes)],
  ['the LMDB store', (maxBytes) => LmdbValueStore.open(newPath(), maxBytes)],
];

describe.each(kinds)('%s', (_name, open) => {
  it('does what a map with a limit of bytes does', async () => {
    const LIMIT = 100;
    const step = fc.record({
      kind: fc.constantFrom('put', 'put', 'delete'),
      key: fc.constantFrom(...keys),
      size: fc.nat({ max: 60 }),
      fill: fc.nat({ max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const store = open(LIMIT);
        const model = new Map<string, ReturnType<typeof entryOf>>();
        const used = () => [...model.values()].reduce((sum, { value }) => sum + value.length, 0);
        for (const { kind, key, size, fill } of steps) {
          if (kind === 'delete') {
            await store.delete(key);
            model.delete(key);
            continue;
          }
          const old = model.get(key)?.value.length ?? 0;
          const entry = entryOf(size, fill);
          const attempt = store.put(key, entry);
          if (size > old && used() - old + size > LIMIT) {
            await expect(attempt).rejects.toMatchObject({ code: 'KAD_FULL' });
          } else {
            await attempt;
            model.set(key, entry);
          }
        }
        for (const key of keys) expect(store.get(key)).toEqual(model.get(key));
        const listed = [...store.entries()].sort((a, b) => (a.key < b.key ? -1 : 1));
        expect(listed).toEqual(
          [...model]
            .map(([key, { expires, refreshed }]) => ({ key, expires, refreshed }))
            .sort((a, b) => (a.key < b.key ? -1 : 1)),
        );
        await store.close();
      }),
      { numRuns: 20 },
    );
  });

  it('may be listed while it changes', async () => {
    const store = open();
    for (const key of keys) await store.put(key, entryOf(3));
    for (const { key } of [...store.entries()]) await store.delete(key);
    expect([...store.entries()]).toEqual([]);
    await store.close();
  });

  it('gives room back when a value goes or shrinks', async () => {
    const store = open(10);
    await store.put(keys[0]!, entryOf(10));
    await expect(store.put(keys[1]!, entryOf(1))).rejects.toMatchObject({ code: 'KAD_FULL' });
    await store.put(keys[0]!, entryOf(4));
    await store.put(keys[1]!, entryOf(6));
    await store.delete(keys[0]!);
    await store.delete(keys[0]!);
    await expect(store.put(keys[2]!, entryOf(5))).rejects.toMatchObject({ code: 'KAD_FULL' });
    await store.put(keys[2]!, entryOf(4));
    await store.close();
  });

  it('has room for one value of the greatest size, and gives the same bytes back', async () => {
    const store = open();
    const value = Uint8Array.from({ length: 65_536 }, (_, i) => (i * 31) % 251);
    await store.put(keys[0]!, { ...entryOf(0), value });
    expect(store.get(keys[0]!)?.value).toEqual(value);
    await store.close();
  });
});

describe('the LMDB store on disk', () => {
  it('has the same values and the same count of bytes when it is opened again', async () => {
    const path = newPath();
    const first = LmdbValueStore.open(path, 100);
    await first.put(keys[0]!, entryOf(60, 1));
    await first.put(keys[1]!, entryOf(0, 2));
    await first.delete(keys[2]!);
    await first.close();
    const second = LmdbValueStore.open(path, 100);
    expect(second.get(keys[0]!)).toEqual(entryOf(60, 1));
    expect(second.get(keys[1]!)).toEqual(entryOf(0));
    await expect(second.put(keys[2]!, entryOf(41))).rejects.toMatchObject({ code: 'KAD_FULL' });
    await second.put(keys[2]!, entryOf(40));
    await second.close();
  });

  it('opens, full, with a smaller limit, and keeps what it has', async () => {
    const path = newPath();
    const first = LmdbValueStore.open(path, 100);
    await first.put(keys[0]!, entryOf(80));
    await first.close();
    const second = LmdbValueStore.open(path, 10);
    expect(second.get(keys[0]!)?.value).toHaveLength(80);
    await expect(second.put(keys[1]!, entryOf(1))).rejects.toMatchObject({ code: 'KAD_FULL' });
    await second.close();
  });

  it('has all that it acknowledged when its process is killed in the middle of its work', async () => {
    // The sources, as plain JavaScript, for a process of their own.
    const program = join(directory, 'program');
    await mkdir(program);
    const sources = fileURLToPath(new URL('.', import.meta.url));
    for (const name of await readdir(sources)) {
      if (!/^[a-z-]+\.ts$/.test(name)) continue;
      const { outputText } = ts.transpileModule(await readFile(join(sources, name), 'utf8'), {
        compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
      });
      await writeFile(join(program, name.replace(/ts$/, 'js')), outputText);
    }
    await writeFile(join(program, 'package.json'), '{"type":"module"}');
    await symlink(join(sources, '../../../node_modules'), join(program, 'node_modules'));
    await writeFile(
      join(program, 'main.js'),
      `import { writeSync } from 'node:fs';
       import { LmdbValueStore } from './lmdb-value-store.js';
       const store = LmdbValueStore.open(process.argv[2]);
       for (let i = 0; ; i += 1) {
         const key = String(i).padStart(64, '0');
         const value = new Uint8Array(1000 + i).fill(i);
         store.put(key, { value, expires: i, refreshed: 2 * i }).then(() => writeSync(1, i + '\\n'));
         if (i % 4 === 3) await new Promise((resolve) => setImmediate(resolve));
         if (i > 5000) break;
       }`,
    );
    const path = newPath();
    const acknowledged = await new Promise<number[]>((resolve, reject) => {
      const child = spawn(process.execPath, [join(program, 'main.js'), path]);
      let out = '';
      let errors = '';
      child.stderr.on('data', (part: Buffer) => (errors += part.toString()));
      child.stdout.on('data', (part: Buffer) => {
        out += part.toString();
        if (out.split('\n').length > 60) child.kill('SIGKILL');
      });
      child.on('error', reject);
      child.on('close', (_code, signal) => {
        const lines = out.split('\n').slice(0, -1);
        if (signal === 'SIGKILL') resolve(lines.map(Number));
        else reject(new Error(`it ended by itself: ${errors}`));
      });
    });
    expect(acknowledged.length).toBeGreaterThanOrEqual(60);
    const store = LmdbValueStore.open(path);
    for (const i of acknowledged) {
      expect(store.get(String(i).padStart(64, '0'))).toEqual({
        value: new Uint8Array(1000 + i).fill(i),
        expires: i,
        refreshed: 2 * i,
      });
    }
    // What was not acknowledged is there whole or not at all.
    for (const { key, expires } of store.entries()) {
      expect(store.get(key)?.value).toEqual(new Uint8Array(1000 + expires).fill(expires));
    }
    await store.put(keys[0]!, entryOf(5));
    await store.close();
  });
});

describe('a map that forgets', () => {
  it('holds the most recently used, and no more', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('get', 'set', 'delete'), fc.nat({ max: 9 })), {
          maxLength: 100,
        }),
        (steps) => {
          const map = new LruMap<number, string>(4);
          let model: number[] = [];
          for (const [kind, key] of steps) {
            const held = model.includes(key);
            if (kind === 'get') expect(map.get(key)).toBe(held ? `${key}` : undefined);
            if (kind === 'set') map.set(key, `${key}`);
            if (kind === 'delete') map.delete(key);
            if (kind === 'set' || held) model = model.filter((other) => other !== key);
            if (kind === 'set' || (kind === 'get' && held)) model.push(key);
            model = model.slice(-4);
            expect(map.size).toBe(model.length);
          }
        },
      ),
    );
  });
});
