import type { Identity } from '@granary/kad';
import { z } from 'zod';
import { ProtocolError } from './errors.js';
import { amount, hash32, parseWith, signatureHex, timestamp } from './fields.js';
import { checkDocument, signDocument } from './signed.js';
import type { Voucher } from './voucher.js';

/** The signed RPC by which a renter asks a farmer what it claims, and for what both have signed. */
export const ACCOUNT_METHOD = 'ACCOUNT';
/** The signed RPC by which a renter hands a farmer a voucher. */
export const PAY_METHOD = 'PAY';
/** The signed RPC by which a renter asks a farmer to sign a statement of account. */
export const STATEMENT_METHOD = 'STATEMENT';
/** The most receipts in one answer to {@link ACCOUNT_METHOD}. */
export const RECEIPT_PAGE = 64;

/** An amount in the fine parts that accounts are kept in: up to 38 more digits than a unit has. */
const fineAmount = z.string().regex(/^(0|[1-9][0-9]{0,76})$/, 'must be a decimal integer');
const currency = z.string().min(1).max(64);

const claimBodySchema = z.strictObject({
  renter: hash32,
  farmer: hash32,
  currency,
  storage: fineAmount,
  egress: fineAmount,
  tunnel: fineAmount,
  claimed: amount,
  promised: amount,
  settled: amount,
  unproved: fineAmount,
  unaudited: fineAmount,
  audited: timestamp,
  creditLimit: amount,
  time: timestamp,
});
const claimSchema = z.strictObject({ body: claimBodySchema, farmerSignature: signatureHex });
/**
 * What a farmer claims of a renter since they met, under its signature. `storage`, `egress` and
 * `tunnel` in fine parts of a unit (see the payments package), `claimed` their sum in whole units,
 * rounded down. `promised` is what it holds vouchers for and `settled` what it has been paid of
 * that. `unproved` and `unaudited` are not claimed: bytes sent without a countersigned receipt, and
 * storage since the last audit; they count against the credit limit.
 */
export type PaymentClaim = z.infer<typeof claimSchema>;
/** What a {@link PaymentClaim} says. */
export type PaymentClaimBody = z.infer<typeof claimBodySchema>;

const CLAIM = 'payment claim';

/** Sign a claim as the farmer. */
export function signClaim(farmer: Identity, body: PaymentClaimBody): PaymentClaim {
  return { body, farmerSignature: signDocument(farmer, CLAIM, body) };
}

/**
 * Parse a claim, check who signed it and of whom it claims.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseClaim(
  value: unknown,
  expected: { renter: string; farmer: string; farmerKey: string; currency: string },
): PaymentClaim {
  const claim = parseWith(claimSchema, value, CLAIM);
  const { body } = claim;
  const { renter, farmer, currency: unit } = expected;
  if (body.renter !== renter || body.farmer !== farmer || body.currency !== unit) {
    throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', `${CLAIM}: it is about another account`);
  }
  const signer = { nodeId: farmer, publicKey: expected.farmerKey };
  checkDocument(CLAIM, body, signer, claim.farmerSignature);
  return claim;
}

const accountRequestSchema = z.strictObject({
  currency,
  after: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  signed: z.array(z.strictObject({ body: z.unknown(), signature: signatureHex })).max(RECEIPT_PAGE),
  tunnels: z.string().max(32).optional(),
});
/**
 * Asks for a claim, and for the receipts after the one with number `after`. `signed` are receipts for
 * downloads that broke off: the renter's own count of their bytes, with its signature. With `tunnels`,
 * asks for receipts of tunnel sessions whose names come after it, too.
 */
export type AccountRequest = z.infer<typeof accountRequestSchema>;

/** Parse the parameters of {@link ACCOUNT_METHOD}. @throws ProtocolError PROTOCOL_MALFORMED. */
export function parseAccountRequest(value: unknown): AccountRequest {
  return parseWith(accountRequestSchema, value, 'account request');
}

const accountAnswerSchema = z.object({
  claim: z.unknown(),
  receipts: z
    .array(
      z.strictObject({
        number: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
        receipt: z.unknown(),
        renterSignature: signatureHex,
      }),
    )
    .max(RECEIPT_PAGE),
  pending: z.array(z.unknown()).max(RECEIPT_PAGE),
  shared: z
    .array(z.strictObject({ body: z.unknown(), grant: z.unknown(), readerSignature: signatureHex }))
    .max(RECEIPT_PAGE)
    .optional(),
  vouchers: z
    .array(z.strictObject({ channel: z.string().min(1).max(256), voucher: z.unknown() }))
    .max(RECEIPT_PAGE),
  tunnels: z.array(z.unknown()).max(RECEIPT_PAGE).optional(),
});
/**
 * A farmer's answer: its claim; in order of their numbers, receipts that both have signed; bodies of
 * receipts for downloads that broke off before the renter could sign; `shared`, what readers have signed
 * for that the renter has granted the shards to, with the grants; and the highest voucher of every
 * channel, with the channel's description, and, where it was asked for them, the last receipts of tunnel
 * sessions, for a renter that has lost its book.
 */
export type AccountAnswer = z.infer<typeof accountAnswerSchema>;

/** Parse an answer to {@link ACCOUNT_METHOD}. @throws ProtocolError PROTOCOL_MALFORMED. */
export function parseAccountAnswer(value: unknown): AccountAnswer {
  return parseWith(accountAnswerSchema, value, 'account answer');
}

const payRequestSchema = z.strictObject({
  currency,
  channel: z.string().min(1).max(256),
  voucher: z.unknown(),
});
/** A voucher, and a description of its channel that its settlement understands. */
export type PayRequest = Omit<z.infer<typeof payRequestSchema>, 'voucher'> & { voucher: unknown };

/** Parse the parameters of {@link PAY_METHOD}. @throws ProtocolError PROTOCOL_MALFORMED. */
export function parsePayRequest(value: unknown): PayRequest {
  return parseWith(payRequestSchema, value, 'payment');
}

const statementBodySchema = z.strictObject({
  renter: hash32,
  farmer: hash32,
  currency,
  promised: amount,
  settled: amount,
  time: timestamp,
});
/**
 * A statement of account: what the renter has promised in vouchers since they met and what of it has
 * been settled, in whole units, at a time.
 */
export type StatementBody = z.infer<typeof statementBodySchema>;

const proposalSchema = z.strictObject({ body: statementBodySchema, renterSignature: signatureHex });
const statementSchema = z.strictObject({
  body: statementBodySchema,
  renterSignature: signatureHex,
  farmerSignature: signatureHex,
});
/** A statement that the renter has signed. */
export type StatementProposal = z.infer<typeof proposalSchema>;
/** A statement that both have signed. */
export type Statement = z.infer<typeof statementSchema>;

const STATEMENT = 'statement of account';

/** Sign a statement as the renter. */
export function proposeStatement(renter: Identity, body: StatementBody): StatementProposal {
  return { body, renterSignature: signDocument(renter, STATEMENT, body) };
}

/** Countersign a statement as the farmer. The caller has checked it. */
export function acceptStatement(farmer: Identity, proposal: StatementProposal): Statement {
  return { ...proposal, farmerSignature: signDocument(farmer, STATEMENT, proposal.body) };
}

/**
 * Parse a renter's statement and check its signature.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseStatementProposal(value: unknown, renterKey: string): StatementProposal {
  const proposal = parseWith(proposalSchema, value, STATEMENT);
  const signer = { nodeId: proposal.body.renter, publicKey: renterKey };
  checkDocument(STATEMENT, proposal.body, signer, proposal.renterSignature);
  return proposal;
}

/**
 * Parse a statement and check both signatures.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseStatement(
  value: unknown,
  keys: { renterKey: string; farmerKey: string },
): Statement {
  const { body, renterSignature, farmerSignature } = parseWith(statementSchema, value, STATEMENT);
  const proposal = parseStatementProposal({ body, renterSignature }, keys.renterKey);
  const signer = { nodeId: body.farmer, publicKey: keys.farmerKey };
  checkDocument(STATEMENT, body, signer, farmerSignature);
  return { ...proposal, farmerSignature };
}

/** What a voucher travels in. */
export function payRequest(currencyName: string, channel: string, voucher: Voucher): PayRequest {
  return { currency: currencyName, channel, voucher };
}
