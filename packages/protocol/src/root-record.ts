import { type Identity, concatBytes, sha256, utf8 } from '@granary/kad';
import { z } from 'zod';
import { ProtocolError } from './errors.js';
import { hash32, parseWith, publicKeyHex, signatureHex } from './fields.js';
import { fromHex, toHex } from './hex.js';
import { sealedFields, sealedText } from './sealed-record.js';
import { checkDocument, signDocument } from './signed.js';

/** The signed RPC that gives a farmer a renter's root record. */
export const PUT_ROOT_METHOD = 'PUT_ROOT';
/** The signed RPC that asks for it. */
export const GET_ROOT_METHOD = 'GET_ROOT';

const bodySchema = z.strictObject({
  renter: hash32,
  renterKey: publicKeyHex,
  ...sealedFields,
});
const recordSchema = z.strictObject({ body: bodySchema, signature: signatureHex });

/**
 * Where a renter's index begins: a sealed, signed, numbered record that farmers near
 * {@link rootKeyOf} keep, one for each renter, the highest number winning. With the keys alone it
 * leads to everything the renter has stored.
 */
export type RootRecord = z.infer<typeof recordSchema>;

const LABEL = 'root record';

/** The place in the DHT near which a renter's root record is kept. */
export function rootKeyOf(renter: string): string {
  return toHex(sha256(concatBytes(utf8('granary/1 root\0'), fromHex(renter))));
}

/** Sign a root record. @throws ProtocolError PROTOCOL_TOO_LARGE. */
export function signRootRecord(renter: Identity, sequence: number, sealed: Uint8Array): RootRecord {
  const body = {
    renter: renter.nodeId,
    renterKey: toHex(renter.publicKey),
    sequence,
    sealed: sealedText(sealed, LABEL),
  };
  return { body, signature: signDocument(renter, LABEL, body) };
}

/**
 * Parse a root record and check the renter's signature.
 *
 * @param renter - whose it must be, when that is known
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseRootRecord(value: unknown, renter?: string): RootRecord {
  const record = parseWith(recordSchema, value, LABEL);
  const { body } = record;
  if (renter !== undefined && body.renter !== renter) {
    throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', `${LABEL}: it is of another renter`);
  }
  checkDocument(LABEL, body, { nodeId: body.renter, publicKey: body.renterKey }, record.signature);
  return record;
}
