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

const receiptSchema = z.strictObject({ body: bodySchema, clientSignature: signatureHex });
/** A tunnel's receipt as its client, who pays, has signed it. */
export type TunnelReceipt = z.infer<typeof receiptSchema>;

const LABEL = 'tunnel receipt';

/** Sign a receipt as the client. */
export function signTunnelReceipt(client: Identity, body: TunnelReceiptBody): TunnelReceipt {
  return { body, clientSignature: signDocument(client, LABEL, body) };
}

/**
 * Parse a receipt and check that the client signed it for this tunnel.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseTunnelReceipt(
  value: unknown,
  expected: { tunnel: string; client: string; clientKey: string },
): TunnelReceipt {
  const receipt = parseWith(receiptSchema, value, LABEL);
  const { body } = receipt;
  if (body.tunnel !== expected.tunnel || body.client !== expected.client) {
    throw new ProtocolError(
      'PROTOCOL_BAD_SIGNATURE',
      `${LABEL}: it is of another tunnel or client`,
    );
  }
  const signer = { nodeId: expected.client, publicKey: expected.clientKey };
  checkDocument(LABEL, body, signer, receipt.clientSignature);
  return receipt;
}
