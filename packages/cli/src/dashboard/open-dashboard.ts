import type { Context } from '../context.js';
import { CliError } from '../cli-error.js';
import { isLoopback } from '../reachability.js';
import { ownVersion } from '../version.js';
import { parseDashboardAddress } from './dashboard-address.js';
import type { DashboardServer } from './dashboard-server.js';
import type { DashboardSource } from './dashboard-source.js';

/** Whether a dashboard is to be served. @throws CliError CLI_USAGE when the address is none. */
export function wantsDashboard({ config }: Context): boolean {
  return parseDashboardAddress(config.dashboard) !== undefined;
}

/**
 * Serve the dashboard where the configuration says; undefined when it says nowhere. One that nobody asked
 * for and that can't be served is done without.
 *
 * @param source - makes what is shown; only called when a dashboard is served
 * @throws CliError CLI_USAGE when it can't be served where it was asked for.
 */
export async function openDashboard(
  { config, logger }: Context,
  source: () => DashboardSource | Promise<DashboardSource>,
): Promise<DashboardServer | undefined> {
  const address = parseDashboardAddress(config.dashboard);
  if (address === undefined) return undefined;
  const { DashboardServer } = await import('./dashboard-server.js');
  const { systemClock, systemRandom } = await import('@granary/kad');
  const { siteDirectory } = await import('@granary/web');
  if (!isLoopback(address.host)) {
    logger.warn(
      { host: address.host },
      'the dashboard is plain HTTP: whoever is on the way can read it, and its token',
    );
  }
  const starting = DashboardServer.start({
    address,
    source: await source(),
    site: siteDirectory,
    version: ownVersion(),
    clock: systemClock,
    random: systemRandom,
    logger,
  });
  if (config.dashboard !== undefined) return starting;
  return starting.catch((error: unknown) => {
    if (!(error instanceof CliError)) throw error;
    logger.warn({ error: error.message }, 'there is no dashboard');
    return undefined;
  });
}
