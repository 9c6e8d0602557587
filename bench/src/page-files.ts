import { readFile } from 'node:fs/promises';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';

/**
 * Serve a folder on loopback.
 *
 * @param headers - that all answers have
 * @param other - answers what it returns true for
 */
export async function serveFiles(
  folder: string,
  headers: Readonly<Record<string, string>> = {},
  other: (path: string, request: IncomingMessage, response: ServerResponse) => boolean = () =>
    false,
): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://x').pathname);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (other(path, request, response)) return;
    readFile(join(folder, path === '/' ? 'index.html' : path)).then(
      (body) => {
        const script = extname(path) === '.js';
        response.writeHead(200, { 'content-type': script ? 'text/javascript' : 'text/html' });
        response.end(body);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
