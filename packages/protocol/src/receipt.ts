import type { Identity } from '@granary/kad';
import { z } from 'zod';
import { ProtocolError } from './errors.js';
import { byteCount, hash32, nonce16, parseWith, signatureHex, timestamp } from './fields.js';
import { checkDocument, signDocument } from './signed.js';
import { transferDirection } from './token.js';

const receiptBodySchema = z.strictObject({
  contract: hash32,
  direction: transferDirection,
  bytes: byteCount,
  token: nonce16,
  time: timestamp,
});
/**
 * What one transfer did. For an upload `bytes` is what the farmer took in this transfer and the
 * receipt says that the whole shard is verified and fsynced; for a download what it sent; for a
 * delete the bytes freed, and the receipt says that the shard is gone. `token` is the nonce of the
 * token that allowed it.
 */
export type ReceiptBody = z.infer<typeof receiptBodySchema>;

const receiptSchema = z.strictObject({ body: receiptBodySchema, farmerSignature: signatureHex });
/** A receipt as the farmer signs it; the renter signs the same body in return. */
export type Receipt = z.infer<typeof receiptSchema>;

const LABEL = 'transfer receipt';

/** Sign a receipt as the farmer. */
export function signReceipt(farmer: Identity, body: ReceiptBody): Receipt {
  return { body, farmerSignature: signDocument(farmer, LABEL, body) };
}

/** Countersign a receipt as the renter; the signature in hex. */
export function countersignReceipt(renter: Identity, receipt: Receipt): string {
  return signDocument(renter, LABEL, receipt.body);
}

/** Parse what a receipt says, without anybody's signature. @throws ProtocolError PROTOCOL_MALFORMED. */
export function parseReceiptBody(value: unknown): ReceiptBody {
  return parseWith(receiptBodySchema, value, LABEL);
}

/** Sign what a receipt says as the renter, before its farmer has; the signature in hex. */
export function signReceiptBody(renter: Identity, body: ReceiptBody): string {
  return signDocument(renter, LABEL, body);
}

/**
 * Parse a receipt and check that the farmer signed it, whatever transfer it is of.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseAnyReceipt(
  value: unknown,
  farmer: { nodeId: string; publicKey: string },
): Receipt {
  const receipt = parseWith(receiptSchema, value, LABEL);
  checkDocument(LABEL, receipt.body, farmer, receipt.farmerSignature);
  return receipt;
}

/**
 * Check a renter's countersignature.
 *
 * @throws ProtocolError PROTOCOL_BAD_SIGNATURE.
 */
export function checkCountersignature(
  receipt: Receipt,
  renter: { nodeId: string; publicKey: string },
  signature: string,
): void {
  checkDocument(LABEL, receipt.body, renter, parseWith(signatureHex, signature, LABEL));
}

/**
 * Parse a receipt, check that the farmer signed it and that it is about the expected transfer.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseReceipt(
  value: unknown,
  farmer: { nodeId: string; publicKey: string },
  expected: { contract: string; direction: ReceiptBody['direction']; token: string },
): Receipt {
  const receipt = parseWith(receiptSchema, value, LABEL);
  const { body } = receipt;
  if (
    body.contract !== expected.contract ||
    body.direction !== expected.direction ||
    body.token !== expected.token
  ) {
    throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', `${LABEL}: it is about another transfer`);
  }
  checkDocument(LABEL, body, farmer, receipt.farmerSignature);
  return receipt;
}
