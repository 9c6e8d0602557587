/** Bounds of what a tunnel does for others. Times are milliseconds. */
export interface TunnelLimits {
  /** Clients at one time. */
  readonly clients: number;
  /** Clients of one IP address at one time, so that nobody takes all places with many identities. */
  readonly clientsPerAddress: number;
  /** Connections of strangers to all clients together. */
  readonly connections: number;
  /** Connections of strangers to one client. */
  readonly connectionsPerClient: number;
  /** Of those, how many from one IP address. */
  readonly connectionsPerAddress: number;
  /** New connections a second to one client, in the long run; four times as many at once. */
  readonly newPerSecond: number;
  /** Bytes a second carried for all clients, both ways together. */
  readonly bytesPerSecond: number;
  /** Bytes a second carried for one client, both ways together. */
  readonly bytesPerSecondEach: number;
  /** A stranger that has not begun to speak TLS after this is cut off. */
  readonly firstBytesMs: number;
  /** A side that takes nothing of what waits for it for this long is cut off. */
  readonly stallMs: number;
  /** A connection over which nothing went for this long is ended. */
  readonly idleMs: number;
  /** Each side asks the other this often whether it is still there. */
  readonly pingMs: number;
  /** The other side has to answer within this. */
  readonly pongMs: number;
  /** What has been carried is told to a client after so many bytes, or once a minute. */
  readonly meterBytes: number;
}

const MEBIBYTE = 1024 * 1024;

/** What a farmer with a public address does by the way; `granary tunnel` is told otherwise by flags. */
export const defaultTunnelLimits: TunnelLimits = {
  clients: 32,
  clientsPerAddress: 4,
  connections: 512,
  connectionsPerClient: 64,
  connectionsPerAddress: 32,
  newPerSecond: 20,
  bytesPerSecond: 32 * MEBIBYTE,
  bytesPerSecondEach: 8 * MEBIBYTE,
  firstBytesMs: 10_000,
  stallMs: 60_000,
  idleMs: 10 * 60_000,
  pingMs: 5_000,
  pongMs: 5_000,
  meterBytes: 16 * MEBIBYTE,
};
