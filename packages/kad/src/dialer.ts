import type { Duplex } from 'node:stream';

/** Limits of one dial. */
export interface DialLimits {
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole of it. */
  readonly timeoutMs: number;
}

/**
 * The one way in which a node opens connections: all its transports, and whoever speaks to nodes
 * besides them, dial through it, and put TLS on top of what it gives them. Directly, through a
 * proxy, or in any other way.
 */
export interface Dialer {
  /**
   * Whether connections go out from this machine itself. When they do not, nothing else may either:
   * no look-up of a name, no mapping of a port, nobody may be asked to dial back, and no address may
   * be announced that the user has not given.
   */
  readonly direct: boolean;
  /** Milliseconds that this way may take longer than a direct one; they are added to time-outs. */
  readonly slackMs: number;
  /**
   * Whether a host like this can be reached in this way at all. One that can't is not dead: it just
   * can't be asked from here.
   */
  dials(host: string): boolean;
  /**
   * Open a connection.
   *
   * @param host - name or IP address; IPv6 without brackets
   * @returns an open stream of bytes, with nothing read from it
   * @throws KadError KAD_BAD_ADDRESS for a host that is not dialled in this way; KAD_UNREACHABLE,
   * KAD_TIMEOUT; KAD_PROXY when the way itself does not work; KAD_ABORTED.
   */
  dial(host: string, port: number, limits: DialLimits): Promise<Duplex>;
}
