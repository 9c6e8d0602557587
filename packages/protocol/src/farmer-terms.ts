import { z } from 'zod';
import { amount, byteCount, evmAddress, parseWith } from './fields.js';

/** The signed RPC by which a farmer states its terms. */
export const FARMER_TERMS_METHOD = 'FARMER_TERMS';

const paymentTerms = z.object({
  settlement: z.enum(['ledger', 'evm']),
  contract: evmAddress.nullable(),
  creditLimit: amount,
});
/**
 * How a farmer is paid: by which settlement, on a chain by which contract (the chain and the token
 * are the currency's name), and how much it lets a renter owe before it stops serving.
 */
export type PaymentTerms = z.infer<typeof paymentTerms>;

/** Parse how a node says that it is paid. @throws ProtocolError PROTOCOL_MALFORMED. */
export function parsePaymentTerms(value: unknown): PaymentTerms {
  return parseWith(paymentTerms, value, 'payment terms');
}

const farmerTermsSchema = z.object({
  version: z.literal(1),
  freeBytes: byteCount,
  maxShardSize: byteCount,
  maxDurationMs: byteCount,
  currency: z.string().min(1).max(64),
  storagePrice: amount,
  egressPrice: amount,
  operator: z.string().max(128).nullable().default(null),
  leaving: z.boolean().default(false),
  payment: paymentTerms.default({ settlement: 'ledger', contract: null, creditLimit: '0' }),
});

/**
 * What a farmer offers: free space in bytes, the largest shard and the longest contract it takes,
 * its prices (see {@link ContractTerms}), who operates it (farmers of one
 * operator fail together), whether it is leaving and wants its shards taken over, and how it is paid.
 * Unknown fields are dropped, so that later versions may say more.
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
