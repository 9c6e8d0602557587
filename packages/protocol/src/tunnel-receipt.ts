import type { Identity } from '@granary/kad';
import { z } from 'zod';
import { ProtocolError } from './errors.js';
import {
  amount,
  byteCount,
  hash32,
  nonce16,
  parseWith,
  signatureHex,
  timestamp,
} from './fields.js';
import { checkDocument, signDocument } from './signed.js';

const bodySchema = z.strictObject({
  tunnel: hash32,
  client: hash32,
  session: nonce16,
  bytes: byteCount,
  currency: z.string().min(1).max(64),
  price: amount,
  time: timestamp,
});
/**
 * What a tunnel has carried for a client in one session, both ways, since the session began: a
 * cumulative count, so that the last receipt says everything and a lost one does no harm. `price`
 * per GB, in the smallest unit of `currency`; it may not change within a session.
 */
export type TunnelReceiptBody = z.infer<typeof bodySchema>;

const billSchema = z.strictObject({ body: bodySchema, tunnelSignature: signatureHex });
/** What a tunnel says that it has carried, under its signature. Nothing is owed by it. */
export type TunnelBill = z.infer<typeof billSchema>;

const signedSchema = z.strictObject({ body: bodySchema, clientSignature: signatureHex });
/** What a client, who pays, has signed for: its own count, no more than it was billed. */
export type SignedTunnelReceipt = z.infer<typeof signedSchema>;

const receiptSchema = z.strictObject({
  body: bodySchema,
  clientSignature: signatureHex,
  tunnelSignature: signatureHex,
});
/** A receipt that both have signed. */
export type TunnelReceipt = z.infer<typeof receiptSchema>;

/** The two sides of a tunnel, and their compressed public keys (66 hex digits). */
export interface TunnelParties {
  readonly tunnel: string;
  readonly tunnelKey: string;
  readonly client: string;
  readonly clientKey: string;
}

const BILL = 'tunnel bill';
const RECEIPT = 'tunnel receipt';

/** Sign a bill as the tunnel. */
export function signTunnelBill(tunnel: Identity, body: TunnelReceiptBody): TunnelBill {
  return { body, tunnelSignature: signDocument(tunnel, BILL, body) };
}

/**
 * Parse a bill and check that the tunnel signed it for this client.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseTunnelBill(
  value: unknown,
  parties: Omit<TunnelParties, 'clientKey'>,
): TunnelBill {
  const bill = parseWith(billSchema, value, BILL);
  checkParties(BILL, bill.body, parties);
  const signer = { nodeId: parties.tunnel, publicKey: parties.tunnelKey };
  checkDocument(BILL, bill.body, signer, bill.tunnelSignature);
  return bill;
}

/** Sign for what was carried, as the client. */
export function signTunnelReceipt(client: Identity, body: TunnelReceiptBody): SignedTunnelReceipt {
  return { body, clientSignature: signDocument(client, RECEIPT, body) };
}

/**
 * Parse what a client has signed and check that it did so for this tunnel.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseSignedTunnelReceipt(
  value: unknown,
  parties: Omit<TunnelParties, 'tunnelKey'>,
): SignedTunnelReceipt {
  const receipt = parseWith(signedSchema, value, RECEIPT);
  checkParties(RECEIPT, receipt.body, parties);
  const signer = { nodeId: parties.client, publicKey: parties.clientKey };
  checkDocument(RECEIPT, receipt.body, signer, receipt.clientSignature);
  return receipt;
}

/** Countersign a receipt as the tunnel. The caller has checked it. */
export function countersignTunnelReceipt(
  tunnel: Identity,
  receipt: SignedTunnelReceipt,
): TunnelReceipt {
  return { ...receipt, tunnelSignature: signDocument(tunnel, RECEIPT, receipt.body) };
}

/**
 * Parse a receipt and check both signatures.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseTunnelReceipt(value: unknown, parties: TunnelParties): TunnelReceipt {
  const receipt = parseWith(receiptSchema, value, RECEIPT);
  const { body, clientSignature, tunnelSignature } = receipt;
  parseSignedTunnelReceipt({ body, clientSignature }, parties);
  const signer = { nodeId: parties.tunnel, publicKey: parties.tunnelKey };
  checkDocument(RECEIPT, body, signer, tunnelSignature);
  return receipt;
}

function checkParties(
  label: string,
  { tunnel, client }: TunnelReceiptBody,
  parties: { tunnel: string; client: string },
): void {
  if (tunnel === parties.tunnel && client === parties.client) return;
  throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', `${label}: it is of another tunnel or client`);
}
