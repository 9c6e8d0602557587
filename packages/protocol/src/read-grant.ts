import type { Identity } from '@granary/kad';
import { z } from 'zod';
import type { ContractTerms } from './contract.js';
import { ProtocolError } from './errors.js';
import { byteCount, hash32, parseWith, publicKeyHex, signatureHex, timestamp } from './fields.js';
import { toHex } from './hex.js';
import { checkDocument, signDocument } from './signed.js';

/** The longest that a grant may be good for from the time that it is used, in milliseconds. */
export const MAX_GRANT_LIFETIME = 400 * 24 * 3600 * 1000;
/** The signed RPC by which a renter takes back what it has granted a reader. */
export const REVOKE_READER_METHOD = 'REVOKE_READER';

const bodySchema = z.strictObject({
  contract: hash32,
  reader: hash32,
  readerKey: publicKeyHex,
  expires: timestamp,
  limit: byteCount,
});
const grantSchema = z.strictObject({ body: bodySchema, renterSignature: signatureHex });

/**
 * A renter's signed leave for another key to read the shard of one contract, and nothing else, until
 * `expires` (milliseconds since the epoch), up to `limit` bytes in all. The renter pays for what the
 * reader signs for.
 */
export type ReadGrant = z.infer<typeof grantSchema>;
/** What a {@link ReadGrant} says. */
export type ReadGrantBody = z.infer<typeof bodySchema>;

const LABEL = 'read grant';

/** Sign a grant as the contract's renter. */
export function signReadGrant(renter: Identity, body: ReadGrantBody): ReadGrant {
  return { body, renterSignature: signDocument(renter, LABEL, body) };
}

/**
 * Parse a grant and check that the contract's renter signed it, for whom, for what and until when.
 * Whether it was taken back, and how much of it was used, is for the caller to check.
 *
 * @param expected - the contract's renter, the contract's name, who wants to read; `now` in
 * milliseconds since the epoch, not given where it does not matter any more when it ends
 * @throws ProtocolError PROTOCOL_MALFORMED, PROTOCOL_BAD_SIGNATURE or PROTOCOL_EXPIRED.
 */
export function parseReadGrant(
  value: unknown,
  expected: {
    renter: Pick<ContractTerms, 'renter' | 'renterKey'>;
    contract: string;
    reader?: string;
    now?: number;
  },
): ReadGrant {
  const grant = parseWith(grantSchema, value, LABEL);
  const { body } = grant;
  if (body.contract !== expected.contract) {
    throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', `${LABEL}: it is for another contract`);
  }
  if (expected.reader !== undefined && body.reader !== expected.reader) {
    throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', `${LABEL}: it is for another reader`);
  }
  const { renter, renterKey } = expected.renter;
  checkDocument(LABEL, body, { nodeId: renter, publicKey: renterKey }, grant.renterSignature);
  if (expected.now !== undefined) {
    if (body.expires <= expected.now) {
      throw new ProtocolError('PROTOCOL_EXPIRED', `${LABEL}: it has expired`);
    }
    if (body.expires > expected.now + MAX_GRANT_LIFETIME) {
      throw new ProtocolError('PROTOCOL_EXPIRED', `${LABEL}: it is good for too long`);
    }
  }
  return grant;
}

/** Who reads under a grant, as its body names it. */
export function readerOf(reader: Identity): Pick<ReadGrantBody, 'reader' | 'readerKey'> {
  return { reader: reader.nodeId, readerKey: toHex(reader.publicKey) };
}

const revocationSchema = z.strictObject({ reader: hash32, until: timestamp });
/** Takes back every grant of the sender for a reader; to be remembered until the last of them ends. */
export type ReaderRevocation = z.infer<typeof revocationSchema>;

/** Parse the parameters of {@link REVOKE_READER_METHOD}. @throws ProtocolError PROTOCOL_MALFORMED. */
export function parseRevocation(value: unknown): ReaderRevocation {
  return parseWith(revocationSchema, value, 'revocation');
}
