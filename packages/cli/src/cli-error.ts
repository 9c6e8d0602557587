/** The stable codes of {@link CliError}. */
export type CliErrorCode =
  | 'CLI_USAGE'
  | 'CLI_EXISTS'
  | 'CLI_NOT_FOUND'
  | 'CLI_INTERRUPTED'
  | 'CLI_PENDING'
  | 'CLI_AT_RISK'
  | 'CLI_UNPAID'
  | 'CLI_FARMER'
  | 'CLI_SOURCE'
  | 'CLI_DESTINATION'
  | 'CLI_BRIDGE_UNREACHABLE'
  | 'CLI_NO_SUCH_USER'
  | 'CLI_PORT_IN_USE'
  | 'CLI_AUTHORITY'
  | 'CLI_AUTHORITY_UNREACHABLE';

/** What the command itself has to complain of. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    readonly code: CliErrorCode,
    message: string,
    /** The exit code of another process that this error passes on. */
    readonly exit?: number,
  ) {
    super(message);
  }
}
