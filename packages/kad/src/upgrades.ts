import type { IncomingMessage, Server } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';

/** Takes over a connection that a client wants to upgrade. */
export type UpgradeHandler = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

const routes = new WeakMap<Server | HttpsServer, Map<string, UpgradeHandler>>();

/** The path of a request, without its query. */
export function upgradePathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?')[0]!;
}

/**
 * Take upgrades at one path of a server, beside others that take theirs at other paths. What nobody
 * takes is refused with 404, unless somebody else listens for upgrades on the server.
 *
 * @returns a function that ends it
 */
export function routeUpgrades(
  server: Server | HttpsServer,
  path: string,
  handler: UpgradeHandler,
): () => void {
  let paths = routes.get(server);
  if (paths === undefined) {
    const mine = new Map<string, UpgradeHandler>();
    paths = mine;
    routes.set(server, mine);
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      const found = mine.get(upgradePathOf(request));
      if (found === undefined && server.listenerCount('upgrade') > 1) return;
      socket.on('error', () => socket.destroy());
      if (found !== undefined) return found(request, socket, head);
      refuseUpgrade(socket, '404 Not Found', 'KAD_NOT_FOUND', 'there is nothing at this path');
    });
  }
  paths.set(path, handler);
  return () => paths.delete(path);
}

/** Whether {@link routeUpgrades} takes a path of a server: for others that listen for upgrades. */
export function isUpgradeRouted(server: Server | HttpsServer, path: string): boolean {
  return routes.get(server)?.has(path) === true;
}

/** Answer an upgrade with an error and end the connection. */
export function refuseUpgrade(socket: Duplex, status: string, code: string, message: string): void {
  const body = JSON.stringify({ error: { code, message } });
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
