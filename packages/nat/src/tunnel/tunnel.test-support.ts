import type { AddressInfo } from 'node:net';
import {
  HttpsTransport,
  Identity,
  KademliaNode,
  type Plugin,
  type TlsCredentials,
  createTlsCredentials,
  silentLogger,
  systemClock,
} from '@granary/kad';
import {
  TunnelConnection,
  type TunnelConnectionOptions,
  type TunnelPeer,
} from './tunnel-connection.js';
import { TunnelServer, type TunnelServerOptions } from './tunnel-server.js';

/** A real node on loopback. */
export interface TestNode {
  readonly identity: Identity;
  readonly credentials: TlsCredentials;
  readonly transport: HttpsTransport;
  readonly node: KademliaNode;
  readonly port: number;
  /** Where it listens. */
  readonly address: string;
}

/** Start a node. Without `announce` it says that it is found where it listens. */
export async function startNode(
  options: { announce?: string[]; plugins?: Plugin[]; identity?: Identity } = {},
): Promise<TestNode> {
  const { announce, plugins = [], identity = Identity.generate() } = options;
  const credentials = await createTlsCredentials(identity);
  const transport = new HttpsTransport({
    credentials,
    listen: { host: '127.0.0.1', port: 0 },
    ...(announce && { announce }),
  });
  const node = new KademliaNode({ identity, transport, plugins });
  await node.start();
  const { port } = transport.server!.address() as AddressInfo;
  return { identity, credentials, transport, node, port, address: `https://127.0.0.1:${port}` };
}

/** Ports for the tests of this process: other tests run at the same time. */
export const TEST_PORTS = {
  from: 22_000 + ((process.pid * 100) % 8_000),
  to: 22_099 + ((process.pid * 100) % 8_000),
};

/** Make a node a tunnel. */
export function tunnelAt(
  { transport }: TestNode,
  options: Partial<TunnelServerOptions> = {},
): TunnelServer {
  return new TunnelServer({ server: transport.server!, ports: TEST_PORTS, ...options });
}

/** Open a tunnel from one node at another. */
export function openTunnel(
  from: TestNode,
  tunnel: TunnelPeer,
  options: Partial<TunnelConnectionOptions> = {},
): Promise<TunnelConnection> {
  return TunnelConnection.open({
    tunnel,
    nodeId: from.identity.nodeId,
    credentials: from.credentials,
    target: { host: '127.0.0.1', port: from.port },
    clock: systemClock,
    logger: silentLogger,
    ...options,
  });
}
