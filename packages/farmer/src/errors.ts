/**
 * The stable codes of {@link FarmerError}. Those above the line stop a farmer or an operator's
 * command; those below go to renters in `error` answers.
 */
export type FarmerErrorCode =
  | 'FARMER_DIRECTORY'
  | 'FARMER_LOCKED'
  | 'FARMER_IDENTITY'
  | 'FARMER_STORE'
  // to renters:
  | 'FARMER_TERMS'
  | 'FARMER_BLOCKED'
  | 'FARMER_LEAVING'
  | 'FARMER_UNPAID'
  | 'FARMER_FULL'
  | 'FARMER_DISK'
  | 'FARMER_BUSY'
  | 'FARMER_FORBIDDEN'
  | 'FARMER_REPLAYED'
  | 'FARMER_NOT_FOUND'
  | 'FARMER_REVOKED'
  | 'FARMER_USED_UP'
  | 'FARMER_GONE'
  | 'FARMER_RANGE'
  | 'FARMER_WRONG_BYTES'
  | 'FARMER_TIMEOUT'
  | 'FARMER_PROTOCOL'
  | 'FARMER_INTERNAL'
  | 'FARMER_STOPPING';

/** What a farmer could not or would not do. */
export class FarmerError extends Error {
  override readonly name = 'FarmerError';

  constructor(
    readonly code: FarmerErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
