import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Database, type RootDatabase, open } from 'lmdb';
import {
  type Manifest,
  type SegmentRecord,
  parseManifest,
  parseSegmentRecord,
} from '@granary/protocol';
import { RenterError, messageOf } from './errors.js';
import type {
  ContractRecord,
  FarmerRecord,
  GarbageRecord,
  ObjectPath,
  ProposalRecord,
  UploadRecord,
} from './records.js';
import { newReputation } from './reputation.js';
import { seal, unseal } from './sealed-box.js';

// NUL can't be in a bucket's or object's name, so that keys sort as (bucket, name).
const objectKey = ({ bucket, name }: ObjectPath) => `object/${bucket}\0${name}`;
const pad = (n: number) => n.toString(16).padStart(8, '0');
const segmentKey = (objectId: string, index: number) => `segment/${objectId}/${pad(index)}`;
const after = (prefix: string) => `${prefix}\u{10ffff}`;

/**
 * The renter's own store: manifests, contracts, uploads under way, deletions to finish, farmers met.
 *
 * LMDB: several processes may use it at once, a transaction is whole or not there, and a call
 * returns after its pages are on the disk. Values are sealed; keys (names of buckets and objects)
 * are not, so that listings are ordered.
 */
export class RenterStore {
  private constructor(
    private readonly root: RootDatabase<Buffer, string>,
    private readonly rows: Database<Buffer, string>,
    private readonly key: Uint8Array,
  ) {}

  /** @throws RenterError RENTER_STORE when the directory can't be used. */
  static async open(directory: string, key: Uint8Array): Promise<RenterStore> {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await chmod(directory, 0o700);
      const root = open<Buffer, string>({
        path: join(directory, 'renter.lmdb'),
        encoding: 'binary',
        maxDbs: 4,
        noSubdir: true,
      });
      const rows = root.openDB<Buffer, string>({ name: 'rows', encoding: 'binary' });
      return new RenterStore(root, rows, key);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EACCES' || code === 'ENOSPC' || code === 'EROFS') throw error;
      throw new RenterError(
        'RENTER_STORE',
        `the store in ${directory} can't be opened: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  close(): Promise<void> {
    return this.root.close();
  }

  /** The manifest of an object, or undefined. */
  manifest(path: ObjectPath): Manifest | undefined {
    const value = this.get(objectKey(path));
    return value === undefined ? undefined : parseManifest(value);
  }

  /** Manifests of a bucket in order of name (code points). */
  *manifests(bucket: string, from: string, prefix: string): Generator<Manifest> {
    const start = from > prefix ? `${from}\0` : prefix;
    yield* this.scan(
      objectKey({ bucket, name: start }),
      after(objectKey({ bucket, name: prefix })),
      parseManifest,
    );
  }

  /** Names of the buckets that hold something, in order. */
  *buckets(): Generator<string> {
    let start = 'object/';
    for (;;) {
      const [key] = [...this.rows.getKeys({ start, end: after('object/'), limit: 1 })];
      if (key === undefined) return;
      const bucket = key.slice('object/'.length, key.indexOf('\0'));
      yield bucket;
      start = `object/${bucket}\u0001`;
    }
  }

  segment(objectId: string, index: number): SegmentRecord | undefined {
    const value = this.get(segmentKey(objectId, index));
    return value === undefined ? undefined : parseSegmentRecord(value);
  }

  /** Segments of an object in order, from `first` on. */
  *segments(objectId: string, first = 0): Generator<SegmentRecord> {
    const end = after(`segment/${objectId}/`);
    yield* this.scan(segmentKey(objectId, first), end, parseSegmentRecord);
  }

  contract(hash: string): ContractRecord | undefined {
    return this.get(`contract/${hash}`) as ContractRecord | undefined;
  }

  upload(id: string): UploadRecord | undefined {
    return this.get(`upload/${id}`) as UploadRecord | undefined;
  }

  *uploads(): Generator<UploadRecord> {
    yield* this.scan('upload/', after('upload/'), (value) => value as UploadRecord);
  }

  /** Proposals made for one segment of an upload (all segments when none is named). */
  *proposals(upload: string, segment?: number): Generator<ProposalRecord> {
    const prefix = `proposal/${upload}/${segment === undefined ? '' : `${pad(segment)}/`}`;
    yield* this.scan(prefix, after(prefix), (value) => value as ProposalRecord);
  }

  *garbage(): Generator<GarbageRecord> {
    yield* this.scan('garbage/', after('garbage/'), (value) => value as GarbageRecord);
  }

  /** Shards whose deletion has still to be confirmed. */
  garbageCount(): number {
    return this.rows.getKeysCount({ start: 'garbage/', end: after('garbage/') });
  }

  farmer(nodeId: string): FarmerRecord | undefined {
    const value = this.get(`farmer/${nodeId}`);
    return value === undefined ? undefined : asFarmer(value);
  }

  *farmers(): Generator<FarmerRecord> {
    yield* this.scan('farmer/', after('farmer/'), asFarmer);
  }

  /** Change what is known of a farmer, in one transaction. Nothing is written for undefined. */
  async changeFarmer(
    nodeId: string,
    change: (known: FarmerRecord | undefined) => FarmerRecord | undefined,
  ): Promise<void> {
    await this.transaction((t) => {
      const next = change(this.farmer(nodeId));
      if (next !== undefined) t.put(`farmer/${nodeId}`, next);
    });
  }

  async putUpload(record: UploadRecord): Promise<void> {
    await this.transaction((t) => t.put(`upload/${record.id}`, record));
  }

  /** Record proposals before their shards move. */
  async putProposals(records: readonly ProposalRecord[]): Promise<void> {
    await this.transaction((t) => {
      for (const record of records) t.put(proposalKey(record), record);
    });
  }

  /**
   * A segment is safe: keep its record and contracts. Proposals of the segment that did not come
   * to be one of its shards become garbage.
   */
  async putSegment(
    upload: UploadRecord,
    segment: SegmentRecord,
    contracts: ReadonlyMap<string, ContractRecord>,
  ): Promise<void> {
    const id = upload.manifest.objectId;
    await this.transaction((t) => {
      for (const proposal of [...this.proposals(upload.id, segment.index)]) {
        t.remove(proposalKey(proposal));
        if (!contracts.has(proposal.contract)) t.put(...garbageOf(proposal));
      }
      for (const [hash, record] of contracts) t.put(`contract/${hash}`, record);
      t.put(segmentKey(id, segment.index), segment);
    });
  }

  /**
   * Forget segments of an upload from `first` on, their contracts becoming garbage: the source has
   * changed since they were stored, or ends earlier now.
   */
  async dropSegments(objectId: string, first: number): Promise<void> {
    // One at a time: an object may have more of them than should be in memory.
    for (;;) {
      const [segment] = this.segments(objectId, first);
      if (segment === undefined) return;
      await this.transaction((t) => this.discard(t, objectId, segment));
    }
  }

  /**
   * Make an upload the object of its name and retire the version that it replaces, in one
   * transaction. {@link RenterStore.collectRetired} turns that version into garbage.
   */
  async commitUpload(upload: UploadRecord, manifest: Manifest): Promise<void> {
    const key = objectKey(manifest);
    await this.transaction((t) => {
      this.retire(t, key);
      t.put(key, manifest);
      this.endUpload(t, upload);
    });
  }

  /** Take an object away and retire it. False when there was none. */
  async removeObject(path: ObjectPath): Promise<boolean> {
    let removed = false;
    await this.transaction((t) => {
      removed = this.retire(t, objectKey(path));
      t.remove(objectKey(path));
    });
    return removed;
  }

  /** Give an upload up. What it stored becomes garbage. */
  async abandonUpload(upload: UploadRecord): Promise<void> {
    await this.dropSegments(upload.manifest.objectId, 0);
    await this.transaction((t) => this.endUpload(t, upload));
  }

  /**
   * Turn the segments of retired objects into garbage, one transaction a segment, so that memory
   * and transactions stay small. A crash in the middle is made good by the next call.
   */
  async collectRetired(): Promise<void> {
    for (const { objectId } of [...this.retired()]) {
      await this.dropSegments(objectId, 0);
      await this.transaction((t) => t.remove(`retired/${objectId}`));
    }
  }

  /** Forget garbage whose farmer has confirmed, or whose contract has ended. */
  async removeGarbage(contracts: readonly string[]): Promise<void> {
    await this.transaction((t) => {
      for (const hash of contracts) t.remove(`garbage/${hash}`);
    });
  }

  private *retired(): Generator<{ objectId: string }> {
    yield* this.scan('retired/', after('retired/'), parseManifest);
  }

  /** Keep what has this name for {@link RenterStore.collectRetired}. False when nothing has. */
  private retire(t: Transaction, key: string): boolean {
    const value = this.get(key);
    if (value === undefined) return false;
    const manifest = parseManifest(value);
    t.put(`retired/${manifest.objectId}`, manifest);
    return true;
  }

  /** Forget an upload. Proposals of it that are left become garbage. */
  private endUpload(t: Transaction, upload: UploadRecord): void {
    for (const proposal of [...this.proposals(upload.id)]) {
      t.remove(proposalKey(proposal));
      t.put(...garbageOf(proposal));
    }
    t.remove(`upload/${upload.id}`);
  }

  private discard(t: Transaction, objectId: string, segment: SegmentRecord): void {
    for (const { contract, farmer } of segment.shards) {
      const ends = this.contract(contract)?.contract.terms.end ?? 0;
      t.put(`garbage/${contract}`, { contract, farmer, ends } satisfies GarbageRecord);
      t.remove(`contract/${contract}`);
    }
    t.remove(segmentKey(objectId, segment.index));
  }

  private get(key: string): unknown {
    const sealed = this.rows.get(key);
    return sealed === undefined ? undefined : unseal(this.key, key, sealed);
  }

  private *scan<T>(start: string, end: string, parse: (value: unknown) => T): Generator<T> {
    for (const { key, value } of this.rows.getRange({ start, end })) {
      yield parse(unseal(this.key, key, value));
    }
  }

  private async transaction(work: (t: Transaction) => void): Promise<void> {
    const t: Transaction = {
      put: (key, value) => void this.rows.put(key, seal(this.key, key, value)),
      remove: (key) => void this.rows.remove(key),
    };
    try {
      await this.root.transaction(() => work(t));
      await this.root.flushed;
    } catch (error) {
      if (error instanceof RenterError) throw error;
      throw new RenterError('RENTER_STORE', `the store did not take a write: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

/** A farmer's record; those of before reputations were kept get a new one. */
function asFarmer(value: unknown): FarmerRecord {
  const record = value as FarmerRecord;
  const { terms, seen } = record;
  return {
    ...record,
    terms: { ...terms, operator: terms.operator ?? null, leaving: terms.leaving ?? false },
    reputation: record.reputation ?? newReputation(seen),
  };
}

interface Transaction {
  put(key: string, value: unknown): void;
  remove(key: string): void;
}

function proposalKey({ upload, segment, shard, contract }: ProposalRecord): string {
  return `proposal/${upload}/${pad(segment)}/${pad(shard)}/${contract}`;
}

function garbageOf({ contract, proposal: { terms } }: ProposalRecord): [string, GarbageRecord] {
  return [`garbage/${contract}`, { contract, farmer: terms.farmer, ends: terms.end }];
}
