import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Farmer } from '@granary/farmer';
import { type BrowserFlags, browserDoor } from '../browsers.js';
import { keepCertificate } from '../certificate-source.js';
import type { OpenApp } from '../app/open-app.js';
import type { Context } from '../context.js';
import { CliError } from '../cli-error.js';
import type { DashboardServer } from '../dashboard/dashboard-server.js';
import { openDashboard, wantsDashboard } from '../dashboard/open-dashboard.js';
import { parseListen } from '../listen-address.js';
import { type MetricsServer, serveMetrics } from '../metrics-server.js';
import { parseAmount as amountOf, chainSettlement, tunnelPaying } from '../paying.js';
import { parsePort } from '../ports.js';
import { isLoopback, reachabilitySettings, reportReachability } from '../reachability.js';
import { type TunnelFlags, reportTunnels, tunnelSettings } from '../tunnelling.js';
import { until } from '../until.js';
import { formatSize, parseDuration, parseSize } from '../units.js';

/** Options of `granary farm`. */
export interface FarmOptions extends TunnelFlags, BrowserFlags {
  readonly data: string;
  readonly host: string;
  readonly port: string;
  readonly announce?: string[];
  readonly space: string;
  readonly reservation: string;
  readonly operator?: string;
  readonly price: string;
  readonly egressPrice: string;
  readonly credit?: string;
  readonly currency?: string;
  readonly rpc?: string;
  readonly chainId?: string;
  readonly contract?: string;
  readonly token?: string;
  readonly redeemAt?: string;
  readonly block?: string[];
  readonly leave?: boolean;
  readonly stay?: boolean;
  readonly metrics?: string;
  readonly app?: string;
  readonly withParent?: boolean;
}

/** `granary farm`: run a storage node until a signal comes. */
export async function farm(context: Context, options: FarmOptions): Promise<void> {
  const { Farmer, collectFarmerMetrics } = await import('@granary/farmer');
  const {
    EventLog,
    Identity,
    Metrics,
    PeerWatch,
    loadIdentity,
    parseAddress,
    saveIdentity,
    systemClock,
  } = await import('@granary/kad');
  const { dialer, output, logger, config, signal } = context;
  const port = parsePort(options.port);
  const appAt = options.app === undefined ? undefined : parseListen(options.app, '--app', 9080);
  for (const address of [...(options.announce ?? []), ...(config.bootstrap ?? [])]) {
    if (parseAddress(address).scheme !== 'https') {
      throw new CliError('CLI_USAGE', `${address}: farmers listen at https:// addresses`);
    }
  }
  if (dialer !== undefined) await checkHidden(options, dialer.proxy, context);
  const identityFile = join(options.data, 'identity.json');
  const exists = await readFile(identityFile).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      if (error.code !== 'ENOTDIR') throw error;
      throw new CliError('CLI_USAGE', `--data ${options.data}: it is a file, not a directory`);
    },
  );
  if (!exists) await saveIdentity(identityFile, Identity.generate());
  const identity = await loadIdentity(identityFile);
  const metrics = options.metrics === undefined ? undefined : await Metrics.create();
  const watch = wantsDashboard(context) ? new PeerWatch() : undefined;
  const settlement = await chainSettlement(config, identity, dialer);
  const redeemAt = options.redeemAt === undefined ? 1n : amountOf('--redeem-at', options.redeemAt);
  const reachability =
    dialer === undefined ? await reachabilitySettings(options, config) : undefined;
  const browsers = await browserDoor(options, context);
  const farmer = await Farmer.open({
    directory: options.data,
    identity,
    host: options.host,
    port,
    ...(options.announce !== undefined && { announce: options.announce }),
    ...(reachability !== undefined && { reachability }),
    tunnels: tunnelSettings(options, config),
    ...(browsers !== undefined && { browsers: browsers.listener }),
    ...(dialer !== undefined && { dialer }),
    bootstrap: config.bootstrap ?? [],
    quotaBytes: parseSize(options.space),
    reservationMs: parseDuration(options.reservation),
    policy: {
      operator: options.operator ?? null,
      ...(options.currency !== undefined && { currency: options.currency }),
      storagePrice: amountOf('--price', options.price).toString(),
      egressPrice: amountOf('--egress-price', options.egressPrice).toString(),
    },
    payments: {
      redeemAt,
      tunnelPrice: amountOf('--tunnel-price', options.tunnelPrice),
      tunnels: tunnelPaying(config),
      ...(settlement !== undefined && { settlement }),
      ...(options.credit !== undefined && { creditLimit: amountOf('--credit', options.credit) }),
    },
    blockedRenters: options.block ?? [],
    difficulty: config.difficulty ?? 0,
    plugins: [
      new EventLog(),
      ...(metrics === undefined ? [] : [metrics]),
      ...(watch === undefined ? [] : [watch]),
    ],
    logger,
  });
  const ending = new AbortController();
  const { certificate } = browsers ?? {};
  const keeping =
    certificate &&
    keepCertificate(
      certificate,
      (pair) => farmer.renewBrowserCertificate(pair),
      logger,
      ending.signal,
    );
  let metricsServer: MetricsServer | undefined;
  let dashboard: DashboardServer | undefined;
  let app: OpenApp | undefined;
  try {
    if (options.metrics !== undefined && metrics !== undefined) {
      const { registry } = metrics;
      await collectFarmerMetrics(farmer, registry);
      metricsServer = await serveMetrics(options.metrics, async () => ({
        text: await registry.metrics(),
        type: registry.contentType,
      }));
    }
    dashboard = await openDashboard(context, async () => {
      const { FarmerSource } = await import('../dashboard/farmer-source.js');
      return new FarmerSource(farmer, watch!, systemClock, logger);
    });
    if (appAt !== undefined) {
      const { openApp } = await import('../app/open-app.js');
      const { BrowserAddresses } = await import('../app/browser-addresses.js');
      const known = BrowserAddresses.by(farmer.node, farmer.browserAddresses);
      app = await openApp(context, appAt, known);
    }
    const { nodeId, address, port: listening, freeBytes, shards } = farmer.stats();
    const metricsUrl = metricsServer?.url ?? null;
    const where = address === '' ? `on port ${listening}` : `at ${address}`;
    output.result({
      event: 'ready',
      nodeId,
      address: address === '' ? null : address,
      port: listening,
      pid: process.pid,
      metrics: metricsUrl,
      browsers: farmer.browserAddresses,
      dashboard: dashboard?.url ?? null,
      app: app?.url ?? null,
    });
    output.line(
      `Farming ${where} as ${nodeId}: ${formatSize(freeBytes)} free, ${shards} shards held. Ctrl-C stops.`,
    );
    for (const one of farmer.browserAddresses)
      output.line(`Renters in browsers reach it at ${one}`);
    if (farmer.reachability !== undefined) {
      output.line('Looking how others can reach this node …');
      if (farmer.reachability.status.checkedAt !== undefined) {
        reportReachability(output, farmer.reachability.status);
      }
      farmer.reachability.onChange((status) => reportReachability(output, status));
    }
    farmer.tunnels?.onChange((status) => reportTunnels(output, status));
    if (metricsServer !== undefined) output.line(`Metrics at ${metricsServer.url}`);
    if (dashboard !== undefined) output.line(`Dashboard at ${dashboard.url}`);
    if (app !== undefined) output.line(`The app, and share links, at ${app.url}`);
    if (options.stay === true) await farmer.stay();
    if (options.leave === true) await farmer.leave();
    const stopped = until(signal, options.withParent === true);
    if (farmer.stats().leaving) await untilEmpty(farmer, stopped, context);
    else await stopped;
  } finally {
    ending.abort();
    await keeping;
    await app?.close();
    await metricsServer?.close();
    await dashboard?.close();
    await farmer.stop();
    // An open stdin would keep the process alive.
    process.stdin.destroy();
  }
}

/**
 * Behind a proxy a farmer announces what it is told to, and nothing else.
 *
 * @throws CliError CLI_USAGE when it is told nothing.
 */
async function checkHidden(
  { announce = [], host, browserPort }: FarmOptions,
  proxy: string,
  { config, logger }: Context,
): Promise<void> {
  const { hiddenNetworkOf, parseAddress } = await import('@granary/kad');
  if (announce.length === 0) {
    throw new CliError(
      'CLI_USAGE',
      'behind a proxy a farmer does not announce where it is: name the address of its onion ' +
        'service with --announce https://….onion:PORT (docs/tor.md)',
    );
  }
  if (browserPort !== undefined) {
    throw new CliError(
      'CLI_USAGE',
      '--browser-port with --proxy would tell where this machine is: leave out one of them',
    );
  }
  if (config.portMapping === 'always') {
    throw new CliError(
      'CLI_USAGE',
      '--port-mapping always with --proxy would tell where this machine is: leave out one of them',
    );
  }
  logger.info({ proxy }, 'all connections go through the proxy; no port is mapped');
  for (const address of announce) {
    if (hiddenNetworkOf(parseAddress(address).host) !== undefined) continue;
    logger.warn({ address }, 'everybody is told this address: it must not lead to this machine');
  }
  if (!isLoopback(host)) {
    logger.warn({ host }, 'whoever reaches this address can tell which node is here');
  }
}

/** Wait until renters have taken over every shard, or until we are stopped. */
async function untilEmpty(
  farmer: Farmer,
  stopped: Promise<void>,
  { output }: Context,
): Promise<void> {
  const show = (shards: number) => {
    output.result({ event: 'leaving', shards });
    output.line(
      `Leaving: ${shards} shards are still here; renters take them over when they next look after ` +
        'their data (granary repair). Ctrl-C stops, and the next start goes on leaving (--stay: not).',
    );
  };
  let over = false;
  void stopped.then(() => (over = true));
  let last = farmer.stats().shards;
  show(last);
  while (!over && last > 0) {
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 1000).unref())]);
    const { shards } = farmer.stats();
    if (shards !== last) show(shards);
    last = shards;
  }
  if (over) return;
  output.result({ event: 'left' });
  output.line('Left: no shard is here any more. The directory can be removed.');
}
