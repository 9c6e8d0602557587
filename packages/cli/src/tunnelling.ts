import type { FarmerOptions } from '@granary/farmer';
import type { TunnelLimits, TunnelsStatus } from '@granary/nat';
import { CliError } from './cli-error.js';
import type { Config } from './config.js';
import type { Output } from './output.js';
import { formatSize, parseSize } from './units.js';

/** Flags about being a tunnel for others. */
export interface TunnelFlags {
  readonly tunnelPorts?: string;
  readonly tunnelClients?: string;
  readonly tunnelRate?: string;
  readonly tunnelTotalRate?: string;
  readonly tunnelPrice: string;
}

/** What a farmer does about tunnels. @throws CliError CLI_USAGE. */
export function tunnelSettings(
  flags: TunnelFlags,
  { tunnels = 'auto', offerTunnel = 'auto' }: Pick<Config, 'tunnels' | 'offerTunnel'>,
): NonNullable<FarmerOptions['tunnels']> {
  return { use: tunnels, offer: offerTunnel, ...tunnelBounds(flags) };
}

/** The bounds of a tunnel, from flags. @throws CliError CLI_USAGE. */
export function tunnelBounds(flags: TunnelFlags): {
  limits: Partial<TunnelLimits>;
  ports?: { from: number; to: number };
} {
  const { tunnelPorts, tunnelClients, tunnelRate, tunnelTotalRate } = flags;
  const clients = Number(tunnelClients ?? 1);
  if (!Number.isInteger(clients) || clients < 1 || clients > 10_000) {
    throw new CliError('CLI_USAGE', `--tunnel-clients ${tunnelClients}: a number from 1 to 10000`);
  }
  return {
    limits: {
      ...(tunnelClients !== undefined && { clients }),
      ...(tunnelRate !== undefined && { bytesPerSecondEach: rateOf('--tunnel-rate', tunnelRate) }),
      ...(tunnelTotalRate !== undefined && {
        bytesPerSecond: rateOf('--tunnel-total-rate', tunnelTotalRate),
      }),
    },
    ...(tunnelPorts !== undefined && { ports: portsOf(tunnelPorts) }),
  };
}

function rateOf(flag: string, text: string): number {
  const rate = parseSize(text);
  if (rate < 1024) throw new CliError('CLI_USAGE', `${flag} ${text}: at least 1KB a second`);
  return rate;
}

function portsOf(text: string): { from: number; to: number } {
  const match = /^(\d{1,5})-(\d{1,5})$/.exec(text);
  const [from, to] = [Number(match?.[1]), Number(match?.[2])];
  if (match === null || from < 1 || to > 65_535 || from > to) {
    throw new CliError(
      'CLI_USAGE',
      `--tunnel-ports ${text}: write two ports, the lower first, such as 21000-21999`,
    );
  }
  return { from, to };
}

/** Tell what changed about tunnels. */
export function reportTunnels(output: Output, status: TunnelsStatus): void {
  const { through, offered } = status;
  output.result({ event: 'tunnels', through, offered: offered ?? null });
  for (const { nodeId, address } of through) {
    output.line(`Others can reach this node at ${address}, a tunnel of ${nodeId.slice(0, 12)}.`);
  }
  if (offered === undefined) {
    if (through.length === 0) output.line('This node is reached through no tunnel at this time.');
    return;
  }
  output.line(
    `This node is a tunnel for others: ${offered.clients} clients, ${formatSize(offered.bytes)} carried.`,
  );
}
