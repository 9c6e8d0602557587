import { z } from 'zod';
import { ProtocolError } from './errors.js';

/** 32 bytes as 64 lower-case hex digits: hashes and node IDs. */
export const hash32 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');
/** A compressed secp256k1 public key as 66 lower-case hex digits. */
export const publicKeyHex = z
  .string()
  .regex(/^0[23][0-9a-f]{64}$/, 'must be a compressed public key in lower-case hex');
/** A compact ECDSA signature as 128 lower-case hex digits. */
export const signatureHex = z
  .string()
  .regex(/^[0-9a-f]{128}$/, 'must be 128 lower-case hex digits');
/** Milliseconds since the epoch. */
export const timestamp = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
/** A count of bytes. */
export const byteCount = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
/** A non-negative amount in the smallest unit of a currency, in decimal text (no float anywhere). */
export const amount = z.string().regex(/^(0|[1-9][0-9]{0,38})$/, 'must be a decimal integer');
/** An EVM address: `0x` and 40 lower-case hex digits. */
export const evmAddress = z
  .string()
  .regex(/^0x[0-9a-f]{40}$/, 'must be 0x and 40 lower-case hex digits');
/** 16 random bytes as 32 lower-case hex digits. */
export const nonce16 = z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 lower-case hex digits');

/**
 * Parse a value from outside with a schema.
 *
 * @param what - names the document in the error message
 * @throws ProtocolError PROTOCOL_MALFORMED naming the first field that was wrong.
 */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? '' : ` ${issue.path.join('.')}:`;
  throw new ProtocolError(
    'PROTOCOL_MALFORMED',
    `${what}:${where} ${issue?.message ?? 'not of the expected form'}`,
  );
}
