import { gzip } from '#renter/compression';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Identity, utf8 } from '@granary/kad';
import { parseReadGrant, signShareRecord, toHex } from '@granary/protocol';
import { sealBytes } from './sealed-box.js';
import { shardSizeOf } from './segment-job.js';
import {
  type SharedObjectHead,
  openSharePage,
  sealEndedPage,
  sealSharePage,
  shareKeysOf,
} from './share-pages.js';

const owner = Identity.generate();
const renter = Identity.generate();
const keys = shareKeysOf(owner.nodeId, randomBytes(32));
const hash = () => toHex(randomBytes(32));
const layout = { k: 2, n: 4, chunkSize: 1024, cellSize: 4096 };

function headOf(size: number, segmentBytes: number): SharedObjectHead {
  return {
    ...layout,
    name: 'a name',
    size,
    sha256: hash(),
    stored: 1,
    shared: 2,
    expires: null,
    segmentBytes,
    segments: Math.ceil(size / segmentBytes),
    perPage: 9,
  };
}

function segmentsOf(head: SharedObjectHead) {
  return Array.from({ length: head.segments }, (_, index) => {
    const length = Math.min(head.segmentBytes, head.size - index * head.segmentBytes);
    const shards = Array.from({ length: 3 }, (__, shard) => ({
      index: shard,
      hash: hash(),
      farmer: hash(),
      contract: hash(),
    }));
    const shardSize = shardSizeOf(layout, length);
    const record = { index, salt: hash(), length, shardSize, shards };
    return { record, key: new Uint8Array(randomBytes(32)) };
  });
}

const record = (sealed: Uint8Array, page = 0) => signShareRecord(owner, page, 1, sealed);

describe('pages of a share', () => {
  it('say what was put into them, with grants that are good', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9000 }),
        fc.integer({ min: 500, max: 3000 }),
        fc.integer({ min: 1, max: 2 ** 32 }),
        async (size, segmentBytes, reads) => {
          const object = headOf(size, segmentBytes);
          const segments = segmentsOf(object);
          const parts = { keys, page: 0, renter, object, expires: 9, reads, segments };
          const page = await openSharePage(keys, record(await sealSharePage(parts)));
          if (page.kind !== 'open') throw new Error('it is open');
          expect(page.object).toEqual(object);
          for (const { record: made, key } of segments) {
            const found = page.segments.get(made.index)!;
            expect(Buffer.from(found.key).equals(key)).toBe(true);
            expect(
              found.shards.map(({ grant, ...shard }) => ({
                ...shard,
                signed: grant !== undefined,
              })),
            ).toEqual(made.shards.map((shard) => ({ ...shard, signed: true })));
            for (const { contract, grant } of found.shards) {
              const party = { renter: renter.nodeId, renterKey: toHex(renter.publicKey) };
              const { body } = parseReadGrant(grant, { renter: party, contract });
              expect(body).toMatchObject({ reader: keys.reader.nodeId, expires: 9 });
              expect(body.limit).toBe(reads * made.shardSize);
            }
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('say that a share ended', async () => {
    const sealed = await sealEndedPage(keys, 5, 'deleted', 77);
    expect(await openSharePage(keys, record(sealed, 5))).toEqual({
      kind: 'ended',
      why: 'deleted',
      at: 77,
    });
  });

  it('open with their own secret and in their own place alone', async () => {
    const sealed = await sealEndedPage(keys, 5, 'deleted', 77);
    const others = shareKeysOf(owner.nodeId, randomBytes(32));
    await expect(openSharePage(others, record(sealed, 5))).rejects.toThrow(/damaged/);
    await expect(openSharePage(keys, record(sealed, 4))).rejects.toThrow(/damaged/);
  });

  it('of a hostile owner are refused, whatever they say', async () => {
    const object = headOf(5000, 2000);
    const segments = segmentsOf(object);
    const page = {
      version: 1,
      object,
      part: {
        expires: 9,
        reads: 1,
        farmers: [Buffer.from(hash(), 'hex').toString('base64')],
        segments: segments.map(({ record: { index, length, shardSize } }) => ({
          index,
          length,
          shardSize,
          key: randomBytes(32).toString('base64'),
          shards: [0, 1].map((i) => [
            i,
            0,
            ...[32, 32, 64].map((size) => randomBytes(size).toString('base64')),
          ]),
        })),
      },
    };
    const open = async (value: unknown) =>
      openSharePage(
        keys,
        record(sealBytes(keys.pageKey, 'share page 0', await gzip(utf8(JSON.stringify(value))))),
      );
    expect((await open(page)).kind).toBe('open');
    const altered = (change: (copy: typeof page) => void) => {
      const copy = structuredClone(page);
      change(copy);
      return copy;
    };
    const bad = [
      altered((p) => (p.object.size = 2 ** 40)),
      altered((p) => (p.object.segments = 2 ** 31)),
      altered((p) => (p.object.k = 200)),
      altered((p) => (p.object.name = '')),
      altered((p) => (p.object.segmentBytes = 1)),
      altered((p) => (p.part.segments[0]!.index = 7)),
      altered((p) => (p.part.segments[0]!.length = 2 ** 25)),
      altered((p) => (p.part.segments[0]!.shardSize += 1)),
      altered((p) => (p.part.segments[0]!.shards[0]![0] = 4)),
      altered((p) => (p.part.segments[0]!.shards[0]![1] = 1)),
      altered((p) => (p.part.segments[0]!.key = 'AAAA')),
      { ...page, object: undefined },
      { ...page, more: 1 },
      { version: 1 },
    ];
    for (const one of bad) await expect(open(one)).rejects.toThrow(/damaged/);
    await expect(open({ ...page, version: 2 })).rejects.toThrow(/newer version/);
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        await expect(open(value)).rejects.toMatchObject({ code: 'RENTER_SHARE' });
      }),
      { numRuns: 50 },
    );
    const bomb = await gzip(new Uint8Array(8 * 1024 * 1024));
    const big = record(sealBytes(keys.pageKey, 'share page 0', bomb));
    await expect(openSharePage(keys, big)).rejects.toThrow(/damaged/);
  });
});
