import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Database, type RootDatabase, open } from 'lmdb';
import {
  type Manifest,
  type SegmentRecord,
  type ShardRecord,
  parseManifest,
  parseSegmentRecord,
} from '@granary/protocol';
import { RenterError, messageOf } from './errors.js';
import { contractEnd } from './contract-end.js';
import type {
  AuditSchedule,
  ContractRecord,
  FarmerRecord,
  GarbageRecord,
  HoldingRecord,
  IndexState,
  LeaseRecord,
  LogRecord,
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
const holdingKey = (farmer: string, contract: string) => `holding/${farmer}/${contract}`;
const logKey = (n: number) => `log/${n.toString(16).padStart(13, '0')}`;
/** The form of the store: what has to be made up for when an older one is opened. */
const STORE_VERSION = 2;
/** The bucket of the index's own objects. Its name is none that a user can give. */
export const INDEX_BUCKET = '.index';
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
      const store = new RenterStore(root, rows, key);
      await store.upgrade();
      return store;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (error instanceof RenterError) throw error;
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
      if (bucket !== INDEX_BUCKET) yield bucket;
      start = `object/${bucket}\u0001`;
    }
  }

  segment(objectId: string, index: number): SegmentRecord | undefined {
    const value = this.get(segmentKey(objectId, index));
    return value === undefined ? undefined : parseSegmentRecord(value);
  }

  /** Manifests of all objects, the index's own among them. */
  *allManifests(): Generator<Manifest> {
    yield* this.scan('object/', after('object/'), parseManifest);
  }

  /** Segments of an object in order, from `first` on. */
  *segments(objectId: string, first = 0): Generator<SegmentRecord> {
    const end = after(`segment/${objectId}/`);
    yield* this.scan(segmentKey(objectId, first), end, parseSegmentRecord);
  }

  /** Contracts with a farmer, from a hash on, and the shards they are for. */
  *holdings(farmer: string, from = ''): Generator<{ contract: string; holding: HoldingRecord }> {
    const prefix = `holding/${farmer}/`;
    const range = { start: `${prefix}${from}`, end: after(prefix) };
    for (const { key, value } of this.rows.getRange(range)) {
      const holding = unseal(this.key, key, value) as HoldingRecord;
      yield { contract: key.slice(prefix.length), holding };
    }
  }

  /** Shards that a farmer holds for us. */
  holdingCount(farmer: string): number {
    const prefix = `holding/${farmer}/`;
    return this.rows.getKeysCount({ start: prefix, end: after(prefix) });
  }

  /** Farmers that hold something for us. */
  *holders(): Generator<string> {
    for (let start = 'holding/'; ;) {
      const [key] = [...this.rows.getKeys({ start, end: after('holding/'), limit: 1 })];
      if (key === undefined) return;
      const farmer = key.slice('holding/'.length, 'holding/'.length + 64);
      yield farmer;
      start = after(`holding/${farmer}/`);
    }
  }

  /** Whether a contract with a farmer is accounted for: a shard's, a proposal's, or garbage. */
  accountsFor(farmer: string, contract: string): boolean {
    return (
      this.rows.get(holdingKey(farmer, contract)) !== undefined ||
      this.rows.get(`garbage/${contract}`) !== undefined ||
      this.rows.get(`proposed/${contract}`) !== undefined
    );
  }

  auditSchedule(farmer: string): AuditSchedule | undefined {
    return this.get(`audit/${farmer}`) as AuditSchedule | undefined;
  }

  async putAuditSchedule(farmer: string, schedule: AuditSchedule): Promise<void> {
    await this.transaction((t) => t.put(`audit/${farmer}`, schedule));
  }

  /** Change a contract's record, in one transaction; nothing happens when it is gone. */
  async changeContract(
    hash: string,
    change: (record: ContractRecord) => ContractRecord,
  ): Promise<void> {
    await this.transaction((t) => {
      const record = this.contract(hash);
      if (record !== undefined) t.put(`contract/${hash}`, change(record));
    });
  }

  /** Keep contracts that a farmer listed, where none is known. */
  async adoptContracts(records: ReadonlyMap<string, ContractRecord>): Promise<void> {
    await this.transaction((t) => {
      for (const [hash, record] of records) {
        if (this.contract(hash) === undefined) t.put(`contract/${hash}`, record);
      }
    });
  }

  /** Make contracts garbage that nothing accounts for. How many there were. */
  async condemn(records: readonly GarbageRecord[]): Promise<number> {
    let count = 0;
    await this.transaction((t) => {
      for (const record of records) {
        if (this.accountsFor(record.farmer, record.contract)) continue;
        t.put(`garbage/${record.contract}`, record);
        count += 1;
      }
    });
    return count;
  }

  /** Keep the proof of a failed audit: contract, question and answer, all signed. */
  async putEvidence(contract: string, at: number, evidence: unknown): Promise<void> {
    await this.transaction((t) => t.put(`evidence/${contract}/${at}`, evidence));
  }

  /** Proofs of failed audits. */
  *evidence(): Generator<unknown> {
    yield* this.scan('evidence/', after('evidence/'), (value) => value);
  }

  /**
   * Take a lease, or hold it for longer.
   *
   * @param isLive - whether the holder of another lease, that has not expired, is still there
   * @returns whether it is ours now
   */
  async takeLease(
    name: string,
    lease: LeaseRecord,
    now: number,
    isLive: (lease: LeaseRecord) => boolean,
  ): Promise<boolean> {
    const key = `lease/${name}`;
    let taken = false;
    await this.transaction((t) => {
      const held = this.get(key) as LeaseRecord | undefined;
      const ours = held?.process === lease.process && held.token === lease.token;
      taken = held === undefined || ours || held.expires <= now || !isLive(held);
      if (taken) t.put(key, lease);
    }, false);
    return taken;
  }

  async giveLease(name: string, { process, token }: LeaseRecord): Promise<void> {
    await this.transaction((t) => {
      const held = this.get(`lease/${name}`) as LeaseRecord | undefined;
      if (held?.process === process && held.token === token) t.remove(`lease/${name}`);
    }, false);
  }

  /** Say that an object is being read, so that its shards stay until that is over. */
  async beginReading(objectId: string, lease: LeaseRecord): Promise<void> {
    await this.transaction((t) => t.put(`reading/${objectId}/${lease.token}`, lease), false);
  }

  /** The reading is over. Whether the object was retired meanwhile. */
  async endReading(objectId: string, { token }: LeaseRecord): Promise<boolean> {
    await this.transaction((t) => t.remove(`reading/${objectId}/${token}`), false);
    return this.rows.get(`retired/${objectId}`) !== undefined;
  }

  /** Changes that the index has still to learn of, after entry `from`, with their numbers. */
  *log(from: number, to = Number.MAX_SAFE_INTEGER): Generator<readonly [number, LogRecord]> {
    const range = { start: logKey(from + 1), end: logKey(Math.min(to, 2 ** 52 - 2) + 1) };
    for (const { key, value } of this.rows.getRange(range)) {
      const n = Number.parseInt(key.slice('log/'.length), 16);
      yield [n, unseal(this.key, key, value) as LogRecord];
    }
  }

  /** The number of the last change. */
  lastLog(): number {
    const [key] = [
      ...this.rows.getKeys({ start: after('log/'), end: 'log/', reverse: true, limit: 1 }),
    ];
    const last = key === undefined ? 0 : Number.parseInt(key.slice('log/'.length), 16);
    return Math.max(last, this.indexState().covered);
  }

  indexState(): IndexState {
    const none: IndexState = { sequence: 0, covered: 0, parts: [] };
    return (this.get('index/state') as IndexState | undefined) ?? none;
  }

  /** The network has a new root record: forget the changes that its whole parts cover. */
  async putIndexState(state: IndexState): Promise<void> {
    // With no parts everything is in the root record, and is made from the store itself.
    const [first] = state.parts;
    const base = first === undefined ? state.covered : first.from === 0 ? first.to : 0;
    const old = [...this.rows.getKeys({ start: 'log/', end: logKey(base + 1) })];
    await this.transaction((t) => {
      t.put('index/state', state);
      for (const key of old) t.remove(key);
    });
  }

  /** Write an object as the index has it: for recovery. */
  async restoreObject(manifest: Manifest): Promise<void> {
    const old = this.manifest(manifest);
    if (old?.objectId === manifest.objectId) return;
    if (old !== undefined) await this.forgetObject(old);
    await this.transaction((t) => t.put(objectKey(manifest), manifest));
  }

  /** Write segments as the index has them: for recovery. */
  async restoreSegments(
    entries: readonly { objectId: string; segment: SegmentRecord }[],
  ): Promise<void> {
    await this.transaction((t) => {
      for (const { objectId, segment } of entries) {
        const old = this.segment(objectId, segment.index);
        for (const shard of old?.shards ?? []) t.remove(holdingKey(shard.farmer, shard.contract));
        this.putHoldings(t, objectId, segment);
        t.put(segmentKey(objectId, segment.index), segment);
      }
    });
  }

  /** Remove an object from here alone: another version of it was restored, or it is gone. */
  async forgetObject(manifest: Manifest): Promise<void> {
    for (;;) {
      const [segment] = this.segments(manifest.objectId);
      if (segment === undefined) break;
      await this.transaction((t) => {
        for (const { farmer, contract } of segment.shards) t.remove(holdingKey(farmer, contract));
        t.remove(segmentKey(manifest.objectId, segment.index));
      });
    }
    await this.transaction((t) => {
      if (this.manifest(manifest)?.objectId === manifest.objectId) t.remove(objectKey(manifest));
    });
  }

  /** Every row but those that are of this place and time alone, for an export. */
  *dump(): Generator<readonly [string, unknown]> {
    for (const { key, value } of this.rows.getRange({})) {
      if (/^(lease|reading)\//.test(key)) continue;
      yield [key, unseal(this.key, key, value)];
    }
  }

  /** Write rows of an export. */
  async load(rows: readonly (readonly [string, unknown])[]): Promise<void> {
    await this.transaction((t) => {
      for (const [key, value] of rows) t.put(key, value);
    });
  }

  /** Whether anything is stored here. */
  isEmpty(): boolean {
    return (
      [...this.rows.getKeys({ start: 'object/', end: after('object/'), limit: 1 })].length === 0
    );
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
      for (const record of records) {
        t.put(proposalKey(record), record);
        t.put(`proposed/${record.contract}`, record.upload);
      }
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
        this.removeProposal(t, proposal);
        if (!contracts.has(proposal.contract)) t.put(...garbageOf(proposal));
      }
      for (const [hash, record] of contracts) t.put(`contract/${hash}`, record);
      this.putHoldings(t, id, segment);
      t.put(segmentKey(id, segment.index), segment);
    });
  }

  /**
   * A segment was repaired: keep its new record if it is still as it was when the repair began. If
   * not (the object is gone, or was replaced), what the repair has placed becomes garbage.
   *
   * @param repair - the name that the repair's proposals were recorded under
   * @returns whether the new record is in force
   */
  async replaceShards(
    manifest: Manifest,
    repair: string,
    before: SegmentRecord,
    next: SegmentRecord,
    contracts: ReadonlyMap<string, ContractRecord>,
  ): Promise<boolean> {
    const { objectId } = manifest;
    let current = false;
    await this.transaction((t) => {
      const found = this.segment(objectId, before.index);
      current =
        JSON.stringify(found) === JSON.stringify(before) &&
        this.manifest(manifest)?.objectId === objectId;
      for (const proposal of [...this.proposals(repair)]) {
        this.removeProposal(t, proposal);
        if (!current || !contracts.has(proposal.contract)) t.put(...garbageOf(proposal));
      }
      if (!current) return;
      const kept = new Set(next.shards.map(({ contract }) => contract));
      for (const shard of before.shards) {
        if (!kept.has(shard.contract)) this.discardShard(t, shard);
      }
      for (const [hash, record] of contracts) t.put(`contract/${hash}`, record);
      this.putHoldings(t, objectId, next);
      t.put(segmentKey(objectId, next.index), next);
      const { bucket, name } = manifest;
      this.append(
        t,
        bucket === INDEX_BUCKET
          ? { op: 'root' }
          : { op: 'segment', bucket, name, objectId, index: next.index },
      );
    });
    return current;
  }

  /** Names of repairs that have proposals recorded. */
  repairsBegun(): Set<string> {
    const names = new Set<string>();
    const range = { start: 'proposal/repair-', end: after('proposal/repair-') };
    for (const key of this.rows.getKeys(range)) names.add(key.split('/')[1]!);
    return names;
  }

  /** A repair came to nothing: what it placed becomes garbage. */
  async abandonRepair(repair: string): Promise<void> {
    await this.transaction((t) => {
      for (const proposal of [...this.proposals(repair)]) {
        this.removeProposal(t, proposal);
        t.put(...garbageOf(proposal));
      }
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
      this.appendObject(t, manifest);
    });
  }

  /** Take an object away and retire it. False when there was none. */
  async removeObject(path: ObjectPath): Promise<boolean> {
    let removed = false;
    await this.transaction((t) => {
      removed = this.retire(t, objectKey(path));
      t.remove(objectKey(path));
      if (removed) this.appendObject(t, path);
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
   * and transactions stay small. A crash in the middle is made good by the next call. Objects that
   * somebody reads wait.
   *
   * @param isLive - whether a reader is still there
   * @returns how many objects wait
   */
  async collectRetired(isLive: (lease: LeaseRecord) => boolean): Promise<number> {
    let waiting = 0;
    for (const { objectId } of [...this.retired()]) {
      const prefix = `reading/${objectId}/`;
      const readers = [...this.scan(prefix, after(prefix), (value) => value as LeaseRecord)];
      if (readers.some(isLive)) {
        waiting += 1;
        continue;
      }
      await this.transaction((t) => {
        for (const { token } of readers) t.remove(`${prefix}${token}`);
      }, false);
      await this.dropSegments(objectId, 0);
      await this.transaction((t) => t.remove(`retired/${objectId}`));
    }
    return waiting;
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
      this.removeProposal(t, proposal);
      t.put(...garbageOf(proposal));
    }
    t.remove(`upload/${upload.id}`);
  }

  private removeProposal(t: Transaction, proposal: ProposalRecord): void {
    t.remove(proposalKey(proposal));
    t.remove(`proposed/${proposal.contract}`);
  }

  private discard(t: Transaction, objectId: string, segment: SegmentRecord): void {
    for (const shard of segment.shards) this.discardShard(t, shard);
    t.remove(segmentKey(objectId, segment.index));
  }

  private discardShard(t: Transaction, { contract, farmer }: ShardRecord): void {
    const record = this.contract(contract);
    // Without a contract nobody here knows when it ends: it is asked for until the farmer confirms.
    const ends = record === undefined ? Number.MAX_SAFE_INTEGER : contractEnd(record);
    t.put(`garbage/${contract}`, { contract, farmer, ends } satisfies GarbageRecord);
    t.remove(`contract/${contract}`);
    t.remove(holdingKey(farmer, contract));
  }

  private putHoldings(t: Transaction, objectId: string, segment: SegmentRecord): void {
    for (const { farmer, contract, index } of segment.shards) {
      const holding: HoldingRecord = { objectId, segment: segment.index, shard: index };
      t.put(holdingKey(farmer, contract), holding);
    }
  }

  private appendObject(t: Transaction, { bucket, name }: ObjectPath): void {
    // The index's own objects are in the root record; who writes them writes that, too.
    if (bucket !== INDEX_BUCKET) this.append(t, { op: 'object', bucket, name });
  }

  private append(t: Transaction, record: LogRecord): void {
    t.put(logKey(this.lastLog() + 1), record);
  }

  /** Make up for what an older form of the store did not keep. */
  private async upgrade(): Promise<void> {
    const version = (this.get('meta/version') as number | undefined) ?? 1;
    if (version >= STORE_VERSION) return;
    for (const manifest of this.allManifests()) {
      for (const segment of this.segments(manifest.objectId)) {
        await this.transaction((t) => this.putHoldings(t, manifest.objectId, segment), false);
      }
      await this.transaction((t) => this.appendObject(t, manifest), false);
    }
    for (const record of [...this.scan('proposal/', after('proposal/'), asProposal)]) {
      await this.transaction((t) => t.put(`proposed/${record.contract}`, record.upload), false);
    }
    await this.transaction((t) => t.put('meta/version', STORE_VERSION));
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

  /** @param durable - whether to wait until it is on the disk */
  private async transaction(work: (t: Transaction) => void, durable = true): Promise<void> {
    const t: Transaction = {
      put: (key, value) => void this.rows.put(key, seal(this.key, key, value)),
      remove: (key) => void this.rows.remove(key),
    };
    try {
      await this.root.transaction(() => work(t));
      if (durable) await this.root.flushed;
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
    terms: {
      ...terms,
      operator: terms.operator ?? null,
      leaving: terms.leaving ?? false,
      payment: terms.payment ?? { settlement: 'ledger', contract: null, creditLimit: '0' },
    },
    reputation: record.reputation ?? newReputation(seen),
  };
}

function asProposal(value: unknown): ProposalRecord {
  return value as ProposalRecord;
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
