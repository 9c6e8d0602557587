import {
  type Manifest,
  type SegmentRecord,
  parseManifest,
  parseSegmentRecord,
} from '@granary/protocol';
import { RenterError } from './errors.js';
import { INDEX_BUCKET, LOG_TURN, after, keys, within } from './record-keys.js';
import type { ContractRecord, ProposalRecord, UploadRecord } from './records.js';
import type { SealedRecords, Transaction } from './sealed-records.js';
import type { ObjectRecords } from './object-records.js';
import type { RecordWork } from './record-database.js';
import {
  appendLog,
  appendObject,
  discardShards,
  endProposal,
  proposalsOf,
  putHoldings,
  retire,
} from './store-changes.js';

/** Uploads and repairs under way. */
export interface UploadRecords {
  upload(id: string): Promise<UploadRecord | undefined>;
  uploads(): AsyncGenerator<UploadRecord>;
  putUpload(record: UploadRecord): Promise<void>;
  /** Proposals made for one segment of an upload (all segments when none is named). */
  proposals(upload: string, segment?: number): AsyncGenerator<ProposalRecord>;
  /**
   * Record proposals before their shards move.
   *
   * @throws RenterError RENTER_ABORTED when their upload was given up.
   */
  putProposals(made: readonly ProposalRecord[]): Promise<void>;
  /**
   * A segment is safe: keep its record and contracts. Proposals of the segment that did not come
   * to be one of its shards become garbage.
   *
   * @throws RenterError RENTER_ABORTED when the upload was given up.
   */
  putSegment(
    upload: UploadRecord,
    segment: SegmentRecord,
    contracts: ReadonlyMap<string, ContractRecord>,
  ): Promise<void>;
  /**
   * Make an upload the object of its name and retire the version that it replaces, in one
   * transaction. {@link ObjectRecords.collectRetired} turns that version into garbage.
   *
   * @throws RenterError RENTER_ABORTED when the upload was given up.
   */
  commitUpload(upload: UploadRecord, manifest: Manifest): Promise<void>;
  /**
   * Give an upload up. What it stored becomes garbage. One that has become an object meanwhile stays:
   * whoever lost the store in the middle of {@link UploadRecords.commitUpload} does not know.
   */
  abandonUpload(upload: UploadRecord): Promise<void>;
  /**
   * A segment was repaired: keep its new record if it is still as it was when the repair began. If
   * not (the object is gone, or was replaced), what the repair has placed becomes garbage.
   *
   * @param repair - the name that the repair's proposals were recorded under
   * @returns whether the new record is in force
   */
  replaceShards(
    manifest: Manifest,
    repair: string,
    before: SegmentRecord,
    next: SegmentRecord,
    contracts: ReadonlyMap<string, ContractRecord>,
  ): Promise<boolean>;
  /** Names of repairs that have proposals recorded. */
  repairsBegun(): Promise<Set<string>>;
  /** A repair came to nothing: what it placed becomes garbage. */
  abandonRepair(repair: string): Promise<void>;
}

/** What names of repairs begin with. */
const REPAIRS = 'repair-';

/** Uploads and repairs in records. */
export function uploadRecords(
  records: SealedRecords,
  { dropSegments }: Pick<ObjectRecords, 'dropSegments'>,
): UploadRecords {
  /** Forget an upload. Proposals of it that are left become garbage. */
  function* endUpload(t: Transaction, upload: UploadRecord): RecordWork<void> {
    for (const proposal of yield* proposalsOf(t, upload.id)) endProposal(t, proposal, false);
    t.remove(keys.upload(upload.id));
  }

  /** Nobody may add to an upload that another has given up: it would be accounted for by nothing. */
  function* checkUnderWay(t: Transaction, id: string): RecordWork<void> {
    const record = (yield* t.get(keys.upload(id))) as UploadRecord | undefined;
    if (record !== undefined && record.abandoned !== true) return;
    throw new RenterError('RENTER_ABORTED', 'the upload was given up: try again');
  }

  return {
    upload: async (id) => (await records.get(keys.upload(id))) as UploadRecord | undefined,

    uploads: () => records.values(within('upload/'), (value) => value as UploadRecord),

    putUpload: (record) =>
      records.change((t) => {
        t.put(keys.upload(record.id), record);
      }),

    proposals: (upload, segment) =>
      records.values(within(keys.proposals(upload, segment)), (value) => value as ProposalRecord),

    putProposals: (made) =>
      records.transaction(function* (t) {
        for (const upload of new Set(made.map((record) => record.upload))) {
          if (!upload.startsWith(REPAIRS)) yield* checkUnderWay(t, upload);
        }
        for (const record of made) {
          t.put(keys.proposal(record), record);
          t.put(keys.proposed(record.contract), record.upload);
        }
      }),

    putSegment: (upload, segment, contracts) => {
      const id = upload.manifest.objectId;
      return records.transaction(function* (t) {
        yield* checkUnderWay(t, upload.id);
        for (const proposal of yield* proposalsOf(t, upload.id, segment.index)) {
          endProposal(t, proposal, contracts.has(proposal.contract));
        }
        for (const [hash, record] of contracts) t.put(keys.contract(hash), record);
        putHoldings(t, id, segment);
        t.put(keys.segment(id, segment.index), segment);
      });
    },

    commitUpload: (upload, manifest) =>
      records.transaction(function* (t) {
        yield* checkUnderWay(t, upload.id);
        const key = keys.object(manifest);
        yield* retire(t, key);
        t.put(key, manifest);
        yield* endUpload(t, upload);
        yield* appendObject(t, manifest);
      }, LOG_TURN),

    abandonUpload: async (upload) => {
      const begun = await records.transaction(function* (t) {
        const record = (yield* t.get(keys.upload(upload.id))) as UploadRecord | undefined;
        if (record === undefined) return false;
        const abandoned: UploadRecord = { ...record, abandoned: true };
        t.put(keys.upload(upload.id), abandoned);
        return true;
      });
      if (!begun) return;
      await dropSegments(upload.manifest.objectId, 0);
      await records.transaction((t) => endUpload(t, upload));
    },

    replaceShards: (manifest, repair, before, next, contracts) => {
      const { objectId } = manifest;
      const [object, segment] = [keys.object(manifest), keys.segment(objectId, before.index)];
      return records.transaction(function* (t) {
        const found = yield* t.getAll([object, segment]);
        const proposals = yield* proposalsOf(t, repair);
        const proposed = new Set(proposals.map(({ contract }) => contract));
        const current =
          // Another may have given the repair up, and what it placed is garbage then.
          [...contracts.keys()].every((contract) => proposed.has(contract)) &&
          found.has(object) &&
          found.has(segment) &&
          parseManifest(found.get(object)).objectId === objectId &&
          JSON.stringify(parseSegmentRecord(found.get(segment))) === JSON.stringify(before);
        for (const proposal of proposals) {
          endProposal(t, proposal, current && contracts.has(proposal.contract));
        }
        if (!current) return false;
        const kept = new Set(next.shards.map(({ contract }) => contract));
        const gone = before.shards.filter(({ contract }) => !kept.has(contract));
        yield* discardShards(t, gone);
        for (const [hash, record] of contracts) t.put(keys.contract(hash), record);
        putHoldings(t, objectId, next);
        t.put(segment, next);
        const { bucket, name } = manifest;
        yield* appendLog(
          t,
          bucket === INDEX_BUCKET
            ? { op: 'root' }
            : { op: 'segment', bucket, name, objectId, index: next.index },
        );
        return true;
      }, LOG_TURN);
    },

    repairsBegun: async () => {
      const names = new Set<string>();
      const end = after(`proposal/${REPAIRS}`);
      for (let start = `proposal/${REPAIRS}`; ;) {
        const key = await records.firstKey({ start, end });
        if (key === undefined) return names;
        const name = key.split('/')[1]!;
        names.add(name);
        start = after(keys.proposals(name));
      }
    },

    abandonRepair: (repair) =>
      records.transaction(function* (t) {
        for (const proposal of yield* proposalsOf(t, repair)) endProposal(t, proposal, false);
      }),
  };
}
