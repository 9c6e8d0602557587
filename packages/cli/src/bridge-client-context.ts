import type { BridgeClient } from '@granary/bridge/client';
import { BridgeProblem, createBridgeClient } from '@granary/bridge/client';
import { type BridgeDatabaseOptions, withMetadata } from './bridge-context.js';
import { CliError } from './cli-error.js';
import type { Context } from './context.js';
import { chainFetch } from './proxy.js';

/** The longest that a bridge is waited for; hashing a password takes a second, and others may wait. */
const TIMEOUT_MS = 60_000;

/** Options of commands that manage a bridge: one that runs somewhere, or the database of one. */
export interface BridgeTargetOptions extends BridgeDatabaseOptions {
  /** The address of a bridge; without it, the database is opened. */
  readonly bridge?: string;
}

/** What a command manages a bridge by. */
export interface BridgeTarget {
  readonly client: BridgeClient;
  /** Whether it is a bridge that runs, asked by a key; else its database, by who may read that. */
  readonly remote: boolean;
}

/**
 * Manage a bridge by its REST API: over the network when an address is given, else on its database,
 * without a bridge.
 *
 * @throws CliError CLI_USAGE, CLI_BRIDGE_UNREACHABLE; BridgeProblem.
 */
export async function withBridge<T>(
  context: Context,
  options: BridgeTargetOptions,
  work: (target: BridgeTarget) => Promise<T>,
): Promise<T> {
  const address = options.bridge ?? process.env['GRANARY_BRIDGE_URL'];
  if (address !== undefined && address !== '') {
    return work({ client: await remoteClient(context, address), remote: true });
  }
  const { createLocalClient } = await import('@granary/bridge');
  const { systemClock, systemRandom } = await import('@granary/kad');
  return withMetadata(context, options, (metadata) =>
    work({
      client: createLocalClient({
        metadata,
        clock: systemClock,
        random: systemRandom,
        logger: context.logger,
      }),
      remote: false,
    }),
  );
}

async function remoteClient(context: Context, address: string): Promise<BridgeClient> {
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) {
    throw new CliError('CLI_USAGE', `--bridge ${address}: write http://HOST:PORT or https://HOST`);
  }
  const url = new URL(address);
  if (url.protocol === 'http:' && !/^(localhost|127\..*|\[::1\])$/.test(url.hostname)) {
    context.output.note(`Anybody on the way to ${url.host} can read the key: use https.`);
  }
  const proxied = await chainFetch(address, context.dialer);
  const client = createBridgeClient({
    url: url.origin,
    credentials: credentialsFrom(process.env),
    ...(proxied !== undefined && { fetch: (request) => passedOn(proxied, request) }),
  });
  client.use({
    onRequest: ({ request }) =>
      new Request(request, {
        signal: AbortSignal.any([context.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      }),
    onError: ({ error }) => (context.signal.aborted ? undefined : unreachable(url, error)),
  });
  return client;
}

/** Another implementation of fetch does not know this one's requests. */
async function passedOn(to: typeof fetch, request: Request): Promise<Response> {
  const { url, method, headers, signal } = request;
  const body = method === 'GET' || method === 'HEAD' ? null : await request.text();
  return to(url, { method, headers: [...headers], body: body === '' ? null : body, signal });
}

function credentialsFrom(env: NodeJS.ProcessEnv): {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
} {
  const own = env['GRANARY_BRIDGE_KEY'];
  const pair =
    own === undefined
      ? [env['AWS_ACCESS_KEY_ID'], env['AWS_SECRET_ACCESS_KEY']]
      : [own.slice(0, Math.max(0, own.indexOf(':'))), own.slice(own.indexOf(':') + 1)];
  const [accessKeyId, secretAccessKey] = pair;
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey };
  throw new CliError(
    'CLI_USAGE',
    'to ask a bridge takes a key: set GRANARY_BRIDGE_KEY to ID:SECRET, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
  );
}

function unreachable(url: URL, error: unknown): CliError {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  const why = cause?.code ?? cause?.message ?? (error instanceof Error ? error.message : 'unknown');
  return new CliError('CLI_BRIDGE_UNREACHABLE', `no bridge answers at ${url.origin}: ${why}`);
}

/** Whether the bridge refused with this code. */
export function isProblem(error: unknown, code: string): boolean {
  return error instanceof BridgeProblem && error.code === code;
}
