/** The stable codes of {@link ErasureError}. */
export type ErasureErrorCode =
  | 'ERASURE_PARAMETERS'
  | 'ERASURE_TOO_FEW_SHARDS'
  | 'ERASURE_SHARD_SIZE'
  | 'ERASURE_SHARD_INDEX'
  | 'ERASURE_RANGE'
  | 'ERASURE_MEMORY';

/** A wrong call of the erasure code. The message names what was wrong. */
export class ErasureError extends Error {
  override readonly name = 'ErasureError';

  constructor(
    readonly code: ErasureErrorCode,
    message: string,
  ) {
    super(message);
  }
}
