import { after, keys, within } from './record-keys.js';
import type { AuditSchedule, ContractRecord, GarbageRecord, HoldingRecord } from './records.js';
import type { SealedRecords } from './sealed-records.js';

/** Contracts, where their shards belong, audits of them, and those to be ended. */
export interface ContractRecords {
  contract(hash: string): Promise<ContractRecord | undefined>;
  /** The contracts that are known, by hash. */
  contracts(hashes: readonly string[]): Promise<ReadonlyMap<string, ContractRecord>>;
  /** Change a contract's record, in one transaction; nothing happens when it is gone. */
  changeContract(hash: string, change: (record: ContractRecord) => ContractRecord): Promise<void>;
  /** Keep contracts that a farmer listed, where none is known. */
  adoptContracts(found: ReadonlyMap<string, ContractRecord>): Promise<void>;
  /** Contracts with a farmer, from a hash on, and the shards they are for. */
  holdings(
    farmer: string,
    from?: string,
  ): AsyncGenerator<{ contract: string; holding: HoldingRecord }>;
  /** Whether a contract with a farmer is a shard's. */
  isHeld(farmer: string, contract: string): Promise<boolean>;
  /** Shards that a farmer holds for us. */
  holdingCount(farmer: string): Promise<number>;
  /** Farmers that hold something for us. */
  holders(): AsyncGenerator<string>;
  /** Whether a contract with a farmer is accounted for: a shard's, a proposal's, or garbage. */
  accountsFor(farmer: string, contract: string): Promise<boolean>;
  auditSchedule(farmer: string): Promise<AuditSchedule | undefined>;
  putAuditSchedule(farmer: string, schedule: AuditSchedule): Promise<void>;
  /** Keep the proof of a failed audit: contract, question and answer, all signed. */
  putEvidence(contract: string, at: number, evidence: unknown): Promise<void>;
  /** Proofs of failed audits. */
  evidence(): AsyncGenerator<unknown>;
  /** Make contracts garbage that nothing accounts for. How many there were. */
  condemn(found: readonly GarbageRecord[]): Promise<number>;
  garbage(): AsyncGenerator<GarbageRecord>;
  /** Shards whose deletion has still to be confirmed. */
  garbageCount(): Promise<number>;
  /** Forget garbage whose farmer has confirmed, or whose contract has ended. */
  removeGarbage(contracts: readonly string[]): Promise<void>;
}

const accountKeys = (farmer: string, contract: string) => [
  keys.holding(farmer, contract),
  keys.garbage(contract),
  keys.proposed(contract),
];

/** Contracts in records. */
export function contractRecords(records: SealedRecords): ContractRecords {
  return {
    contract: async (hash) =>
      (await records.get(keys.contract(hash))) as ContractRecord | undefined,

    contracts: async (hashes) => {
      const found = await records.getAll(hashes.map(keys.contract));
      return new Map(
        hashes.flatMap((hash) => {
          const record = found.get(keys.contract(hash)) as ContractRecord | undefined;
          return record === undefined ? [] : [[hash, record] as const];
        }),
      );
    },

    changeContract: (hash, change) =>
      records.transaction(function* (t) {
        const record = (yield* t.get(keys.contract(hash))) as ContractRecord | undefined;
        if (record !== undefined) t.put(keys.contract(hash), change(record));
      }),

    adoptContracts: (found) =>
      records.transaction(function* (t) {
        const known = yield* t.getAll([...found.keys()].map(keys.contract));
        for (const [hash, record] of found) {
          if (!known.has(keys.contract(hash))) t.put(keys.contract(hash), record);
        }
      }),

    async *holdings(farmer, from = '') {
      const prefix = keys.holding(farmer, '');
      const range = { start: `${prefix}${from}`, end: after(prefix) };
      for await (const [key, value] of records.entries(range)) {
        yield { contract: key.slice(prefix.length), holding: value as HoldingRecord };
      }
    },

    isHeld: (farmer, contract) => records.has(keys.holding(farmer, contract)),

    holdingCount: (farmer) => records.count(within(keys.holding(farmer, ''))),

    async *holders() {
      for (let start = 'holding/'; ;) {
        const key = await records.firstKey({ start, end: after('holding/') });
        if (key === undefined) return;
        const farmer = key.slice('holding/'.length, 'holding/'.length + 64);
        yield farmer;
        start = after(keys.holding(farmer, ''));
      }
    },

    accountsFor: async (farmer, contract) => {
      for (const key of accountKeys(farmer, contract)) {
        if (await records.has(key)) return true;
      }
      return false;
    },

    auditSchedule: async (farmer) =>
      (await records.get(keys.audit(farmer))) as AuditSchedule | undefined,

    putAuditSchedule: (farmer, schedule) =>
      records.change((t) => {
        t.put(keys.audit(farmer), schedule);
      }),

    putEvidence: (contract, at, evidence) =>
      records.change((t) => {
        t.put(`evidence/${contract}/${at}`, evidence);
      }),

    evidence: () => records.values(within('evidence/'), (value) => value),

    condemn: (found) =>
      records.transaction(function* (t) {
        const known = yield* t.getAll(
          found.flatMap(({ farmer, contract }) => accountKeys(farmer, contract)),
        );
        const orphans = found.filter(
          ({ farmer, contract }) => !accountKeys(farmer, contract).some((key) => known.has(key)),
        );
        for (const record of orphans) t.put(keys.garbage(record.contract), record);
        return orphans.length;
      }),

    garbage: () => records.values(within('garbage/'), (value) => value as GarbageRecord),

    garbageCount: () => records.count(within('garbage/')),

    removeGarbage: async (contracts) => {
      if (contracts.length === 0) return;
      await records.change((t) => {
        for (const hash of contracts) t.remove(keys.garbage(hash));
      });
    },
  };
}
