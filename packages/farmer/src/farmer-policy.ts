import { type ContractTerms, type FarmerTerms, MAX_SHARD_SIZE } from '@granary/protocol';
import { FarmerError } from './errors.js';

/** What a farmer accepts. Prices and units as in {@link FarmerTerms}. */
export type FarmerPolicy = Omit<FarmerTerms, 'version' | 'freeBytes' | 'leaving' | 'payment'>;

const DAY = 24 * 3600 * 1000;

/** The policy of a farmer that was told nothing else. */
export const defaultPolicy: FarmerPolicy = {
  maxShardSize: MAX_SHARD_SIZE,
  maxDurationMs: 366 * DAY,
  currency: 'credit',
  storagePrice: '0',
  egressPrice: '0',
  operator: null,
};

/** How far in the future a contract may begin: clocks differ. */
const MAX_BEGIN_AHEAD_MS = 10 * 60 * 1000;

/**
 * Check what a renter proposes against what the farmer accepts.
 *
 * @throws FarmerError FARMER_TERMS naming what is not accepted.
 */
export function checkPolicy(
  policy: FarmerPolicy,
  terms: Omit<ContractTerms, 'version' | 'auditRoot' | 'auditCount' | 'channel'>,
  now: number,
): void {
  const refuse = (why: string) => new FarmerError('FARMER_TERMS', why);
  if (terms.shardSize > policy.maxShardSize) {
    throw refuse(`a shard has at most ${policy.maxShardSize} bytes here`);
  }
  if (terms.end <= now) throw refuse('the contract has ended already');
  if (terms.begin > now + MAX_BEGIN_AHEAD_MS) throw refuse('the contract begins too late');
  if (terms.end - now > policy.maxDurationMs + MAX_BEGIN_AHEAD_MS) {
    throw refuse(`a contract runs at most ${Math.floor(policy.maxDurationMs / DAY)} days here`);
  }
  if (terms.currency !== policy.currency) throw refuse(`prices are in ${policy.currency} here`);
  if (BigInt(terms.storagePrice) < BigInt(policy.storagePrice)) {
    throw refuse(`a GB-month costs ${policy.storagePrice} here`);
  }
  if (BigInt(terms.egressPrice) < BigInt(policy.egressPrice)) {
    throw refuse(`a GB of egress costs ${policy.egressPrice} here`);
  }
}
