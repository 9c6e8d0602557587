/** What the exit codes of `granary` mean. */
export const EXIT_CODES = {
  ok: 0,
  internal: 1,
  usage: 2,
  notFound: 3,
  noKeys: 4,
  wrongPassword: 5,
  networkUnreachable: 6,
  notEnoughFarmers: 7,
  notEnoughShards: 8,
  diskFull: 9,
  permission: 10,
  portInUse: 11,
  source: 12,
  destination: 13,
  exists: 14,
  locked: 15,
  pending: 16,
  atRisk: 17,
  unpaid: 18,
  refused: 19,
  interrupted: 130,
} as const;

/** One of the exit codes by name. */
export type ExitName = keyof typeof EXIT_CODES;

/** What each code means, for `granary help exit-codes`. */
export const EXIT_MEANINGS: Record<ExitName, string> = {
  ok: 'done',
  internal: 'something went wrong that should not have',
  usage: 'the command line or the configuration is wrong',
  notFound: 'there is no such object, bucket, key or node',
  noKeys: 'there are no keys here, or they are damaged',
  wrongPassword: 'the password is wrong or missing',
  networkUnreachable: 'no node of the network answers',
  notEnoughFarmers: 'too few farmers can take the data',
  notEnoughShards: 'too few shards can be had to read the object',
  diskFull: 'a disk is full',
  permission: 'a file or directory may not be used',
  portInUse: 'the port is in use',
  source: "the file to store can't be read or has changed",
  destination: "the file to write can't be written",
  exists: 'what should be made is there already',
  locked: 'another process uses the directory',
  pending: 'done here, but farmers that could not be reached have still to delete',
  atRisk: 'some segments have fewer shards than they should, and could not be repaired',
  unpaid: 'a payment could not be made, or is disputed',
  refused:
    'the bridge or an authority of certificates refused, or a share was read as often as it may be',
  interrupted: 'stopped by Ctrl-C or a signal',
};

const BY_CODE: Record<string, ExitName> = {
  CLI_USAGE: 'usage',
  CLI_EXISTS: 'exists',
  CLI_NOT_FOUND: 'notFound',
  CLI_INTERRUPTED: 'interrupted',
  CLI_PENDING: 'pending',
  CLI_AT_RISK: 'atRisk',
  CLI_UNPAID: 'unpaid',
  PAYMENT_AMOUNT: 'usage',
  PAYMENT_BOOK: 'noKeys',
  PAYMENT_CHANNEL: 'unpaid',
  PAYMENT_BAD_VOUCHER: 'unpaid',
  PAYMENT_DEPOSIT: 'unpaid',
  PAYMENT_CURRENCY: 'usage',
  PAYMENT_BUDGET: 'unpaid',
  PAYMENT_DISPUTED: 'unpaid',
  PAYMENT_UNPAID: 'unpaid',
  PAYMENT_CHAIN: 'unpaid',
  PAYMENT_CHAIN_UNREACHABLE: 'networkUnreachable',
  PAYMENT_FUNDS: 'unpaid',
  CLI_SOURCE: 'source',
  CLI_DESTINATION: 'destination',
  CLI_FARMER: 'internal',
  CLI_NO_SUCH_USER: 'notFound',
  CLI_BRIDGE_UNREACHABLE: 'networkUnreachable',
  CLI_PORT_IN_USE: 'portInUse',
  CLI_AUTHORITY: 'refused',
  CLI_AUTHORITY_UNREACHABLE: 'networkUnreachable',
  // What a bridge refuses, by the codes of its REST API.
  AccessDenied: 'refused',
  BadCredentials: 'wrongPassword',
  Forbidden: 'refused',
  InvalidArgument: 'usage',
  InvalidDocument: 'usage',
  MethodNotAllowed: 'usage',
  NoSuchAccessKey: 'notFound',
  NoSuchOperation: 'usage',
  NoSuchUser: 'notFound',
  NotAuthenticated: 'wrongPassword',
  ServiceUnavailable: 'networkUnreachable',
  SlowDown: 'refused',
  TooManyRequests: 'refused',
  Unknown: 'networkUnreachable',
  UserExists: 'exists',
  UserInUse: 'usage',
  WouldLockOut: 'usage',
  DATABASE_UNAVAILABLE: 'networkUnreachable',
  DATABASE_REFUSED: 'usage',
  METADATA_UNAVAILABLE: 'networkUnreachable',
  METADATA_USER_IN_USE: 'usage',
  METADATA_MISMATCH: 'noKeys',
  METADATA_DAMAGED: 'noKeys',
  METADATA_BAD_INPUT: 'usage',
  METADATA_NO_SUCH_ACCESS_KEY: 'notFound',
  METADATA_NO_SUCH_USER: 'notFound',
  METADATA_NOT_IN_NETWORK: 'notFound',
  METADATA_USER_EXISTS: 'exists',
  RENTER_BAD_WORDS: 'usage',
  RENTER_BAD_PATH: 'usage',
  RENTER_RANGE: 'usage',
  RENTER_NO_KEYS: 'noKeys',
  RENTER_KEYS_CORRUPT: 'noKeys',
  RENTER_KEYS_EXIST: 'exists',
  RENTER_PASSWORD_NEEDED: 'wrongPassword',
  RENTER_WRONG_PASSWORD: 'wrongPassword',
  RENTER_NOT_FOUND: 'notFound',
  RENTER_SHARE: 'usage',
  RENTER_SHARE_ENDED: 'notFound',
  RENTER_SHARE_EXPIRED: 'notFound',
  RENTER_SHARE_LIMIT: 'refused',
  RENTER_NETWORK_UNREACHABLE: 'networkUnreachable',
  RENTER_NOT_ENOUGH_FARMERS: 'notEnoughFarmers',
  RENTER_NOT_ENOUGH_SHARDS: 'notEnoughShards',
  RENTER_SOURCE: 'source',
  RENTER_DESTINATION: 'destination',
  RENTER_ABORTED: 'interrupted',
  RENTER_STORE: 'noKeys',
  RENTER_INDEX: 'networkUnreachable',
  RENTER_INDEX_CONFLICT: 'locked',
  RENTER_NOTHING_TO_RECOVER: 'notFound',
  RENTER_NOT_EMPTY: 'exists',
  RENTER_BAD_EXPORT: 'source',
  KAD_UNREACHABLE: 'networkUnreachable',
  KAD_PROXY: 'networkUnreachable',
  KAD_TIMEOUT: 'networkUnreachable',
  KAD_IDENTITY_MISMATCH: 'networkUnreachable',
  KAD_BAD_CERTIFICATE: 'networkUnreachable',
  KAD_NOT_FOUND: 'notFound',
  KAD_BAD_ADDRESS: 'usage',
  KAD_BAD_PARAMETERS: 'usage',
  KAD_TOO_LARGE: 'usage',
  KAD_PORT_IN_USE: 'portInUse',
  KAD_LISTEN: 'usage',
  KAD_DIRECTORY: 'usage',
  KAD_IDENTITY_FILE: 'noKeys',
  KAD_IDENTITY_EXISTS: 'exists',
  KAD_MINING: 'internal',
  KAD_ABORTED: 'interrupted',
  NAT_BAD_FILE: 'usage',
  NAT_ABORTED: 'interrupted',
  FARMER_IDENTITY: 'noKeys',
  NAT_BAD_SETTING: 'usage',
  KAD_UNPROVEN: 'noKeys',
  FARMER_LOCKED: 'locked',
  FARMER_DIRECTORY: 'usage',
  FARMER_STORE: 'internal',
  PROTOCOL_MALFORMED: 'usage',
  PROTOCOL_BAD_SIGNATURE: 'usage',
  PROTOCOL_RANGE: 'usage',
  ENOSPC: 'diskFull',
  EDQUOT: 'diskFull',
  EACCES: 'permission',
  EPERM: 'permission',
  EROFS: 'permission',
};

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Whether an error is about a disk or a permission, however deep it lies. */
function systemCode(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (code !== undefined && ['ENOSPC', 'EDQUOT', 'EACCES', 'EPERM', 'EROFS'].includes(code)) {
      return code;
    }
  }
  return undefined;
}

/** What an error comes to: an exit code, a stable code for scripts, and one line for people. */
export function explain(error: unknown): { exit: number; code: string; message: string } {
  const system = systemCode(error);
  const own = (error as { code?: unknown } | null)?.code;
  const passedOn = (error as { exit?: unknown } | null)?.exit;
  const code = typeof own === 'string' ? own : 'INTERNAL';
  if (typeof passedOn === 'number') return { exit: passedOn, code, message: messageOf(error) };
  const name = BY_CODE[system ?? code] ?? BY_CODE[code];
  if (name === undefined) {
    const message = `${messageOf(error)} — this is a bug; run it again with --log-level debug and report it`;
    return { exit: EXIT_CODES.internal, code, message };
  }
  return { exit: EXIT_CODES[name], code: system ?? code, message: lineOf(error, system) };
}

function lineOf(error: unknown, system: string | undefined): string {
  const message = messageOf(error).split('\n')[0]!;
  if (system === undefined) return message;
  const path = (error as NodeJS.ErrnoException).path;
  const what = path === undefined ? message : path;
  if (system === 'ENOSPC' || system === 'EDQUOT') return `the disk is full: ${what} — make room`;
  return `no permission: ${what} — check who owns it, or choose another place`;
}
