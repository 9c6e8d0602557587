import type { BridgeMetrics, JournalBackend, MetadataStore } from '@granary/bridge';
import { answerOf } from '@granary/bridge/client';
import { type Logger, PeerWatch, systemClock, systemRandom } from '@granary/kad';
import { parseScheme } from '@granary/protocol';
import { type Renter, defaultSettings } from '@granary/renter';
import type { OpenApp } from '../app/open-app.js';
import { type BridgeDatabaseOptions, withMetadata } from '../bridge-context.js';
import { type TlsOptions, tlsSource } from '../bridge-tls.js';
import { keepCertificate } from '../certificate-source.js';
import { CliError } from '../cli-error.js';
import { type Context, withRenter } from '../context.js';
import type { DashboardServer } from '../dashboard/dashboard-server.js';
import { openDashboard, wantsDashboard } from '../dashboard/open-dashboard.js';
import { parseListen } from '../listen-address.js';
import { type MetricsServer, serveMetrics } from '../metrics-server.js';
import { RequestTally } from '../dashboard/request-tally.js';
import { parseDuration, parseSize } from '../units.js';
import { until } from '../until.js';
import { type NewKey, makeKey } from './access-keys.js';

/** Options of `granary bridge`. */
export interface BridgeOptions extends BridgeDatabaseOptions, TlsOptions {
  readonly listen: string;
  readonly region: string;
  readonly domain?: string[];
  readonly metrics?: string;
  readonly app?: string;
  readonly inline: string;
  readonly pack: string;
  readonly journalInterval: string;
  readonly new?: boolean;
  readonly requests: string;
  readonly transfers: string;
  readonly grace: string;
  readonly care: boolean;
}

/** `granary bridge`: an S3 endpoint into the network, until a signal comes. */
export async function bridge(
  context: Context,
  options: BridgeOptions,
  version: string,
): Promise<void> {
  const { host, port } = parseListen(options.listen, '--listen', 9000);
  const appAt = options.app === undefined ? undefined : parseListen(options.app, '--app', 9080);
  const requests = countOf('--requests', options.requests);
  const transfers = countOf('--transfers', options.transfers);
  const domains = (options.domain ?? []).map((domain) => domain.toLowerCase());
  const packMs = parseDuration(options.pack);
  const settings = {
    host,
    port,
    region: options.region,
    domains,
    inlineBytes: parseSize(options.inline),
    packMs,
    roundMs: Math.max(1000, packMs / 2),
    journalMs: parseDuration(options.journalInterval),
    serverLimits: { requests },
  };
  const everywhere = host === '0.0.0.0' || host === '::';
  const names = [...(everywhere ? [] : [host]), ...domains, ...domains.map((name) => `*.${name}`)];
  const tls = await tlsSource(options, context, names);
  const graceMs = parseDuration(options.grace);
  const watch = wantsDashboard(context) ? new PeerWatch() : undefined;
  const tally = watch === undefined ? undefined : new RequestTally();
  const plugins = watch === undefined ? [] : [watch];
  const serve = async (metadata: MetadataStore, renter: Renter) => {
    const { Bridge, BridgeMetrics, RenterBackend } = await import('@granary/bridge');
    const { logger, signal } = context;
    const metrics = options.metrics === undefined ? undefined : await BridgeMetrics.create();
    const backend = new RenterBackend(renter, transfers);
    if (options.new !== true) await checkNotLost(metadata, backend);
    const key = await firstKey(metadata, logger);
    const running = await Bridge.start({
      ...settings,
      metadata,
      backend,
      journal: backend,
      ...(tls !== undefined && { tls: tls.pair }),
      ...(metrics !== undefined && { metrics }),
      ...(tally !== undefined && { onRequest: (figures) => tally.note(figures) }),
      version,
      logger,
      clock: systemClock,
      random: systemRandom,
    });
    let metricsServer: MetricsServer | undefined;
    let dashboard: DashboardServer | undefined;
    let app: OpenApp | undefined;
    try {
      metricsServer = await openMetrics(options.metrics, metrics);
      dashboard = await openDashboard(context, async () => {
        const { BridgeSource } = await import('../dashboard/bridge-source.js');
        const { scheme, dashboardNames } = context.config;
        return new BridgeSource({
          bridge: running,
          renter,
          metadata,
          tally: tally!,
          watch: watch!,
          region: options.region,
          scheme: scheme === undefined ? defaultSettings.scheme : parseScheme(scheme),
          care: options.care,
          names: dashboardNames === 'show',
          clock: systemClock,
          logger,
        });
      });
      if (appAt !== undefined) {
        const { openApp } = await import('../app/open-app.js');
        app = await openApp(context, appAt);
      }
      announce(context, {
        url: running.url,
        region: options.region,
        key,
        metrics: metricsServer?.url,
        dashboard: dashboard?.url,
        app: app?.url,
        trust: tls?.trust,
      });
      const use = running.useCertificate.bind(running);
      await Promise.all([
        until(signal),
        options.care ? care(context, renter) : undefined,
        // A service that is told to reload must not end; a terminal that is gone ends what ran in it.
        tls !== undefined || process.stdin.isTTY !== true
          ? keepCertificate(tls, use, logger, signal)
          : undefined,
      ]);
      context.output.note('letting requests under way end…');
    } finally {
      await running.close(graceMs);
      await app?.close();
      await dashboard?.close();
      await metricsServer?.close();
    }
  };
  await withMetadata(context, options, (metadata) =>
    withRenter(context, (renter) => serve(metadata, renter), {}, plugins),
  );
}

function countOf(option: string, text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 100_000) return count;
  throw new CliError('CLI_USAGE', `${option} ${text}: a number from 1 to 100000`);
}

/** An empty database where there was another before would show empty buckets to those who had full ones. */
async function checkNotLost(metadata: MetadataStore, backend: JournalBackend): Promise<void> {
  const { hasJournal } = await import('@granary/bridge');
  if ((await metadata.listUsers({ limit: 1 })).length > 0) return;
  if (!(await hasJournal(backend))) return;
  throw new CliError(
    'CLI_EXISTS',
    "the bridge's database is empty, and the network has one of these keys: " +
      '"granary bridge recover" brings it back, --new begins with an empty one',
  );
}

/** A bridge that has no users gets one, with a key to begin with. */
async function firstKey(metadata: MetadataStore, logger: Logger): Promise<NewKey | undefined> {
  if ((await metadata.listUsers({ limit: 1 })).length > 0) return undefined;
  const { createLocalClient } = await import('@granary/bridge');
  const { systemClock, systemRandom } = await import('@granary/kad');
  const parts = { metadata, clock: systemClock, random: systemRandom, logger };
  const client = createLocalClient(parts);
  const body = { name: 'admin', admin: true };
  const user = answerOf(await client.POST('/users', { body }));
  return makeKey(client, user.id, { description: 'made at first start' });
}

async function openMetrics(
  where: string | undefined,
  metrics: BridgeMetrics | undefined,
): Promise<MetricsServer | undefined> {
  if (where === undefined || metrics === undefined) return undefined;
  const { registry } = metrics;
  return serveMetrics(where, async () => ({
    text: await registry.metrics(),
    type: registry.contentType,
  }));
}

/** Audits, renewals and repair, since nobody else does them for what the bridge stores. */
async function care({ logger, signal }: Context, renter: Renter): Promise<void> {
  await renter
    .keepCare(signal, (result) => {
      if ('error' in result) logger.warn({ error: String(result.error) }, 'a round of care failed');
      else logger.info(result, 'a round of care');
    })
    .catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
}

interface Announcement {
  readonly url: string;
  readonly region: string;
  readonly key: NewKey | undefined;
  readonly metrics: string | undefined;
  readonly dashboard: string | undefined;
  readonly app: string | undefined;
  readonly trust: string | undefined;
}

function announce({ output }: Context, about: Announcement): void {
  const { url, region, key, metrics, dashboard, app, trust } = about;
  output.result({
    event: 'ready',
    url,
    region,
    pid: process.pid,
    metrics: metrics ?? null,
    dashboard: dashboard ?? null,
    app: app ?? null,
    ...(trust !== undefined && { certificate: trust }),
    ...key,
  });
  output.line(`S3 at ${url}, region ${region}. Ctrl-C stops.`);
  output.line(`REST at ${url}/_granary/v1, described by ${url}/_granary/v1/openapi.json`);
  if (metrics !== undefined) output.line(`Metrics at ${metrics}`);
  if (dashboard !== undefined) output.line(`Dashboard at ${dashboard}`);
  if (app !== undefined) output.line(`The app, and share links, at ${app}`);
  if (trust !== undefined) {
    output.line(`
No authority vouches for its certificate, so clients have to be told to trust it:

  aws --ca-bundle ${trust} …     rclone --ca-cert, restic --cacert, curl --cacert`);
  }
  if (key === undefined) {
    output.line('Keys: granary access-keys list, granary access-keys add --user NAME');
    return;
  }
  const { accessKeyId, secretAccessKey } = key;
  output.line(`
The first user is "admin". Its key, whose secret is not shown again:

  export AWS_ACCESS_KEY_ID=${accessKeyId}
  export AWS_SECRET_ACCESS_KEY=${secretAccessKey}
  export AWS_DEFAULT_REGION=${region}

With these set, try:

  aws --endpoint-url ${url} s3 mb s3://first
  aws --endpoint-url ${url} s3 cp README.md s3://first/
  rclone ls ":s3,provider=Other,env_auth,endpoint='${url}':first"
  restic -r s3:${url}/backups init

More keys: granary access-keys add --user NAME`);
}
