import { ShardStore } from '@granary/farmer';
import { silentLogger, systemClock } from '@granary/kad';
import { type Contract, ShardTree, contractHash, toHex } from '@granary/protocol';

/** Bytes of a shard. */
export const SHARD_SIZE = 4096;

/** What is in every shard. */
export const shard = new Uint8Array(SHARD_SIZE).fill(7);
const shardHash = toHex(ShardTree.of(shard).root());

/** A contract of its own for every shard. Signatures are not looked at below the transfer server. */
export function contractOf(i: number): { hash: string; contract: Contract } {
  const terms: Contract['terms'] = {
    version: 1,
    renter: 'aa'.repeat(32),
    renterKey: `02${'aa'.repeat(32)}`,
    farmer: 'bb'.repeat(32),
    farmerKey: `02${'bb'.repeat(32)}`,
    shardHash,
    shardSize: SHARD_SIZE,
    begin: i,
    end: 4_000_000_000_000,
    currency: 'credit',
    storagePrice: '0',
    egressPrice: '0',
    auditRoot: null,
    auditCount: 0,
    channel: null,
  };
  const signature = '00'.repeat(64);
  const contract = { terms, renterSignature: signature, farmerSignature: signature };
  return { hash: contractHash(terms), contract };
}

/** Open a store with room for any number of them. */
export function openStore(directory: string): Promise<ShardStore> {
  return ShardStore.open({
    directory,
    quotaBytes: 2 ** 50,
    reservationMs: 3_600_000,
    graceMs: 0,
    clock: systemClock,
    logger: silentLogger,
  });
}

/** Store a shard as a transfer does. */
export async function putShard(store: ShardStore, i: number): Promise<void> {
  const { hash, contract } = contractOf(i);
  await store.reserve(hash, contract);
  const part = await store.openPartial(hash, contract.terms);
  await part.append(shard);
  await store.commit(hash, contract.terms, part);
}
