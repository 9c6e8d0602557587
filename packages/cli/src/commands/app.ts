import { openApp } from '../app/open-app.js';
import type { Context } from '../context.js';
import { parseListen } from '../listen-address.js';
import { isLoopback } from '../reachability.js';
import { until } from '../until.js';

/** Options of `granary app`. */
export interface AppOptions {
  readonly listen: string;
}

/** `granary app`: serve the app for renters until a signal comes. */
export async function app(context: Context, options: AppOptions): Promise<void> {
  const { output, signal } = context;
  const listen = parseListen(options.listen, '--listen', 9080);
  const server = await openApp(context, listen);
  try {
    const { url, bootstrap } = server;
    output.result({ event: 'ready', url, bootstrap, pid: process.pid });
    output.line(`The app is at ${url} (Ctrl-C stops)`);
    if (!isLoopback(listen.host)) {
      output.line(
        'Browsers encrypt on pages that come over HTTPS, or from their own machine: put a proxy with a certificate before it.',
      );
    }
    output.line(
      bootstrap.length > 0
        ? `Pages join the network by ${bootstrap.join(' and ')}`
        : 'No farmer is known that pages can reach (granary farm --browser-port): users have to type addresses. Name some with --bootstrap.',
    );
    await until(signal);
  } finally {
    await server.close();
  }
}
