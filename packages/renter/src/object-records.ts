import { lookAfter } from '#renter/processes';
import {
  type Manifest,
  type SegmentRecord,
  parseManifest,
  parseSegmentRecord,
} from '@granary/protocol';
import { INDEX_BUCKET, LOG_TURN, after, keys, within } from './record-keys.js';
import type { LeaseRecord, ObjectPath } from './records.js';
import type { SealedRecords } from './sealed-records.js';
import {
  appendObject,
  discardShards,
  forgetHoldings,
  putHoldings,
  retire,
} from './store-changes.js';

/** Objects: manifests and segments. */
export interface ObjectRecords {
  /** The manifest of an object, or undefined. */
  manifest(path: ObjectPath): Promise<Manifest | undefined>;
  /** Manifests of a bucket in order of name (code points). */
  manifests(bucket: string, from: string, prefix: string): AsyncGenerator<Manifest>;
  /** Manifests of all objects, the index's own among them. */
  allManifests(): AsyncGenerator<Manifest>;
  /** Names of the buckets that hold something, in order. */
  buckets(): AsyncGenerator<string>;
  segment(objectId: string, index: number): Promise<SegmentRecord | undefined>;
  /** Segments of an object in order, from `first` on. */
  segments(objectId: string, first?: number): AsyncGenerator<SegmentRecord>;
  /** Whether anything is stored here. */
  isEmpty(): Promise<boolean>;
  /** Take an object away and retire it. False when there was none. */
  removeObject(path: ObjectPath): Promise<boolean>;
  /**
   * Forget segments of an upload from `first` on, their contracts becoming garbage: the source has
   * changed since they were stored, or ends earlier now.
   */
  dropSegments(objectId: string, first: number): Promise<void>;
  /**
   * Turn the segments of retired objects into garbage, one transaction a segment, so that memory
   * and transactions stay small. A crash in the middle is made good by the next call. Objects that
   * somebody reads wait.
   *
   * @param isLive - whether a reader is still there
   * @returns how many objects wait
   */
  collectRetired(isLive: (lease: LeaseRecord) => boolean): Promise<number>;
  /** Write an object as the index has it: for recovery. */
  restoreObject(manifest: Manifest): Promise<void>;
  /** Write segments as the index has them: for recovery. */
  restoreSegments(entries: readonly { objectId: string; segment: SegmentRecord }[]): Promise<void>;
  /** Remove an object from here alone: another version of it was restored, or it is gone. */
  forgetObject(manifest: Manifest): Promise<void>;
}

/** Objects in records. */
export function objectRecords(records: SealedRecords): ObjectRecords {
  const asLease = (value: unknown) => value as LeaseRecord;

  async function manifest(path: ObjectPath): Promise<Manifest | undefined> {
    const value = await records.get(keys.object(path));
    return value === undefined ? undefined : parseManifest(value);
  }

  async function firstSegment(objectId: string, first: number): Promise<SegmentRecord | undefined> {
    const range = { start: keys.segment(objectId, first), end: after(keys.segments(objectId)) };
    for await (const segment of records.values({ ...range, limit: 1 }, parseSegmentRecord)) {
      return segment;
    }
    return undefined;
  }

  async function dropSegments(objectId: string, first: number): Promise<void> {
    // One at a time: an object may have more of them than should be in memory.
    for (;;) {
      const segment = await firstSegment(objectId, first);
      if (segment === undefined) return;
      await records.transaction(function* (t) {
        yield* discardShards(t, segment.shards);
        t.remove(keys.segment(objectId, segment.index));
      });
    }
  }

  async function forgetObject(old: Manifest): Promise<void> {
    for (;;) {
      const segment = await firstSegment(old.objectId, 0);
      if (segment === undefined) break;
      await records.change((t) => {
        forgetHoldings(t, segment);
        t.remove(keys.segment(old.objectId, segment.index));
      });
    }
    await records.transaction(function* (t) {
      const value = yield* t.get(keys.object(old));
      if (value !== undefined && parseManifest(value).objectId === old.objectId) {
        t.remove(keys.object(old));
      }
    });
  }

  return {
    manifest,
    dropSegments,
    forgetObject,

    manifests: (bucket, from, prefix) => {
      const start = from > prefix ? `${from}\0` : prefix;
      const range = {
        start: keys.object({ bucket, name: start }),
        end: after(keys.object({ bucket, name: prefix })),
      };
      return records.values(range, parseManifest);
    },

    allManifests: () => records.values(within('object/'), parseManifest),

    async *buckets() {
      let start = 'object/';
      for (;;) {
        const key = await records.firstKey({ start, end: after('object/') });
        if (key === undefined) return;
        const bucket = key.slice('object/'.length, key.indexOf('\0'));
        if (bucket !== INDEX_BUCKET) yield bucket;
        start = `object/${bucket}\u0001`;
      }
    },

    segment: async (objectId, index) => {
      const value = await records.get(keys.segment(objectId, index));
      return value === undefined ? undefined : parseSegmentRecord(value);
    },

    segments: (objectId, first = 0) => {
      const range = { start: keys.segment(objectId, first), end: after(keys.segments(objectId)) };
      return records.values(range, parseSegmentRecord);
    },

    isEmpty: async () => (await records.firstKey(within('object/'))) === undefined,

    removeObject: (path) =>
      records.transaction(function* (t) {
        const removed = yield* retire(t, keys.object(path));
        t.remove(keys.object(path));
        if (removed) yield* appendObject(t, path);
        return removed;
      }, LOG_TURN),

    collectRetired: async (isLive) => {
      let waiting = 0;
      for await (const { objectId } of records.values(within('retired/'), parseManifest)) {
        const prefix = keys.reading(objectId, '');
        const readers: LeaseRecord[] = [];
        for await (const reader of records.values(within(prefix), asLease)) readers.push(reader);
        await lookAfter(readers.map(({ process }) => process));
        if (readers.some(isLive)) {
          waiting += 1;
          continue;
        }
        await records.change(
          (t) => {
            for (const { token } of readers) t.remove(keys.reading(objectId, token));
          },
          { durable: false },
        );
        await dropSegments(objectId, 0);
        await records.change((t) => {
          t.remove(keys.retired(objectId));
        });
      }
      return waiting;
    },

    restoreObject: async (restored) => {
      const old = await manifest(restored);
      if (old?.objectId === restored.objectId) return;
      if (old !== undefined) await forgetObject(old);
      await records.change((t) => {
        t.put(keys.object(restored), restored);
      });
    },

    restoreSegments: (entries) =>
      records.transaction(function* (t) {
        const old = yield* t.getAll(
          entries.map(({ objectId, segment }) => keys.segment(objectId, segment.index)),
        );
        for (const { objectId, segment } of entries) {
          const key = keys.segment(objectId, segment.index);
          if (old.has(key)) forgetHoldings(t, parseSegmentRecord(old.get(key)));
          putHoldings(t, objectId, segment);
          t.put(key, segment);
        }
      }),
  };
}
