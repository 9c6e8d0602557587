import { KadError } from '@granary/kad';

/** The stable codes of {@link RenterError}. */
export type RenterErrorCode =
  | 'RENTER_BAD_WORDS'
  | 'RENTER_NO_KEYS'
  | 'RENTER_KEYS_EXIST'
  | 'RENTER_KEYS_CORRUPT'
  | 'RENTER_PASSWORD_NEEDED'
  | 'RENTER_WRONG_PASSWORD'
  | 'RENTER_BAD_PATH'
  | 'RENTER_NOT_FOUND'
  | 'RENTER_RANGE'
  | 'RENTER_NOT_ENOUGH_FARMERS'
  | 'RENTER_NOT_ENOUGH_SHARDS'
  | 'RENTER_NETWORK_UNREACHABLE'
  | 'RENTER_SOURCE'
  | 'RENTER_DESTINATION'
  | 'RENTER_STORE'
  | 'RENTER_INDEX'
  | 'RENTER_INDEX_CONFLICT'
  | 'RENTER_NOTHING_TO_RECOVER'
  | 'RENTER_NOT_EMPTY'
  | 'RENTER_BAD_EXPORT'
  | 'RENTER_SHARE'
  | 'RENTER_SHARE_ENDED'
  | 'RENTER_SHARE_EXPIRED'
  | 'RENTER_SHARE_LIMIT'
  | 'RENTER_TRANSFER'
  | 'RENTER_STALLED'
  | 'RENTER_LYING_FARMER'
  | 'RENTER_DECRYPT'
  | 'RENTER_PLATFORM'
  | 'RENTER_CLOSED'
  | 'RENTER_ABORTED';

/** What a renter could not do, and why. The message says what to do where something can be done. */
export class RenterError extends Error {
  override readonly name = 'RenterError';

  constructor(
    readonly code: RenterErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A farmer's own refusal, with its code (`FARMER_…`), as it came over a transfer connection. */
export class FarmerRefusal extends Error {
  override readonly name = 'FarmerRefusal';

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Whether something failed before it came to the other side, so that it says nothing of who is there. */
export function isOwnFault(error: unknown): boolean {
  return error instanceof KadError && error.code === 'KAD_PROXY';
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
