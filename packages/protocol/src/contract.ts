import type { Identity } from '@granary/kad';
import { z } from 'zod';
import { MAX_AUDITS } from './audit-tree.js';
import { documentDigest } from './canonical.js';
import { ProtocolError } from './errors.js';
import {
  amount,
  byteCount,
  hash32,
  parseWith,
  publicKeyHex,
  signatureHex,
  timestamp,
} from './fields.js';
import { toHex } from './hex.js';
import { checkDocument, signDocument } from './signed.js';

/** The largest shard a contract may be about: a whole segment of 64 MiB when k = 1. */
export const MAX_SHARD_SIZE = 64 * 1024 * 1024;

const termsSchema = z.strictObject({
  version: z.union([z.literal(1), z.literal(2)]),
  renter: hash32,
  renterKey: publicKeyHex,
  farmer: hash32,
  farmerKey: publicKeyHex,
  shardHash: hash32,
  shardSize: byteCount.max(MAX_SHARD_SIZE),
  begin: timestamp,
  end: timestamp,
  currency: z.string().min(1).max(64),
  storagePrice: amount,
  egressPrice: amount,
  auditRoot: hash32.nullable(),
  auditCount: z.number().int().min(0).max(MAX_AUDITS),
  channel: z.string().max(128).nullable(),
});

/**
 * What renter and farmer agree on (design, section 6): this shard, this long, this price, these
 * audits. Prices are integers in the smallest unit of `currency`, `storagePrice` per GB-month and
 * `egressPrice` per GB (10^9 bytes; a month is 30 days). `begin` and `end` are milliseconds since
 * the epoch. `version` says how precomputed challenges are answered: 2 by {@link auditAnswer}, 1 by
 * SHA-256 of the challenge and the shard, as in contracts made before (decision 0034).
 */
export type ContractTerms = z.infer<typeof termsSchema>;

const proposalSchema = z.strictObject({ terms: termsSchema, renterSignature: signatureHex });
/** Terms that the renter has signed and the farmer has not yet. */
export type ContractProposal = z.infer<typeof proposalSchema>;

const contractSchema = z.strictObject({
  terms: termsSchema,
  renterSignature: signatureHex,
  farmerSignature: signatureHex,
});
/** A contract in force: terms and both signatures. */
export type Contract = z.infer<typeof contractSchema>;

const LABEL = 'contract';

/** The name of a contract everywhere: the hash of its terms, in hex. */
export function contractHash(terms: ContractTerms): string {
  return toHex(documentDigest(LABEL, terms));
}

/** Sign terms as the renter. */
export function proposeContract(renter: Identity, terms: ContractTerms): ContractProposal {
  return { terms, renterSignature: signDocument(renter, LABEL, terms) };
}

/** Countersign a proposal as the farmer. The caller has checked it. */
export function acceptContract(farmer: Identity, proposal: ContractProposal): Contract {
  return { ...proposal, farmerSignature: signDocument(farmer, LABEL, proposal.terms) };
}

function checkTerms(terms: ContractTerms): void {
  if (terms.end <= terms.begin) {
    throw new ProtocolError('PROTOCOL_MALFORMED', 'contract: it ends before it begins');
  }
  if ((terms.auditRoot === null) !== (terms.auditCount === 0)) {
    throw new ProtocolError(
      'PROTOCOL_MALFORMED',
      'contract: an audit root and a number of audits go together',
    );
  }
}

/**
 * Parse a renter's proposal and check its signature.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseProposal(value: unknown): ContractProposal {
  const proposal = parseWith(proposalSchema, value, 'contract proposal');
  checkTerms(proposal.terms);
  const { renter, renterKey } = proposal.terms;
  checkDocument(
    LABEL,
    proposal.terms,
    { nodeId: renter, publicKey: renterKey },
    proposal.renterSignature,
  );
  return proposal;
}

/** Check the farmer's signature that completes a proposal, and return the contract. */
export function completeContract(proposal: ContractProposal, farmerSignature: string): Contract {
  const { farmer, farmerKey } = proposal.terms;
  const signature = parseWith(signatureHex, farmerSignature, 'farmer signature');
  checkDocument(LABEL, proposal.terms, { nodeId: farmer, publicKey: farmerKey }, signature);
  return { ...proposal, farmerSignature: signature };
}

/**
 * Parse a contract and check both signatures.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseContract(value: unknown): Contract {
  const { terms, renterSignature, farmerSignature } = parseWith(contractSchema, value, 'contract');
  return completeContract(parseProposal({ terms, renterSignature }), farmerSignature);
}
