import { keys, within } from './record-keys.js';
import type { FarmerRecord } from './records.js';
import { newReputation } from './reputation.js';
import type { SealedRecords } from './sealed-records.js';

/** Farmers that were met. */
export interface FarmerRecords {
  farmer(nodeId: string): Promise<FarmerRecord | undefined>;
  /** Those of some farmers that were met, by ID. */
  farmersNamed(nodeIds: readonly string[]): Promise<ReadonlyMap<string, FarmerRecord>>;
  farmers(): AsyncGenerator<FarmerRecord>;
  /** Change what is known of a farmer, in one transaction. Nothing is written for undefined. */
  changeFarmer(
    nodeId: string,
    change: (known: FarmerRecord | undefined) => FarmerRecord | undefined,
  ): Promise<void>;
}

/** Farmers in records. */
export function farmerRecords(records: SealedRecords): FarmerRecords {
  return {
    farmer: async (nodeId) => {
      const value = await records.get(keys.farmer(nodeId));
      return value === undefined ? undefined : asFarmer(value);
    },

    farmersNamed: async (nodeIds) => {
      const found = await records.getAll(nodeIds.map(keys.farmer));
      return new Map(
        nodeIds.flatMap((nodeId) => {
          const value = found.get(keys.farmer(nodeId));
          return value === undefined ? [] : [[nodeId, asFarmer(value)] as const];
        }),
      );
    },

    farmers: () => records.values(within('farmer/'), asFarmer),

    changeFarmer: (nodeId, change) =>
      records.transaction(function* (t) {
        const value = yield* t.get(keys.farmer(nodeId));
        const next = change(value === undefined ? undefined : asFarmer(value));
        if (next !== undefined) t.put(keys.farmer(nodeId), next);
      }),
  };
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
