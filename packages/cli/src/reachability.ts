import { isIP } from 'node:net';
import { join } from 'node:path';
import type { FarmerOptions } from '@granary/farmer';
import type { ReachabilityStatus } from '@granary/nat';
import { CliError } from './cli-error.js';
import type { Config } from './config.js';
import { type Output, printable } from './output.js';

/** Where a farmer listens, and what it was told to announce. */
export interface ListenOptions {
  readonly data: string;
  readonly host: string;
  readonly announce?: readonly string[];
}

/** Whether only this machine can reach what listens there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

/** Whether it stands for all addresses of this machine. */
function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/**
 * How a farmer finds out how others can reach it; undefined when it does not, as on loopback.
 *
 * @throws CliError CLI_USAGE when nothing could be announced.
 */
export async function reachabilitySettings(
  { data, host, announce = [] }: ListenOptions,
  { portMapping = 'auto', dialBack = 'auto' }: Pick<Config, 'portMapping' | 'dialBack'>,
): Promise<FarmerOptions['reachability']> {
  if (isLoopback(host)) return undefined;
  if (dialBack === 'never') {
    if (portMapping === 'always') {
      throw new CliError(
        'CLI_USAGE',
        '--port-mapping always needs --dial-back auto: a mapped port is announced when others could reach it',
      );
    }
    if (isWildcard(host) && announce.length === 0) {
      throw new CliError(
        'CLI_USAGE',
        `--dial-back never with --host ${host} needs --announce https://HOST:PORT: ${host} is no address that others can dial`,
      );
    }
    return undefined;
  }
  const { hasPublicAddress, isPublicIpv4 } = await import('@granary/nat');
  const isPublic = isWildcard(host) ? hasPublicAddress() : isIP(host) === 4 && isPublicIpv4(host);
  const maps =
    portMapping === 'always' || (portMapping === 'auto' && !isPublic && announce.length === 0);
  return { ...(maps && { mapping: { file: join(data, 'port-mappings.json') } }) };
}

/** Tell, plainly, how others can reach this node. */
export function reportReachability(output: Output, status: ReachabilityStatus): void {
  const { state, announced, observed, mapping, attempts, checks } = status;
  output.result({
    event: 'reachability',
    state,
    announced,
    observed,
    mapping: mapping ?? null,
    attempts,
    checks,
  });
  for (const line of describeReachability(status)) output.line(line);
}

/** What was found out, in plain words. */
export function describeReachability(status: ReachabilityStatus): string[] {
  const { state, announced, mapping, attempts, checks } = status;
  const lines: string[] = [];
  const count = ({ reached, failed }: { reached: number; failed: number }) =>
    `${reached} of ${reached + failed} nodes got through`;
  if (state === 'public') {
    const checked = checks.filter(({ verdict }) => verdict === 'reachable');
    for (const check of checked) {
      const mapped =
        mapping !== undefined && check.address.endsWith(`:${mapping.externalPort}`)
          ? `; the router maps the port, by ${protocolName(mapping.protocol)}`
          : '';
      lines.push(`Others can reach this node at ${check.address} (${count(check)}${mapped}).`);
    }
    if (checked.length === 0) lines.push(`Announced: ${announced.join(', ')}.`);
    return lines;
  }
  if (state === 'unknown') {
    lines.push('Not known yet whether others can reach this node: too few nodes could say.');
  } else {
    lines.push("Others can't reach this node directly:");
    for (const check of checks) lines.push(`  ${check.address}: ${count(check)}`);
  }
  if (mapping !== undefined) {
    const outside = mapping.externalAddress ?? 'an address that it does not tell';
    lines.push(
      `  The router (${mapping.gateway}) maps port ${mapping.externalPort} of ${outside}, by ${protocolName(mapping.protocol)}.`,
    );
  } else if (attempts.length > 0) {
    lines.push('  The router maps no port:');
    for (const { protocol, error } of attempts) {
      lines.push(
        `    ${printable(error?.message ?? `${protocolName(protocol)}: it did, but does no more`)}`,
      );
    }
  }
  if (state === 'private') {
    if (announced.length > 0) lines.push(`  Announced: ${announced.join(', ')}.`);
    lines.push('  "granary doctor" tells what can be done. It is tried again from time to time.');
  }
  return lines;
}

/** A protocol as people write it. */
export function protocolName(protocol: 'pcp' | 'nat-pmp' | 'upnp'): string {
  return { pcp: 'PCP', 'nat-pmp': 'NAT-PMP', upnp: 'UPnP' }[protocol];
}
