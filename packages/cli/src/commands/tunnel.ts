import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '@granary/kad';
import type { KademliaNode } from '@granary/kad';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import { type MetricsServer, serveMetrics } from '../metrics-server.js';
import { reachabilitySettings, reportReachability } from '../reachability.js';
import { type TillFlags, openTunnelTill } from '../tunnel-till.js';
import { type TunnelFlags, reportTunnels, tunnelBounds } from '../tunnelling.js';
import { until } from '../until.js';

/** Options of `granary tunnel`. */
export interface TunnelCommandOptions extends TunnelFlags, TillFlags {
  readonly data: string;
  readonly host: string;
  readonly port: string;
  readonly announce?: string[];
  readonly metrics?: string;
  readonly withParent?: boolean;
}

const REPORT_MS = 60_000;
const REJOIN_MS = 5_000;

/** `granary tunnel`: a node that takes connections for others, and stores nothing. */
export async function tunnel(context: Context, options: TunnelCommandOptions): Promise<void> {
  const {
    EventLog,
    HttpsTransport,
    Identity,
    KademliaNode,
    MemoryValueStore,
    Metrics,
    createTlsCredentials,
    loadIdentity,
    parseAddress,
    saveIdentity,
    standardPlugins,
  } = await import('@granary/kad');
  const { DialBack, Reachability, Tunnels } = await import('@granary/nat');
  const { config, dialer, logger, output, signal } = context;
  if (dialer !== undefined) {
    throw new CliError(
      'CLI_USAGE',
      'a tunnel has a public address: it is of no use behind a proxy',
    );
  }
  const port = Number(options.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new CliError('CLI_USAGE', `--port ${options.port}: a port is a number from 0 to 65535`);
  }
  const { announce, host } = options;
  const bootstrap = config.bootstrap ?? [];
  for (const address of [...(announce ?? []), ...bootstrap]) {
    if (parseAddress(address).scheme !== 'https') {
      throw new CliError('CLI_USAGE', `${address}: tunnels listen at https:// addresses`);
    }
  }
  await makeDirectory(options.data);
  const identityFile = join(options.data, 'identity.json');
  const exists = await stat(identityFile).then(
    () => true,
    () => false,
  );
  if (!exists) await saveIdentity(identityFile, Identity.generate());
  const identity = await loadIdentity(identityFile);
  const credentials = await createTlsCredentials(identity);
  const settings = await reachabilitySettings(
    { data: options.data, host, ...(announce && { announce }) },
    { ...config, portMapping: 'never' },
  );
  const first = announce ?? (settings === undefined ? undefined : []);
  const transport = new HttpsTransport({
    credentials,
    listen: { host, port },
    ...(first !== undefined && { announce: first }),
    logger,
  });
  const listeningPort = () => {
    const bound = transport.server?.address();
    return typeof bound === 'object' ? bound?.port : undefined;
  };
  const reachability =
    settings === undefined
      ? undefined
      : new Reachability({
          ...settings,
          port: listeningPort,
          bootstrap,
          ...(announce !== undefined && { announce }),
        });
  const till = await openTunnelTill(context, options.data, options, identity);
  const tunnels = new Tunnels({
    ...tunnelBounds(options),
    server: () => transport.server,
    credentials,
    use: 'never',
    offer: 'always',
    ...(reachability !== undefined && { reachability }),
    ...(till?.charges !== undefined && { accounts: till.charges }),
  });
  const metrics = options.metrics === undefined ? undefined : await Metrics.create();
  const node = new KademliaNode({
    identity,
    transport,
    storage: new MemoryValueStore(),
    plugins: [
      ...standardPlugins({ difficulty: config.difficulty ?? 0 }),
      new DialBack(),
      ...(reachability === undefined ? [] : [reachability]),
      tunnels,
      ...(till === undefined ? [] : [till.plugin]),
      new EventLog(),
      ...(metrics === undefined ? [] : [metrics]),
    ],
    logger,
  });
  let metricsServer: MetricsServer | undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    await node.start();
    if (options.metrics !== undefined && metrics !== undefined) {
      const { registry } = metrics;
      metricsServer = await serveMetrics(options.metrics, async () => ({
        text: await registry.metrics(),
        type: registry.contentType,
      }));
    }
    const address = node.contact.addresses[0] ?? null;
    output.result({
      event: 'ready',
      nodeId: identity.nodeId,
      address,
      port: listeningPort(),
      pid: process.pid,
      metrics: metricsServer?.url ?? null,
    });
    const where = address === null ? `on port ${listeningPort()}` : `at ${address}`;
    output.line(`A tunnel ${where} as ${identity.nodeId}. Ctrl-C stops.`);
    if (metricsServer !== undefined) output.line(`Metrics at ${metricsServer.url}`);
    reachability?.onChange((status) => reportReachability(output, status));
    tunnels.onChange((status) => reportTunnels(output, status));
    void joinNetwork(node, bootstrap, context);
    timer = setInterval(() => reportTunnels(output, tunnels.status), REPORT_MS);
    await until(signal, options.withParent === true);
  } finally {
    clearInterval(timer);
    await metricsServer?.close();
    await node.leave({ timeoutMs: 1_000 });
    await node.stop();
    await till?.close();
    // An open stdin would keep the process alive.
    process.stdin.destroy();
  }
}

/** Join; when nobody answers, again and again. */
async function joinNetwork(
  node: KademliaNode,
  bootstrap: readonly string[],
  { logger, signal }: Context,
): Promise<void> {
  while (bootstrap.length > 0 && !signal.aborted && node.running) {
    try {
      return await node.join(bootstrap, { signal });
    } catch (error) {
      if (signal.aborted || !node.running) return;
      const message = error instanceof Error ? error.message : String(error);
      logger.warn({ error: message }, 'no bootstrap node answers yet');
      await new Promise((resolve) =>
        setTimeout(resolve, REJOIN_MS * (0.5 + Math.random())).unref(),
      );
    }
  }
}
