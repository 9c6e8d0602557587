import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openMetadataStore } from '../metadata/open-metadata.js';
import type { MetadataStore } from '../metadata/metadata-store.js';
import { MemoryBackend } from '../s3/bridge.test-support.js';
import { ContentKeeper } from './content-keeper.js';
import { cut, readBody } from './content-reader.js';
import { ContentWriter } from './content-writer.js';

let directory: string;
let metadata: MetadataStore;
let owner: string;
const backend = new MemoryBackend();
const signal = new AbortController().signal;
const common = { clock: systemClock, random: systemRandom, logger: silentLogger };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-contents-'));
  metadata = await openMetadataStore({
    database: join(directory, 'bridge.db'),
    masterKey: randomBytes(32),
  });
  const quota = { bytes: null, objects: null, buckets: null };
  const rest = { disabled: false, admin: false, passwordHash: null, quota, attributes: {} };
  owner = (await metadata.createUser({ name: 'owner', ...rest })).id;
  await metadata.createBucket({ name: 'box', owner });
});
afterAll(async () => {
  await metadata.close();
  await rm(directory, { recursive: true, force: true });
});

async function* stream(...parts: (Uint8Array | Error)[]): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  for (const part of parts) {
    if (part instanceof Error) throw part;
    yield part;
  }
}

const writer = () => new ContentWriter({ metadata, backend, inlineBytes: 1000, ...common });
const keeper = (packMs = 0) =>
  new ContentKeeper({ metadata, backend, roundMs: 3_600_000, packMs, ...common });

async function put(key: string, bytes: Uint8Array): Promise<void> {
  const { body } = await writer().store(stream(bytes), signal);
  await metadata.putVersion({
    bucket: 'box',
    key,
    body,
    size: bytes.length,
    etag: 'e',
    checksums: [],
    owner,
    storageClass: 'STANDARD',
    details: { headers: {}, metadata: {}, tags: {}, acl: null, encryption: null },
  });
}

async function get(key: string): Promise<Buffer> {
  const version = await metadata.version('box', key);
  const range = { offset: 0, length: version!.size };
  const parts: Uint8Array[] = [];
  for await (const part of readBody({ metadata, backend }, version!, range, signal)) {
    parts.push(part);
  }
  return Buffer.concat(parts);
}

describe('the writer', () => {
  it('keeps what is small in the database, to the byte', async () => {
    for (const [size, kind] of [
      [0, 'inline'],
      [1000, 'inline'],
      [1001, 'extents'],
    ] as const) {
      const stored = await writer().store(stream(randomBytes(size)), signal);
      expect(stored.body.kind).toBe(kind);
      await stored.abandon();
    }
  });

  it('leaves nothing of a stream that ends with an error', async () => {
    await keeper().round(signal);
    const before = backend.contents.size;
    for (const bytes of [10, 5000]) {
      const broken = stream(randomBytes(bytes), new Error('cut off'));
      await expect(writer().store(broken, signal)).rejects.toThrow('cut off');
    }
    const aborted = AbortSignal.abort(new Error('gone'));
    await expect(writer().store(stream(randomBytes(5000)), aborted)).rejects.toThrow('gone');
    await keeper().round(signal);
    expect(backend.contents.size).toBe(before);
  });

  it('leaves nothing of what is abandoned', async () => {
    const before = backend.contents.size;
    const stored = await writer().store(stream(randomBytes(5000)), signal);
    expect(backend.contents.size).toBe(before + 1);
    await stored.abandon();
    await keeper().round(signal);
    expect(backend.contents.size).toBe(before);
  });
});

describe('the keeper', () => {
  it('packs small bodies, and they read the same', async () => {
    const bodies = Array.from({ length: 150 }, (_, i) => randomBytes(i + 1));
    for (const [i, bytes] of bodies.entries()) await put(`small/${i}`, bytes);
    const before = backend.contents.size;
    // Written on the clock's very tick, some may be for the next round.
    let packed = 0;
    for (let i = 0; i < 10 && packed < 150; i++) {
      packed += (await keeper().round(signal)).packed;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(packed).toBe(150);
    expect(backend.contents.size - before).toBeLessThanOrEqual(5);
    for (const [i, bytes] of bodies.entries()) {
      expect((await metadata.version('box', `small/${i}`))!.body.kind).toBe('extents');
      expect((await get(`small/${i}`)).equals(bytes)).toBe(true);
    }
    for (let i = 0; i < 150; i++) await metadata.deleteObject({ bucket: 'box', key: `small/${i}` });
    await keeper().round(signal);
    expect(backend.contents.size).toBe(before);
  });

  it('writes packs that are mostly gaps anew, and they read the same', async () => {
    const bodies = Array.from({ length: 40 }, (_, i) => randomBytes(100 + i));
    for (const [i, bytes] of bodies.entries()) await put(`gap/${i}`, bytes);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await keeper().round(signal);
    const version = await metadata.version('box', 'gap/7');
    const pack = (version!.body as { extents: { contentId: string }[] }).extents[0]!.contentId;
    // A copy shares its bytes.
    const copy = { kind: 'copy', bucket: 'box', key: 'gap/7', versionId: 'null' } as const;
    const { isLatest, versionId, isDeleteMarker, modified, retention, legalHold, ...rest } =
      version!;
    void [isLatest, versionId, isDeleteMarker, modified, retention, legalHold];
    await metadata.putVersion({ ...rest, key: 'gap/copy', body: copy });
    for (let i = 0; i < 40; i++) {
      if (i % 4 !== 3) await metadata.deleteObject({ bucket: 'box', key: `gap/${i}` });
    }
    // The losses are looked at, then what is left moves, then the old one goes.
    let moved = 0;
    for (let i = 0; i < 3; i++) moved += (await keeper().round(signal)).moved;
    expect(moved).toBe(11);
    expect(backend.contents.has(pack)).toBe(false);
    for (let i = 3; i < 40; i += 4) {
      expect((await get(`gap/${i}`)).equals(bodies[i]!)).toBe(true);
    }
    expect((await get('gap/copy')).equals(bodies[7]!)).toBe(true);
  });

  it('leaves bodies in the database when the network fails, and tries again', async () => {
    await put('waits', Buffer.from('waits'));
    await new Promise((resolve) => setTimeout(resolve, 5));
    backend.failure = new Error('no network');
    await expect(keeper().round(signal)).rejects.toThrow('no network');
    expect((await get('waits').catch(() => undefined))?.toString()).toBe('waits');
    backend.failure = undefined;
    expect((await keeper().round(signal)).packed).toBe(1);
    expect((await get('waits')).toString()).toBe('waits');
  });

  it('does not stop at a content that can’t be deleted', async () => {
    await put('stuck', randomBytes(5000));
    await metadata.deleteObject({ bucket: 'box', key: 'stuck' });
    const before = backend.contents.size;
    backend.failure = new Error('no network');
    expect((await keeper(3_600_000).round(signal)).deleted).toBe(0);
    backend.failure = undefined;
    expect((await keeper(3_600_000).round(signal)).deleted).toBe(1);
    expect(backend.contents.size).toBe(before - 1);
  });

  it('takes its turn, and stops when it is told to', async () => {
    const running = keeper();
    await put('turn', randomBytes(5000));
    await metadata.deleteObject({ bucket: 'box', key: 'turn' });
    const before = backend.contents.size;
    running.start();
    for (let i = 0; i < 200 && backend.contents.size === before; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(backend.contents.size).toBe(before - 1);
    await running.stop();
    expect(await metadata.countJobs('contents')).toMatchObject({ leased: 0 });
  });
});

it('any run of any extents is cut right', () =>
  fc.assert(
    fc.property(
      fc.array(
        fc.nat(20).map((n) => n + 1),
        { minLength: 1, maxLength: 8 },
      ),
      fc.nat(),
      fc.nat(),
      (lengths, a, b) => {
        const total = lengths.reduce((sum, length) => sum + length, 0);
        const offset = a % total;
        const length = 1 + (b % (total - offset));
        const extents = lengths.map((n, i) => ({
          contentId: String(i),
          offset: 100 * i,
          length: n,
        }));
        const bytes = (list: Iterable<(typeof extents)[number]>) =>
          [...list].flatMap((e) =>
            Array.from({ length: e.length }, (_, i) => `${e.contentId}:${e.offset + i}`),
          );
        expect(bytes(cut(extents, offset, length))).toEqual(
          bytes(extents).slice(offset, offset + length),
        );
      },
    ),
  ));
