import { z } from 'zod';
import { type Contract, contractHash, parseContract } from './contract.js';
import { ProtocolError } from './errors.js';
import { parseWith } from './fields.js';
import { type Renewal, parseRenewal } from './renewal.js';

/** The signed RPC by which a renter asks for its contracts with a farmer. */
export const LIST_CONTRACTS_METHOD = 'LIST_CONTRACTS';
/** The most contracts in one answer: they have to fit a message. */
export const LIST_PAGE = 64;

const querySchema = z.strictObject({ after: z.string().regex(/^([0-9a-f]{64})?$/) });
const answerSchema = z.strictObject({
  contracts: z
    .array(
      z.strictObject({
        state: z.enum(['reserved', 'stored']),
        contract: z.unknown(),
        renewal: z.unknown(),
      }),
    )
    .max(LIST_PAGE),
  more: z.boolean(),
});

/** One contract of a listing, checked. */
export interface ListedContract {
  readonly hash: string;
  /** `reserved` when the shard is not complete there. */
  readonly state: 'reserved' | 'stored';
  readonly contract: Contract;
  readonly renewal: Renewal | null;
}

/** Parse a question for contracts: those whose hash follows `after`. @throws ProtocolError. */
export function parseListQuery(value: unknown): { after: string } {
  return parseWith(querySchema, value, 'contract query');
}

/**
 * Parse a farmer's listing and check every contract: both signatures, the renter, the farmer, and
 * that the list goes up, so that reading it comes to an end.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseContractListing(
  value: unknown,
  expected: { renter: string; farmer: string; after: string },
): { contracts: ListedContract[]; more: boolean } {
  const { contracts, more } = parseWith(answerSchema, value, 'contract listing');
  let last = expected.after;
  const checked = contracts.map(({ state, contract: document, renewal }) => {
    const contract = parseContract(document);
    const hash = contractHash(contract.terms);
    const { renter, farmer } = contract.terms;
    if (renter !== expected.renter || farmer !== expected.farmer || hash <= last) {
      throw new ProtocolError('PROTOCOL_MALFORMED', 'contract listing: a contract does not belong');
    }
    last = hash;
    return {
      hash,
      state,
      contract,
      renewal: renewal === null ? null : parseRenewal(renewal, contract),
    };
  });
  if (more && checked.length === 0) {
    throw new ProtocolError('PROTOCOL_MALFORMED', 'contract listing: an empty page promises more');
  }
  return { contracts: checked, more };
}
