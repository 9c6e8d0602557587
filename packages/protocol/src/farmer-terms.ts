import { z } from 'zod';
import { amount, byteCount, parseWith } from './fields.js';

/** The signed RPC by which a farmer states its terms. */
export const FARMER_TERMS_METHOD = 'FARMER_TERMS';

const farmerTermsSchema = z.object({
  version: z.literal(1),
  freeBytes: byteCount,
  maxShardSize: byteCount,
  maxDurationMs: byteCount,
  currency: z.string().min(1).max(64),
  storagePrice: amount,
  egressPrice: amount,
});

/**
 * What a farmer offers: free space in bytes, the largest shard and the longest contract it takes,
 * and its prices (see {@link ContractTerms}). Unknown fields are dropped, so that later versions
 * may say more.
 */
export type FarmerTerms = z.infer<typeof farmerTermsSchema>;

/**
 * Parse a farmer's answer to {@link FARMER_TERMS_METHOD}.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED.
 */
export function parseFarmerTerms(value: unknown): FarmerTerms {
  return parseWith(farmerTermsSchema, value, 'farmer terms');
}
