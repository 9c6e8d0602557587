/** The stable codes of {@link ProtocolError}. */
export type ProtocolErrorCode =
  | 'PROTOCOL_MALFORMED'
  | 'PROTOCOL_BAD_SIGNATURE'
  | 'PROTOCOL_HASH_MISMATCH'
  | 'PROTOCOL_EXPIRED'
  | 'PROTOCOL_TOO_LARGE'
  | 'PROTOCOL_RANGE';

/** A document or frame that breaks Granary's protocol. The message names the field and the rule. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';

  constructor(
    readonly code: ProtocolErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
