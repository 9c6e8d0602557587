import { isIPv4 } from 'node:net';
import { isCarrierIpv4, isPublicIpv4 } from '../mapping/ipv4.js';

/**
 * What is between this machine and the Internet: nothing; one router; several, one behind the other;
 * a carrier that puts many customers behind one address; one or more, which can't be told; or not
 * even that is known.
 */
export type NatKind = 'none' | 'one' | 'several' | 'carrier' | 'some' | 'unknown';

/**
 * What becomes of the port that a connection comes from (RFC 4787 section 4.1, RFC 5382 section 4.1):
 * `kept`, or another one that is the `same` for all destinations (endpoint-independent mapping), or
 * `different` for each, so that others can't guess it.
 */
export type PortBehaviour = 'kept' | 'same' | 'different' | 'unknown';

/** Tell the kind of NAT from what was seen. Only IPv4 counts: IPv6 is not translated at homes. */
export function natKindOf({
  local,
  outside,
  observed,
}: {
  /** Addresses of this machine. */
  readonly local: readonly string[];
  /** What routers say their addresses outside are. */
  readonly outside: readonly string[];
  /** What others see us come from. */
  readonly observed: readonly string[];
}): NatKind {
  const own = local.filter((address) => isIPv4(address));
  const seen = observed.filter((address) => isIPv4(address));
  if (seen.some((address) => own.includes(address))) return 'none';
  if ([...own, ...outside].some(isCarrierIpv4)) return 'carrier';
  if (outside.some((address) => isIPv4(address) && !isPublicIpv4(address))) return 'several';
  if (seen.length === 0) return own.some(isPublicIpv4) ? 'none' : 'unknown';
  if (outside.some((address) => seen.includes(address))) return 'one';
  return outside.length > 0 ? 'several' : 'some';
}

/**
 * Tell what becomes of ports.
 *
 * @param local - the port that all connections came from
 * @param observed - the port that each of the destinations saw
 */
export function portBehaviourOf(local: number, observed: readonly number[]): PortBehaviour {
  if (observed.length < 2) return 'unknown';
  if (observed.some((port) => port !== observed[0])) return 'different';
  return observed[0] === local ? 'kept' : 'same';
}
