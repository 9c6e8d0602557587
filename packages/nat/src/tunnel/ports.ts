import { createServer, type Server, type Socket } from 'node:net';
import { type NodeId, fromHex, sha256 } from '@granary/kad';
import { NatError } from '../errors.js';

/** The ports that a tunnel gives to its clients, first and last. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** Where clients are found when nothing else was said: not used by much else, and not ephemeral. */
export const DEFAULT_PORTS: PortRange = { from: 21_000, to: 21_999 };

/** The most ports that are tried for one client. */
const MAX_TRIES = 64;

/**
 * The port of a range that a client is given when it is free. It depends on nothing but the two, so
 * that a client gets the address that it has announced back after either side was restarted.
 */
export function preferredPort(client: NodeId, { from, to }: PortRange): number {
  const digest = sha256(fromHex(client));
  return from + (new DataView(digest.buffer, digest.byteOffset).getUint32(0) % (to - from + 1));
}

/**
 * Listen for a client on its preferred port, or on the next that is free.
 *
 * @throws NatError NAT_TUNNEL_REFUSED when none is.
 */
export async function listenFor(
  client: NodeId,
  { host, range }: { host: string; range: PortRange },
  onConnection: (socket: Socket) => void,
): Promise<{ server: Server; port: number }> {
  const size = range.to - range.from + 1;
  const first = preferredPort(client, range) - range.from;
  for (let i = 0; i < Math.min(size, MAX_TRIES); i += 1) {
    const port = range.from + ((first + i) % size);
    const server = createServer({ allowHalfOpen: true, noDelay: true }, onConnection);
    if (await listenAt(server, host, port)) return { server, port };
  }
  throw new NatError('NAT_TUNNEL_REFUSED', 'no port is free for another client');
}

/** Whether the port was free. @throws NatError NAT_TUNNEL_REFUSED when it is something else. */
function listenAt(server: Server, host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') return resolve(false);
      const message = `cannot listen on ${host}:${port} for tunnels: ${error.message}`;
      reject(new NatError('NAT_TUNNEL_REFUSED', message, { cause: error }));
    };
    server.once('error', onError);
    server.listen({ host, port }, () => {
      server.removeListener('error', onError);
      resolve(true);
    });
  });
}
