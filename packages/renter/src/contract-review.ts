import { type Contact, messageOf } from '@granary/kad';
import {
  LIST_CONTRACTS_METHOD,
  type ListedContract,
  parseContractListing,
} from '@granary/protocol';
import { all } from './all.js';
import { contractEnd } from './contract-end.js';
import type { ContractRecord, GarbageRecord } from './records.js';
import type { RenterCore } from './renter-core.js';

const TIMEOUT_MS = 20_000;
/** Farmers asked at one time. */
const PARALLEL = 8;

/** What farmers say that they hold for us, compared with what we know. */
export interface ContractReview {
  /** Farmers that gave their list. */
  readonly farmers: number;
  /** Contracts on those lists. */
  readonly listed: number;
  /** Contracts that nothing here accounts for: they are garbage now. */
  readonly orphans: number;
  /** Shards that should be on a list and are not: they count as lost now. */
  readonly missing: number;
  /** Farmers that hold shards of ours, or did, and could not be asked. */
  readonly unreachable: readonly { readonly farmer: string; readonly reason: string }[];
}

/** A farmer's list of our contracts, page by page, every contract checked. */
export async function* listContracts(
  core: RenterCore,
  contact: Contact,
  signal: AbortSignal,
): AsyncGenerator<ListedContract[]> {
  const renter = core.keys.identity.nodeId;
  for (let after = ''; ;) {
    const options = { signal, timeoutMs: TIMEOUT_MS };
    const answer = await core.network.node.call(contact, LIST_CONTRACTS_METHOD, { after }, options);
    const { contracts, more } = parseContractListing(answer, {
      renter,
      farmer: contact.nodeId,
      after,
    });
    yield contracts;
    if (!more) return;
    after = contracts.at(-1)!.hash;
  }
}

/**
 * Ask every farmer that may hold something of ours for its list, and account for each contract on
 * it. What nothing accounts for is garbage: shards left by crashes, or by a store that was lost.
 */
export async function reviewContracts(
  core: RenterCore,
  signal: AbortSignal,
): Promise<ContractReview> {
  const { store, directory } = core;
  const totals = { farmers: 0, listed: 0, orphans: 0, missing: 0 };
  const unreachable: { farmer: string; reason: string }[] = [];
  const concerned = new Set(await all(store.holders()));
  for await (const { farmer } of store.garbage()) concerned.add(farmer);
  for (const { contact } of await directory.known()) concerned.add(contact.nodeId);
  const waiting = [...concerned];
  const work = async () => {
    for (let farmer = waiting.pop(); farmer !== undefined; farmer = waiting.pop()) {
      signal.throwIfAborted();
      try {
        const found = await reviewFarmer(core, farmer, signal);
        totals.farmers += 1;
        totals.listed += found.listed;
        totals.orphans += found.orphans;
        totals.missing += found.missing;
      } catch (error) {
        signal.throwIfAborted();
        unreachable.push({ farmer, reason: messageOf(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  return { ...totals, unreachable };
}

async function reviewFarmer(core: RenterCore, farmer: string, signal: AbortSignal) {
  const { store, directory } = core;
  let [listed, orphans] = [0, 0];
  // What is stored while the farmer writes its list need not be on it.
  const expected = new Set<string>();
  for await (const { contract } of store.holdings(farmer)) expected.add(contract);
  const seen = new Set<string>();
  for await (const page of listContracts(core, await directory.contactOf(farmer), signal)) {
    listed += page.length;
    const garbage: GarbageRecord[] = [];
    const adopted = new Map<string, ContractRecord>();
    for (const entry of page) {
      const { hash, contract, renewal } = entry;
      if (entry.state === 'stored') seen.add(hash);
      const record = { contract, receipt: null, ...(renewal !== null && { renewal }) };
      if (await store.accountsFor(farmer, hash)) adopted.set(hash, record);
      else garbage.push({ contract: hash, farmer, ends: contractEnd(record) });
    }
    orphans += await store.condemn(garbage);
    await adopt(core, farmer, adopted);
  }
  for (const hash of seen) expected.delete(hash);
  const missing = await markMissing(core, expected);
  return { listed, orphans, missing };
}

/** Keep contracts of shards that we hold no contract of: those of a store that was recovered. */
async function adopt(
  { store }: RenterCore,
  farmer: string,
  records: Map<string, ContractRecord>,
): Promise<void> {
  for (const hash of records.keys()) {
    const held = await store.isHeld(farmer, hash);
    if (!held || (await store.contract(hash)) !== undefined) records.delete(hash);
  }
  if (records.size > 0) await store.adoptContracts(records);
}

/** Mark as lost what a farmer's list does not have. */
async function markMissing(
  { store, clock }: RenterCore,
  contracts: Iterable<string>,
): Promise<number> {
  let missing = 0;
  const failed = { at: clock.now(), reason: 'the farmer does not list it any more' };
  for (const contract of contracts) {
    const record = await store.contract(contract);
    if (record === undefined || record.failed !== undefined) continue;
    missing += 1;
    await store.changeContract(contract, (old) => ({ ...old, failed }));
  }
  return missing;
}

/** Fetch the contracts with one farmer that a recovered store has not got yet. */
export async function adoptContractsOf(
  core: RenterCore,
  farmer: string,
  signal: AbortSignal,
): Promise<void> {
  const contact = await core.directory.contactOf(farmer);
  for await (const page of listContracts(core, contact, signal)) {
    const records = page.map(({ hash, contract, renewal }): [string, ContractRecord] => [
      hash,
      { contract, receipt: null, ...(renewal !== null && { renewal }) },
    ]);
    await adopt(core, farmer, new Map(records));
  }
}
