import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CliError } from './cli-error.js';
import { parseListen } from './listen-address.js';

/** A server of Prometheus metrics. */
export interface MetricsServer {
  /** Where it listens, as `http://HOST:PORT/metrics`. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serve metrics over HTTP at `/metrics`. Whoever can connect can read them: listen on loopback or
 * behind a firewall.
 *
 * @param where - HOST:PORT; port 0 takes any that is free
 * @param collect - the metrics in Prometheus' text format, and its content type
 * @throws CliError CLI_USAGE when that is no address, or it can't be listened on.
 */
export async function serveMetrics(
  where: string,
  collect: () => Promise<{ text: string; type: string }>,
): Promise<MetricsServer> {
  const { host, port } = parseListen(where, '--metrics', 9464);
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000 });
  server.maxConnections = 32;
  server.on('request', (request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('metrics are at /metrics\n');
      return;
    }
    collect().then(
      ({ text, type }) => response.writeHead(200, { 'content-type': type }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new CliError('CLI_USAGE', `--metrics ${where}: can't listen there: ${error.code ?? ''}`),
      ),
    );
    server.listen({ host, port }, resolve);
  });
  const bound = (server.address() as AddressInfo).port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
