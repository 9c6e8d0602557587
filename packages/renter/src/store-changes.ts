import {
  type Manifest,
  type SegmentRecord,
  type ShardRecord,
  parseManifest,
} from '@granary/protocol';
import { contractEnd } from './contract-end.js';
import type { RecordWork } from './record-database.js';
import { INDEX_BUCKET, keys, logNumber, within } from './record-keys.js';
import type {
  ContractRecord,
  GarbageRecord,
  HoldingRecord,
  IndexState,
  LogRecord,
  ObjectPath,
  ProposalRecord,
} from './records.js';
import type { Transaction } from './sealed-records.js';

// Changes that several transactions of the store have in common.

/** Keep what has this key for `collectRetired`. False when nothing has. */
export function* retire(t: Transaction, key: string): RecordWork<boolean> {
  const value = yield* t.get(key);
  if (value === undefined) return false;
  const manifest: Manifest = parseManifest(value);
  t.put(keys.retired(manifest.objectId), manifest);
  return true;
}

/** Shards are not wanted any more: their contracts become garbage. */
export function* discardShards(t: Transaction, shards: readonly ShardRecord[]): RecordWork<void> {
  const known = yield* t.getAll(shards.map(({ contract }) => keys.contract(contract)));
  for (const { contract, farmer } of shards) {
    const record = known.get(keys.contract(contract)) as ContractRecord | undefined;
    // Without a contract nobody here knows when it ends: it is asked for until the farmer confirms.
    const ends = record === undefined ? Number.MAX_SAFE_INTEGER : contractEnd(record);
    t.put(keys.garbage(contract), { contract, farmer, ends } satisfies GarbageRecord);
    t.remove(keys.contract(contract));
    t.remove(keys.holding(farmer, contract));
  }
}

/** Note which farmers hold a segment's shards. */
export function putHoldings(t: Transaction, objectId: string, segment: SegmentRecord): void {
  for (const { farmer, contract, index } of segment.shards) {
    const holding: HoldingRecord = { objectId, segment: segment.index, shard: index };
    t.put(keys.holding(farmer, contract), holding);
  }
}

export function forgetHoldings(t: Transaction, { shards }: SegmentRecord): void {
  for (const { farmer, contract } of shards) t.remove(keys.holding(farmer, contract));
}

/** Proposals of an upload or repair, or of one segment of it. */
export function* proposalsOf(
  t: Transaction,
  upload: string,
  segment?: number,
): RecordWork<readonly ProposalRecord[]> {
  const rows = yield* t.range(within(keys.proposals(upload, segment)));
  return rows.map(([, value]) => value as ProposalRecord);
}

/** Forget a proposal; what it may have stored becomes garbage unless it is kept. */
export function endProposal(t: Transaction, proposal: ProposalRecord, kept: boolean): void {
  const { contract, proposal: made } = proposal;
  t.remove(keys.proposal(proposal));
  t.remove(keys.proposed(contract));
  if (kept) return;
  const { farmer, end } = made.terms;
  t.put(keys.garbage(contract), { contract, farmer, ends: end } satisfies GarbageRecord);
}

/** Tell the index of an object that came, changed or went. */
export function* appendObject(t: Transaction, { bucket, name }: ObjectPath): RecordWork<void> {
  // The index's own objects are in the root record; who writes them writes that, too.
  if (bucket !== INDEX_BUCKET) yield* appendLog(t, { op: 'object', bucket, name });
}

/** Tell the index of a change. */
export function* appendLog(t: Transaction, record: LogRecord): RecordWork<void> {
  const rows = yield* t.range({ ...within('log/'), limit: 1, reverse: true });
  const state = (yield* t.get(keys.indexState)) as IndexState | undefined;
  const last = rows[0] === undefined ? 0 : logNumber(rows[0][0]);
  t.put(keys.log(Math.max(last, state?.covered ?? 0) + 1), record);
}
