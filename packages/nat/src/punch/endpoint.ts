import { isIPv4 } from 'node:net';
import { canonicalIp, isNodePort, isOtherMachine } from '../reachability/own-address.js';
import { isPublicIpv4 } from '../mapping/ipv4.js';

/** Where a node is seen from outside: an IP address and a port. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/**
 * An endpoint from the network that may be dialled: public, and at a port that a node may have.
 * Undefined for any other.
 */
export function parseEndpoint(value: unknown): Endpoint | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { host, port } = value as Record<string, unknown>;
  if (typeof host !== 'string' || host.length > 64 || !Number.isInteger(port)) return undefined;
  const ip = canonicalIp(host);
  if (ip === undefined || !isOtherMachine(ip)) return undefined;
  if (isIPv4(ip) && !isPublicIpv4(ip)) return undefined;
  const number = port as number;
  return number <= 65_535 && isNodePort(number) ? { host: ip, port: number } : undefined;
}

/** Whether two endpoints are the same. */
export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.host === b.host && a.port === b.port;
}
