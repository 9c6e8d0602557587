/** The stable codes of {@link NatError}. */
export type NatErrorCode =
  | 'NAT_NO_GATEWAY'
  | 'NAT_NO_ANSWER'
  | 'NAT_BAD_ANSWER'
  | 'NAT_TOO_LARGE'
  | 'NAT_REFUSED'
  | 'NAT_CONFLICT'
  | 'NAT_ABORTED'
  | 'NAT_BAD_FILE'
  | 'NAT_BAD_SETTING'
  | 'NAT_TIMEOUT'
  | 'NAT_UNREACHABLE'
  | 'NAT_TUNNEL_REFUSED'
  | 'NAT_TUNNEL_PROTOCOL'
  | 'NAT_TUNNEL_CLOSED'
  | 'NAT_TUNNEL_UNPAID'
  | 'NAT_NO_TUNNEL'
  | 'NAT_PUNCH';

/** Anything that goes wrong on the way to being reachable. The message names what was wrong. */
export class NatError extends Error {
  override readonly name = 'NatError';

  constructor(
    readonly code: NatErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
