import type { Identity } from '@granary/kad';
import { z } from 'zod';
import { ProtocolError } from './errors.js';
import {
  byteCount,
  hash32,
  nonce16,
  parseWith,
  publicKeyHex,
  signatureHex,
  timestamp,
} from './fields.js';
import { checkDocument, signDocument } from './signed.js';

/** The longest a token may be valid, in milliseconds. Bounds how long a farmer keeps nonces. */
export const MAX_TOKEN_LIFETIME = 60 * 60 * 1000;

/** What a token lets its bearer do with one shard. */
export const transferDirection = z.enum(['upload', 'download', 'delete']);
/** See {@link transferDirection}. */
export type TransferDirection = z.infer<typeof transferDirection>;

const tokenBodySchema = z.strictObject({
  contract: hash32,
  renter: hash32,
  renterKey: publicKeyHex,
  farmer: hash32,
  direction: transferDirection,
  offset: byteCount,
  length: byteCount,
  expires: timestamp,
  nonce: nonce16,
});
/** The signed part of a token. `offset` and `length` are bytes of the shard. */
export type TransferTokenBody = z.infer<typeof tokenBodySchema>;

const tokenSchema = z.strictObject({ body: tokenBodySchema, signature: signatureHex });
/** The renter's signed leave for one transfer; the first frame of every transfer carries one. */
export type TransferToken = z.infer<typeof tokenSchema>;

const LABEL = 'transfer token';

/** Sign a token as the renter. */
export function signToken(renter: Identity, body: TransferTokenBody): TransferToken {
  return { body, signature: signDocument(renter, LABEL, body) };
}

/**
 * Parse a token and check who signed it, for whom, for what and until when. Whether its nonce was
 * seen before is for the caller to check.
 *
 * @param now - milliseconds since the epoch
 * @throws ProtocolError PROTOCOL_MALFORMED, PROTOCOL_BAD_SIGNATURE or PROTOCOL_EXPIRED.
 */
export function parseToken(
  value: unknown,
  expected: { farmer: string; direction: TransferDirection; now: number },
): TransferToken {
  const token = parseWith(tokenSchema, value, 'transfer token');
  const { body } = token;
  if (body.farmer !== expected.farmer) {
    throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', 'transfer token: it is for another farmer');
  }
  if (body.direction !== expected.direction) {
    throw new ProtocolError(
      'PROTOCOL_BAD_SIGNATURE',
      `transfer token: it is for ${body.direction}, not ${expected.direction}`,
    );
  }
  if (body.expires <= expected.now) {
    throw new ProtocolError('PROTOCOL_EXPIRED', 'transfer token: it has expired');
  }
  if (body.expires > expected.now + 2 * MAX_TOKEN_LIFETIME) {
    throw new ProtocolError('PROTOCOL_EXPIRED', 'transfer token: it is valid for too long');
  }
  checkDocument(LABEL, body, { nodeId: body.renter, publicKey: body.renterKey }, token.signature);
  return token;
}
