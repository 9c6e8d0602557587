import type { Identity } from '@granary/kad';
import { type ContractTerms, ShardTree, toHex } from '@granary/protocol';

/** Terms for a shard that any farmer of these tests accepts: free, for an hour from `now` on. */
export function contractTerms(
  { renter, farmer }: { renter: Identity; farmer: Identity },
  shard: Uint8Array,
  change: Partial<ContractTerms> = {},
  now = Date.now(),
): ContractTerms {
  return {
    version: 1,
    renter: renter.nodeId,
    renterKey: toHex(renter.publicKey),
    farmer: farmer.nodeId,
    farmerKey: toHex(farmer.publicKey),
    shardHash: toHex(ShardTree.of(shard).root()),
    shardSize: shard.length,
    begin: now,
    end: now + 3_600_000,
    currency: 'credit',
    storagePrice: '0',
    egressPrice: '0',
    auditRoot: null,
    auditCount: 0,
    channel: null,
    ...change,
  };
}
