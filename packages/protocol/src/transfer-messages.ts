import { z } from 'zod';
import { MAX_AUDITS } from './audit-tree.js';
import { ProtocolError } from './errors.js';
import { byteCount, hash32, parseWith, signatureHex } from './fields.js';

/** The WebSocket subprotocol of transfers. */
export const TRANSFER_SUBPROTOCOL = 'granary-transfer-1';
/**
 * The subprotocol of transfers where TLS does not say who is there, as for browsers: before anything else,
 * both sides prove who they are in three binary messages (docs/decisions/0009, with the purpose `transfer`).
 */
export const TRANSFER_PROVED_SUBPROTOCOL = 'granary-transfer-1-proved';
/** The path of the farmer's WebSocket end point. */
export const TRANSFER_PATH = '/transfer';
/** The most bytes in one binary frame. */
export const MAX_DATA_FRAME = 1024 * 1024;
/** Bytes in a binary frame of shards, as long as nothing is known of how fast a connection is. */
export const USUAL_DATA_FRAME = 256 * 1024;
/** The fewest bytes that may be asked for in each frame of a download but the last. */
export const MIN_DATA_FRAME = 4096;
/** The most bytes in one control (text) frame. */
export const MAX_CONTROL_FRAME = 64 * 1024;
/** Tree level whose nodes cover 64 KiB each: the unit in which streamed shards are checked. */
export const STREAM_LEVEL = 4;

// Documents inside messages stay unknown here: their own parsers check them, signatures and all.
const requestSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('upload'),
    proposal: z.unknown(),
    token: z.unknown(),
    audits: z
      .string()
      .max(64 * MAX_AUDITS)
      .regex(/^([0-9a-f]{64})*$/)
      .optional(),
    whole: z.literal(true).optional(),
  }),
  z.strictObject({
    type: z.literal('download'),
    token: z.unknown(),
    level: z.number().int().min(0).max(16),
    frame: z.number().int().min(MIN_DATA_FRAME).max(MAX_DATA_FRAME).optional(),
    grant: z.unknown().optional(),
  }),
  z.strictObject({ type: z.literal('delete'), token: z.unknown() }),
  z.strictObject({ type: z.literal('cancel') }),
  z.strictObject({ type: z.literal('countersign'), contract: hash32, signature: signatureHex }),
]);

/**
 * What a renter says on a transfer connection. One transfer runs at a time:
 * - `upload` opens with a proposal, a token and the leaves of the contract's precomputed audits; the
 *   farmer answers `ready` (and the renter sends
 *   the shard's bytes from that offset in binary frames) or, when it holds the shard, `stored`. With `whole` the
 *   shard follows at once, all of it in one binary frame, whatever the farmer will say: that is `stored`, or an
 *   error, and nothing is kept of a shard that did not come whole.
 * - `download` asks for the token's range, which must begin and end on nodes of `level` (or at the
 *   shard's end); the farmer answers `data`, one binary frame of proof (node hashes, then sibling
 *   hashes), binary frames with the bytes, each but the last of `frame` ({@link USUAL_DATA_FRAME} when it is not
 *   given), and `sent`. With a `grant` of the contract's renter the
 *   token, and the countersignature after it, are those of the reader that the grant names.
 * - `delete` is answered with `deleted`.
 * - `cancel` stops a running upload or download; it is answered with `cancelled`, with a receipt
 *   for what a download has sent. A cancelled
 *   upload's part stays for its reservation, so that it can go on later.
 * - `countersign` returns the renter's signature on the last receipt. It has no answer.
 */
export type TransferRequest = z.infer<typeof requestSchema>;

const answerSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ready'), offset: byteCount, farmerSignature: signatureHex }),
  z.strictObject({
    type: z.literal('stored'),
    farmerSignature: signatureHex,
    receipt: z.unknown(),
  }),
  z.strictObject({
    type: z.literal('data'),
    nodes: z.number().int().min(1).max(65_536),
    siblings: z.number().int().min(0).max(128),
  }),
  z.strictObject({ type: z.literal('sent'), receipt: z.unknown() }),
  z.strictObject({ type: z.literal('deleted'), receipt: z.unknown() }),
  z.strictObject({ type: z.literal('cancelled'), receipt: z.unknown().optional() }),
  z.strictObject({
    type: z.literal('error'),
    code: z.string().regex(/^[A-Z][A-Z0-9_]{0,63}$/),
    message: z.string().max(1024),
  }),
]);

/** What a farmer says on a transfer connection. See {@link TransferRequest}. */
export type TransferAnswer = z.infer<typeof answerSchema>;

function parseText(text: string, what: string): unknown {
  if (text.length > MAX_CONTROL_FRAME) {
    throw new ProtocolError('PROTOCOL_TOO_LARGE', `${what}: over ${MAX_CONTROL_FRAME} bytes`);
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new ProtocolError('PROTOCOL_MALFORMED', `${what}: not JSON`, { cause: error });
  }
}

/**
 * Parse a renter's control frame.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_TOO_LARGE.
 */
export function parseTransferRequest(text: string): TransferRequest {
  return parseWith(requestSchema, parseText(text, 'transfer request'), 'transfer request');
}

/**
 * Parse a farmer's control frame.
 *
 * @throws ProtocolError PROTOCOL_MALFORMED or PROTOCOL_TOO_LARGE.
 */
export function parseTransferAnswer(text: string): TransferAnswer {
  return parseWith(answerSchema, parseText(text, 'transfer answer'), 'transfer answer');
}
