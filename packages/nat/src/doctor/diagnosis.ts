import type { NatErrorCode } from '../errors.js';
import type { Gateway, Mapping, MappingProtocol } from '../mapping/mapping.js';
import type { AddressCheck } from '../reachability/verdict.js';
import type { NatKind, PortBehaviour } from './nat-kind.js';

/** How asking the router by one protocol went. */
export interface ProtocolTrial {
  readonly protocol: MappingProtocol;
  /** What was granted, and removed again. */
  readonly mapping?: Mapping;
  readonly error?: { readonly code: NatErrorCode; readonly message: string };
}

/** All that `granary doctor` finds out. */
export interface Diagnosis {
  /** Addresses of this machine, without loopback and link-local ones. */
  readonly localAddresses: readonly string[];
  readonly gateway: Gateway | undefined;
  /** The port that was listened on for the check. */
  readonly port: number;
  readonly trials: readonly ProtocolTrial[];
  /** Nodes of the network that answered; why there are none. */
  readonly nodes: number;
  readonly networkError: string | undefined;
  /** The IP addresses that nodes see us come from. */
  readonly observed: readonly string[];
  readonly nat: NatKind;
  readonly ports: PortBehaviour;
  /** The mapping that was there during the check. */
  readonly mapping: Mapping | undefined;
  readonly checks: readonly AddressCheck[];
  /** Whether others could reach us; undefined when too few could say. */
  readonly reachable: boolean | undefined;
}
