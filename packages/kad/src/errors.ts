/** The stable codes of {@link KadError}. */
export type KadErrorCode =
  | 'KAD_TIMEOUT'
  | 'KAD_UNREACHABLE'
  | 'KAD_PROXY'
  | 'KAD_ABORTED'
  | 'KAD_BAD_ADDRESS'
  | 'KAD_BAD_CERTIFICATE'
  | 'KAD_IDENTITY_MISMATCH'
  | 'KAD_UNSIGNED'
  | 'KAD_BAD_SIGNATURE'
  | 'KAD_MISADDRESSED'
  | 'KAD_REPLAYED'
  | 'KAD_STALE'
  | 'KAD_MALFORMED'
  | 'KAD_TOO_LARGE'
  | 'KAD_METHOD_NOT_FOUND'
  | 'KAD_BAD_PARAMETERS'
  | 'KAD_BUSY'
  | 'KAD_UNPROVEN'
  | 'KAD_FULL'
  | 'KAD_NOT_FOUND'
  | 'KAD_REMOTE'
  | 'KAD_INTERNAL'
  | 'KAD_PORT_IN_USE'
  | 'KAD_LISTEN'
  | 'KAD_DIRECTORY'
  | 'KAD_IDENTITY_FILE'
  | 'KAD_IDENTITY_EXISTS'
  | 'KAD_MINING'
  | 'KAD_STOPPED';

/** Anything that goes wrong in the DHT. The message names what was wrong. */
export class KadError extends Error {
  override readonly name = 'KadError';

  constructor(
    readonly code: KadErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** @throws KadError KAD_ABORTED when the signal is. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new KadError('KAD_ABORTED', 'the call was aborted', { cause: signal.reason });
  }
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
