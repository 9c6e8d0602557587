import type { Clock, Logger, Random } from '@granary/kad';

/** How a router is asked: RFC 6887, RFC 6886, or UPnP Internet Gateway Device 1 and 2. */
export type MappingProtocol = 'pcp' | 'nat-pmp' | 'upnp';

/** All protocols, the one to try first in front. */
export const MAPPING_PROTOCOLS: readonly MappingProtocol[] = ['pcp', 'nat-pmp', 'upnp'];

/** A TCP port outside that leads to one of ours. */
export interface Mapping {
  readonly protocol: MappingProtocol;
  /** The router that made it. */
  readonly gateway: string;
  readonly internalAddress: string;
  readonly internalPort: number;
  /** What the router says its address outside is; it may be wrong, and it may be private. */
  readonly externalAddress: string | undefined;
  readonly externalPort: number;
  /** Seconds until the router forgets it; 0 when it keeps it until it is removed or restarts. */
  readonly lifetimeSeconds: number;
}

/** What to ask a router for. */
export interface MapRequest {
  readonly internalPort: number;
  /** The port outside that we would like. */
  readonly externalPort: number;
  readonly lifetimeSeconds: number;
  /** PCP: 12 random bytes that prove, later, that a mapping is ours. */
  readonly nonce: Uint8Array;
  /** UPnP: a description by which the mapping is known to be ours. */
  readonly tag: string;
  readonly signal: AbortSignal;
}

/** A mapping to remove. */
export interface UnmapRequest {
  readonly internalPort: number;
  readonly externalPort: number;
  readonly nonce: Uint8Array;
  readonly tag: string;
  readonly signal: AbortSignal;
}

/** Asks one router by one protocol. */
export interface MappingClient {
  readonly protocol: MappingProtocol;
  /**
   * Make a mapping, or renew the one that is there.
   *
   * @throws NatError NAT_NO_ANSWER when the router does not speak the protocol, NAT_BAD_ANSWER,
   * NAT_TOO_LARGE, NAT_REFUSED, NAT_CONFLICT when the port is another's, NAT_ABORTED.
   */
  map(request: MapRequest): Promise<Mapping>;
  /** Remove a mapping. That there is none is no error. @throws NatError as `map`. */
  unmap(request: UnmapRequest): Promise<void>;
}

/** Where the router is, and who we are to it. */
export interface Gateway {
  /** The router's IPv4 address on our network. */
  readonly address: string;
  /** Our IPv4 address on its network. */
  readonly localAddress: string;
}

/** What clients work with. */
export interface MappingEnvironment {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Ports of the router, for tests; those of the standards when not given. */
  readonly ports?: { readonly pcp?: number; readonly ssdp?: number };
}
