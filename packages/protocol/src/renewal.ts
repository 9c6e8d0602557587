import type { Identity } from '@granary/kad';
import { z } from 'zod';
import { type Contract, contractHash } from './contract.js';
import { ProtocolError } from './errors.js';
import { amount, hash32, parseWith, signatureHex, timestamp } from './fields.js';
import { checkDocument, signDocument } from './signed.js';

/** The signed RPC by which a renter renews a contract. */
export const RENEW_METHOD = 'RENEW';

const bodySchema = z.strictObject({
  contract: hash32,
  previousEnd: timestamp,
  end: timestamp,
  storagePrice: amount,
  egressPrice: amount,
});
const proposalSchema = z.strictObject({ body: bodySchema, renterSignature: signatureHex });
const renewalSchema = z.strictObject({
  body: bodySchema,
  renterSignature: signatureHex,
  farmerSignature: signatureHex,
});

/** A renewal that the renter has signed. */
export type RenewalProposal = z.infer<typeof proposalSchema>;
/**
 * An amendment to a contract that both have signed: it runs from `previousEnd` to `end` at these
 * prices; everything else stays, its name (the contract hash) too.
 */
export type Renewal = z.infer<typeof renewalSchema>;

const LABEL = 'contract renewal';

/** Sign a renewal as the renter. */
export function proposeRenewal(renter: Identity, body: Renewal['body']): RenewalProposal {
  return { body, renterSignature: signDocument(renter, LABEL, body) };
}

/** Countersign a renewal as the farmer. The caller has checked it. */
export function acceptRenewal(farmer: Identity, proposal: RenewalProposal): Renewal {
  return { ...proposal, farmerSignature: signDocument(farmer, LABEL, proposal.body) };
}

/**
 * Parse a renter's proposal to renew a contract and check its signature.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseRenewalProposal(value: unknown, { terms }: Contract): RenewalProposal {
  const proposal = parseWith(proposalSchema, value, LABEL);
  const { body } = proposal;
  if (body.contract !== contractHash(terms)) {
    throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', `${LABEL}: it is about another contract`);
  }
  if (body.end <= body.previousEnd) {
    throw new ProtocolError('PROTOCOL_MALFORMED', `${LABEL}: it ends before it begins`);
  }
  const renter = { nodeId: terms.renter, publicKey: terms.renterKey };
  checkDocument(LABEL, body, renter, proposal.renterSignature);
  return proposal;
}

/** Which contract a proposal to renew is about. @throws ProtocolError PROTOCOL_MALFORMED. */
export function renewedContract(value: unknown): string {
  return parseWith(proposalSchema, value, LABEL).body.contract;
}

/**
 * Parse a renewal and check both signatures.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseRenewal(value: unknown, contract: Contract): Renewal {
  const { body, renterSignature, farmerSignature } = parseWith(renewalSchema, value, LABEL);
  const proposal = parseRenewalProposal({ body, renterSignature }, contract);
  const { farmer, farmerKey } = contract.terms;
  checkDocument(LABEL, body, { nodeId: farmer, publicKey: farmerKey }, farmerSignature);
  return { ...proposal, farmerSignature };
}
