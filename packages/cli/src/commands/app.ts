import { siteDirectory } from '@granary/web';
import { AppServer } from '../app/app-server.js';
import { BrowserAddresses } from '../app/browser-addresses.js';
import { CliError } from '../cli-error.js';
import type { Context } from '../context.js';
import { isLoopback } from '../reachability.js';

/** Options of `granary app`. */
export interface AppOptions {
  readonly listen: string;
}

/** Where to listen. @throws CliError CLI_USAGE. */
export function parseListen(text: string, option = '--listen'): { host: string; port: number } {
  const at = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(at?.[3]);
  if (at === null || port > 65_535) {
    throw new CliError('CLI_USAGE', `${option} ${text}: write HOST:PORT, such as 127.0.0.1:9080`);
  }
  return { host: at[1] ?? at[2]!, port };
}

/** `granary app`: serve the app for renters until a signal comes. */
export async function app(context: Context, options: AppOptions): Promise<void> {
  const { config, logger, output, signal } = context;
  const { host, port } = parseListen(options.listen);
  const addresses = await BrowserAddresses.open(context);
  let server: AppServer | undefined;
  try {
    server = await AppServer.start({
      host,
      port,
      site: siteDirectory,
      network: async () => ({
        bootstrap: addresses.list,
        ...(config.scheme !== undefined && { scheme: config.scheme }),
        ...(config.diversity !== undefined && { diversity: config.diversity }),
      }),
      logger,
    });
    output.result({
      event: 'ready',
      url: server.url,
      bootstrap: addresses.list,
      pid: process.pid,
    });
    output.line(`The app is at ${server.url} (Ctrl-C stops)`);
    if (!isLoopback(host)) {
      output.line(
        'Browsers encrypt on pages that come over HTTPS, or from their own machine: put a proxy with a certificate before it.',
      );
    }
    output.line(
      addresses.list.length > 0
        ? `Pages join the network by ${addresses.list.join(' and ')}`
        : 'No farmer is known that pages can reach (granary farm --browser-port): users have to type addresses. Name some with --bootstrap.',
    );
    await new Promise<void>((done) => {
      if (signal.aborted) return done();
      signal.addEventListener('abort', () => done(), { once: true });
    });
  } finally {
    await server?.close();
    await addresses.close();
  }
}
