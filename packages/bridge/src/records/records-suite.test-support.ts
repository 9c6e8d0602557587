import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '@granary/kad';
import {
  type RecordDatabase,
  type RecordWork,
  type RenterStore,
  openRenterStore,
} from '@granary/renter';
import {
  contractFor,
  manifestFor,
  proposalFor,
  segmentFor,
  uploadFor,
} from './samples.test-support.js';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

function inOrder(a: string, b: string): number {
  const [left, right] = [bytesOf(a), bytesOf(b)];
  const at = left.findIndex((byte, i) => byte !== right[i]);
  return at < 0 ? left.length - right.length : left[at]! - (right[at] ?? -1);
}

/**
 * What every kind of records must do; it runs in Node and in browsers.
 *
 * @param place - an empty place: each call of what it gives opens the records there once more
 */
export function recordsSuite(place: () => Promise<() => Promise<RecordDatabase>>): void {
  const put = (database: RecordDatabase, entries: Record<string, string | null>) =>
    database.write(function* (): RecordWork<void> {
      const records = new Map(
        Object.entries(entries).map(([key, text]) => [key, text === null ? null : bytesOf(text)]),
      );
      yield { op: 'write', records };
    });

  it('keeps records in order of the bytes of their keys, whatever they are', async () => {
    const database = await (await place())();
    const key = fc
      .array(fc.constantFrom('a', '/', '\0', '\u0001', 'é', '\uffff', '\u{10000}'), {
        minLength: 1,
        maxLength: 4,
      })
      .map((letters) => letters.join(''));
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 10 }),
        key,
        key,
        fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
        async (keys, a, b, limit) => {
          await put(database, Object.fromEntries(keys.map((name) => [name, `of ${name}`])));
          const [start, end] = [a, b].sort(inOrder) as [string, string];
          const within = [...keys]
            .sort(inOrder)
            .filter((name) => inOrder(name, start) >= 0 && inOrder(name, end) < 0);
          const most = limit === undefined ? {} : { limit };
          const found = await database.range({ start, end, ...most });
          expect(found.map((record) => record.key)).toEqual(within.slice(0, limit));
          for (const record of found) expect(textOf(record.value)).toBe(`of ${record.key}`);
          const back = await database.range({ start, end, reverse: true, ...most });
          expect(back.map((record) => record.key)).toEqual(within.reverse().slice(0, limit));
          expect(await database.count({ start, end })).toBe(within.length);
          const some = await database.get([a, ...keys.slice(0, 2)]);
          expect(new Set(some.map((record) => record.key))).toEqual(
            new Set([...keys.slice(0, 2), ...(keys.includes(a) ? [a] : [])]),
          );
          await put(database, Object.fromEntries(keys.map((name) => [name, null])));
        },
      ),
      { numRuns: 30 },
    );
  });

  it('has nothing in a range that ends where it begins, or before, read either way', async () => {
    const database = await (await place())();
    await put(database, { a: '1', b: '2' });
    for (const [start, end] of [
      ['a', 'a'],
      ['b', 'a'],
      ['b', 'b'],
    ] as const) {
      expect(await database.range({ start, end })).toEqual([]);
      expect(await database.range({ start, end, reverse: true })).toEqual([]);
      expect(await database.count({ start, end })).toBe(0);
    }
  });

  it('does a transaction whole or not at all, and sees in it what it wrote', async () => {
    const database = await (await place())();
    await put(database, { a: '1' });
    const failed = database.write(function* (): RecordWork<void> {
      yield {
        op: 'write',
        records: new Map([
          ['a', null],
          ['b', bytesOf('2')],
        ]),
      };
      const seen = yield { op: 'range', range: { start: 'a', end: 'z' } };
      expect(seen.map(({ key }) => key)).toEqual(['b']);
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    expect((await database.range({ start: 'a', end: 'z' })).map(({ key }) => key)).toEqual(['a']);
  });

  it('runs transactions of many as if one came after the other', async () => {
    const open = await place();
    const databases = [await open(), await open(), await open()];
    const increment = (database: RecordDatabase) =>
      database.write(function* (): RecordWork<void> {
        const [found] = yield { op: 'get', keys: ['counter'] };
        const next = Number(found === undefined ? 0 : textOf(found.value)) + 1;
        yield { op: 'write', records: new Map([['counter', bytesOf(String(next))]]) };
      });
    await Promise.all(Array.from({ length: 45 }, (_, i) => increment(databases[i % 3]!)));
    const [counter] = await databases[0]!.get(['counter']);
    expect(textOf(counter?.value)).toBe('45');
    // Write skew: each takes the last one of two away only if the other is there.
    for (let i = 0; i < 10; i += 1) {
      await put(databases[0]!, { x: '1', y: '1' });
      const takeAway = (database: RecordDatabase, key: string) =>
        database.write(function* (): RecordWork<void> {
          const both = yield { op: 'range', range: { start: 'x', end: 'z' } };
          if (both.length === 2) yield { op: 'write', records: new Map([[key, null]]) };
        });
      await Promise.all([takeAway(databases[1]!, 'x'), takeAway(databases[2]!, 'y')]);
      expect(await databases[0]!.count({ start: 'x', end: 'z' })).toBe(1);
    }
  });

  describe('a renter’s store', () => {
    const key = systemRandom(32);
    const storeOf = async (open: () => Promise<RecordDatabase>): Promise<RenterStore> =>
      openRenterStore(await open(), key);
    const list = async <T>(items: AsyncIterable<T>) => {
      const found: T[] = [];
      for await (const item of items) found.push(item);
      return found;
    };

    it('keeps an object from its proposals to its last receipt', async () => {
      const open = await place();
      const store = await storeOf(open);
      const upload = uploadFor('test', 'a');
      const { objectId } = upload.manifest;
      await store.putUpload(upload);
      const proposals = [0, 1, 2].map((shard) => proposalFor(upload.id, 0, shard));
      await store.putProposals(proposals);
      expect(await list(store.proposals(upload.id, 0))).toEqual(proposals);
      const segment = segmentFor(0, proposals.slice(0, 2));
      const contracts = new Map(
        proposals.slice(0, 2).map((proposal) => [proposal.contract, contractFor(proposal)]),
      );
      await store.putSegment(upload, segment, contracts);
      // The one that did not come to be a shard is to be deleted.
      expect((await list(store.garbage())).map(({ contract }) => contract)).toEqual([
        proposals[2]!.contract,
      ]);
      const manifest = manifestFor(upload, 1);
      await store.commitUpload(upload, manifest);
      expect(await store.manifest({ bucket: 'test', name: 'a' })).toEqual(manifest);
      expect(await list(store.uploads())).toEqual([]);
      expect(await list(store.buckets())).toEqual(['test']);
      expect(await store.lastLog()).toBe(1);
      const farmer = segment.shards[0]!.farmer;
      expect(await list(store.holders())).toContain(farmer);
      expect(await store.holdingCount(farmer)).toBe(1);
      // A repair gives one shard to another farmer.
      const made = proposalFor(`repair-${objectId}-0`, 0, 1);
      await store.putProposals([made]);
      expect([...(await store.repairsBegun())]).toEqual([made.upload]);
      const next = { ...segment, shards: [segment.shards[0]!, segmentFor(0, [made]).shards[0]!] };
      const placed = new Map([[made.contract, contractFor(made)]]);
      expect(await store.replaceShards(manifest, made.upload, segment, next, placed)).toBe(true);
      expect(await store.replaceShards(manifest, made.upload, segment, next, placed)).toBe(false);
      expect(await store.segment(objectId, 0)).toEqual(next);
      expect(await store.lastLog()).toBe(2);
      // Somebody reads it while it is deleted.
      const reader = { process: 1, token: 'r', expires: Date.now() + 60_000 };
      await store.beginReading(objectId, reader);
      expect(await store.removeObject({ bucket: 'test', name: 'a' })).toBe(true);
      expect(await store.removeObject({ bucket: 'test', name: 'a' })).toBe(false);
      expect(await store.collectRetired(() => true)).toBe(1);
      expect(await store.endReading(objectId, reader)).toBe(true);
      expect(await store.collectRetired(() => true)).toBe(0);
      expect(await list(store.segments(objectId))).toEqual([]);
      expect(await store.garbageCount()).toBe(4);
      expect(await store.isEmpty()).toBe(true);
      await store.removeGarbage((await list(store.garbage())).map(({ contract }) => contract));
      expect(await store.garbageCount()).toBe(0);
      expect((await list(store.log(0))).map(([n, { op }]) => [n, op])).toEqual([
        [1, 'object'],
        [2, 'segment'],
        [3, 'object'],
      ]);
      await store.putIndexState({ sequence: 1, covered: 3, parts: [] });
      expect(await list(store.log(0))).toEqual([]);
      expect(await store.lastLog()).toBe(3);
    });

    it('lists objects whatever their names are, and however long', async () => {
      const open = await place();
      const store = await storeOf(open);
      const names = [1, 40, 63, 64, 100, 500].flatMap((n) => ['n'.repeat(n), `${'ü/'.repeat(n)}x`]);
      const buckets = ['b', 'b-2', 'bucket-of-a-longer-name'];
      for (const bucket of buckets) {
        for (const name of names) {
          const upload = uploadFor(bucket, name);
          await store.putUpload(upload);
          await store.commitUpload(upload, manifestFor(upload, 0));
        }
      }
      expect(await list(store.buckets())).toEqual(buckets);
      for (const bucket of buckets) {
        const found = (await list(store.manifests(bucket, '', ''))).map(({ name }) => name);
        expect(found).toEqual([...names].sort(inOrder));
      }
      expect(await list(store.allManifests())).toHaveLength(buckets.length * names.length);
    });

    it('lets nobody give up what has become an object, nor add to what was given up', async () => {
      const open = await place();
      const [store, other] = [await storeOf(open), await storeOf(open)];
      const storeSegment = async (upload: ReturnType<typeof uploadFor>) => {
        const proposal = proposalFor(upload.id, 0, 0);
        await store.putProposals([proposal]);
        const contracts = new Map([[proposal.contract, contractFor(proposal)]]);
        await store.putSegment(upload, segmentFor(0, [proposal]), contracts);
        return proposal.contract;
      };
      // The store was lost in the middle of the commit, and who waited for it takes it for failed.
      const kept = uploadFor('test', 'kept');
      await store.putUpload(kept);
      await storeSegment(kept);
      await store.commitUpload(kept, manifestFor(kept, 1));
      await store.abandonUpload(kept);
      expect(await list(store.segments(kept.manifest.objectId))).toHaveLength(1);
      expect(await store.garbageCount()).toBe(0);
      // Nothing was heard of an upload, and another process gave it up; it goes on all the same.
      const late = uploadFor('test', 'kept');
      await store.putUpload(late);
      const contract = await storeSegment(late);
      await other.abandonUpload(late);
      expect((await list(store.garbage())).map((record) => record.contract)).toEqual([contract]);
      const givenUp = { code: 'RENTER_ABORTED' };
      await expect(storeSegment(late)).rejects.toMatchObject(givenUp);
      await expect(store.putSegment(late, segmentFor(1, []), new Map())).rejects.toMatchObject(
        givenUp,
      );
      await expect(store.commitUpload(late, manifestFor(late, 1))).rejects.toMatchObject(givenUp);
      expect(await store.manifest({ bucket: 'test', name: 'kept' })).toMatchObject({
        objectId: kept.manifest.objectId,
      });
      // A repair that was given up, likewise.
      const repaired = manifestFor(kept, 1);
      const [before] = await list(store.segments(repaired.objectId));
      const made = proposalFor(`repair-${repaired.objectId}-0`, 0, 1);
      await store.putProposals([made]);
      await other.abandonRepair(made.upload);
      const next = { ...before!, shards: [...before!.shards, ...segmentFor(0, [made]).shards] };
      const placed = new Map([[made.contract, contractFor(made)]]);
      expect(await store.replaceShards(repaired, made.upload, before!, next, placed)).toBe(false);
      expect(await store.segment(repaired.objectId, 0)).toEqual(before);
    });

    it('lets no process that was overtaken take the index back', async () => {
      const open = await place();
      const [store, other] = [await storeOf(open), await storeOf(open)];
      await store.putIndexState({ sequence: 1, covered: 0, parts: [] }, 0);
      await other.putIndexState({ sequence: 2, covered: 0, parts: [] }, 1);
      const late = store.putIndexState({ sequence: 1, covered: 0, parts: [] }, 1);
      await expect(late).rejects.toMatchObject({ code: 'RENTER_INDEX' });
      expect((await store.indexState()).sequence).toBe(2);
    });

    it('numbers every change of many at one time once', async () => {
      const open = await place();
      const stores = [await storeOf(open), await storeOf(open)];
      await Promise.all(
        Array.from({ length: 24 }, async (_, i) => {
          const store = stores[i % 2]!;
          const upload = uploadFor('test', `object ${i}`);
          await store.putUpload(upload);
          await store.commitUpload(upload, manifestFor(upload, 0));
        }),
      );
      const numbers = (await list(stores[0]!.log(0))).map(([n]) => n);
      expect(numbers).toEqual(Array.from({ length: 24 }, (_, i) => i + 1));
      expect(await list(stores[1]!.manifests('test', '', ''))).toHaveLength(24);
    });

    it('gives a lease to one of many, and to the next when it has run out', async () => {
      const open = await place();
      const stores = [await storeOf(open), await storeOf(open), await storeOf(open)];
      const lease = (token: string, expires: number) => ({ process: 1, token, expires });
      const take = (i: number, now: number) =>
        stores[i % 3]!.takeLease('index', lease(`holder ${i}`, now + 1000), now, () => true);
      const taken = await Promise.all(Array.from({ length: 12 }, (_, i) => take(i, 0)));
      expect(taken.filter(Boolean)).toHaveLength(1);
      expect(await take(20, 999)).toBe(false);
      expect(await take(21, 1000)).toBe(true);
      // Who lost it can't give it away.
      const winner = taken.indexOf(true);
      await stores[0]!.giveLease('index', lease(`holder ${winner}`, 1000));
      expect(await take(22, 1001)).toBe(false);
      await stores[0]!.giveLease('index', lease('holder 21', 2000));
      expect(await take(22, 1001)).toBe(true);
    });
  });
}
