import { createTlsCredentials } from './certificate.js';
import { CombinedTransport } from './combined-transport.js';
import { HttpsTransport } from './https-transport.js';
import { Identity } from './identity.js';
import { MemoryNetwork, MemoryTransport } from './memory-transport.js';
import type { ConformanceNetwork, ConformanceNode } from './transport-conformance.js';
import type { Transport } from './transport.js';
import { WebSocketListener } from './websocket-listener.js';
import { WebSocketTransport } from './websocket-transport.js';

/** Networks of real sockets: every transport of one kind, with what it takes to make it again. */
function socketNetwork(
  deadAddress: string,
  make: (identity: Identity, port: number) => Promise<Transport>,
): ConformanceNetwork {
  const identities = new Map<string, Identity>();
  const create = async (identity: Identity, port: number): Promise<ConformanceNode> => {
    identities.set(identity.nodeId, identity);
    return { nodeId: identity.nodeId, transport: await make(identity, port) };
  };
  const ports = new WeakMap<Transport, () => number>();
  return {
    create: async () => {
      const node = await create(Identity.generate(), 0);
      let known = 0;
      // Addresses are gone when a transport is closed: remember them while they are there.
      ports.set(node.transport, () => {
        const [address] = node.transport.addresses;
        if (address !== undefined) known = Number(new URL(address).port);
        return known;
      });
      return node;
    },
    restart: (node) => create(identities.get(node.nodeId)!, ports.get(node.transport)!()),
    deadAddress: () => deadAddress,
    close: () => Promise.resolve(),
  };
}

const host = '127.0.0.1';

/** Every transport of the package, under the name of its kind. */
export const transportNetworks: Record<string, () => Promise<ConformanceNetwork>> = {
  memory: () => {
    const network = new MemoryNetwork();
    const addresses = new Map<string, string>();
    let next = 1;
    const create = (nodeId: string): ConformanceNode => ({
      nodeId,
      transport: new MemoryTransport(network, nodeId, addresses.get(nodeId)),
    });
    return Promise.resolve({
      create: () => {
        const { nodeId } = Identity.generate();
        addresses.set(nodeId, `https://node-${next++}.test:1`);
        return Promise.resolve(create(nodeId));
      },
      restart: ({ nodeId }) => Promise.resolve(create(nodeId)),
      deadAddress: () => 'https://nobody.test:1',
      close: () => Promise.resolve(),
    });
  },
  https: () =>
    Promise.resolve(
      socketNetwork(
        `https://${host}:1`,
        async (identity, port) =>
          new HttpsTransport({
            credentials: await createTlsCredentials(identity),
            listen: { host, port },
          }),
      ),
    ),
  'WebSockets in the clear': () =>
    Promise.resolve(
      socketNetwork(`ws://${host}:1`, (identity, port) =>
        Promise.resolve(
          new WebSocketTransport({
            identity,
            listener: WebSocketListener.standalone({ host, port }),
          }),
        ),
      ),
    ),
  'https and WebSockets on one port': () =>
    Promise.resolve(
      socketNetwork(`https://${host}:1`, async (identity, port) => {
        const credentials = await createTlsCredentials(identity);
        const https = new HttpsTransport({ credentials, listen: { host, port } });
        const sockets = new WebSocketTransport({
          identity,
          credentials,
          listener: WebSocketListener.beside(https),
        });
        return new CombinedTransport([https, sockets]);
      }),
    ),
  'WebSockets inside TLS': () =>
    Promise.resolve(
      socketNetwork(`wss://${host}:1`, async (identity, port) => {
        const credentials = await createTlsCredentials(identity);
        const https = new HttpsTransport({ credentials, listen: { host, port } });
        const sockets = new WebSocketTransport({
          identity,
          credentials,
          listener: WebSocketListener.beside(https),
        });
        // The HTTPS server is there for its port only: nobody is told of it.
        return {
          get addresses() {
            return sockets.addresses;
          },
          listen: async (handler) => {
            await https.listen(handler);
            await sockets.listen(handler);
          },
          identify: (address, options) => sockets.identify(address, options),
          request: (to, message, options) => sockets.request(to, message, options),
          isConnected: (nodeId) => sockets.isConnected(nodeId),
          close: async () => {
            await sockets.close();
            await https.close();
          },
        };
      }),
    ),
};
