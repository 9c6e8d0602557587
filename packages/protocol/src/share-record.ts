import { type Identity, concatBytes, sha256, utf8 } from '@granary/kad';
import { z } from 'zod';
import { ProtocolError } from './errors.js';
import { hash32, parseWith, publicKeyHex, signatureHex } from './fields.js';
import { fromHex, toHex } from './hex.js';
import { sealedFields, sealedText } from './sealed-record.js';
import { checkDocument, signDocument } from './signed.js';

/** The signed RPC that gives a farmer a page of a share. */
export const PUT_SHARE_METHOD = 'PUT_SHARE';
/** The signed RPC that asks for one. */
export const GET_SHARE_METHOD = 'GET_SHARE';
/** The most pages of one share. */
export const MAX_SHARE_PAGES = 64;

const page = z
  .number()
  .int()
  .min(0)
  .max(MAX_SHARE_PAGES - 1);
const bodySchema = z.strictObject({
  share: hash32,
  shareKey: publicKeyHex,
  page,
  ...sealedFields,
});
const recordSchema = z.strictObject({ body: bodySchema, signature: signatureHex });

/**
 * One page of what a share link leads to: sealed under the link's secret, signed by a key that only
 * the one who shares has, numbered. Farmers near {@link shareKeyOf} keep it, the highest number winning.
 */
export type ShareRecord = z.infer<typeof recordSchema>;

const querySchema = z.strictObject({ share: hash32, page });
/** Which page is asked for. */
export type ShareQuery = z.infer<typeof querySchema>;

const LABEL = 'share record';

/** The place in the DHT near which a page of a share is kept. */
export function shareKeyOf(share: string, pageNumber: number): string {
  const place = concatBytes(
    utf8('granary/1 share\0'),
    fromHex(share),
    Uint8Array.of(pageNumber & 0xff),
  );
  return toHex(sha256(place));
}

/** Sign a page as the share's owner. @throws ProtocolError PROTOCOL_TOO_LARGE. */
export function signShareRecord(
  owner: Identity,
  pageNumber: number,
  sequence: number,
  sealed: Uint8Array,
): ShareRecord {
  const body = {
    share: owner.nodeId,
    shareKey: toHex(owner.publicKey),
    page: pageNumber,
    sequence,
    sealed: sealedText(sealed, LABEL),
  };
  return { body, signature: signDocument(owner, LABEL, body) };
}

/**
 * Parse a page and check its owner's signature.
 *
 * @param expected - which page of which share it must be, when that is known
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_BAD_SIGNATURE.
 */
export function parseShareRecord(value: unknown, expected?: ShareQuery): ShareRecord {
  const record = parseWith(recordSchema, value, LABEL);
  const { body } = record;
  if (expected !== undefined && (body.share !== expected.share || body.page !== expected.page)) {
    throw new ProtocolError('PROTOCOL_BAD_SIGNATURE', `${LABEL}: it is of another share or page`);
  }
  checkDocument(LABEL, body, { nodeId: body.share, publicKey: body.shareKey }, record.signature);
  return record;
}

/** Parse a question for a page. @throws ProtocolError PROTOCOL_MALFORMED. */
export function parseShareQuery(value: unknown): ShareQuery {
  return parseWith(querySchema, value, 'share query');
}
