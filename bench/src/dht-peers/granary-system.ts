import {
  HttpsTransport,
  Identity,
  KademliaNode,
  MemoryValueStore,
  type Transport,
  createTlsCredentials,
} from '@granary/kad';
import type { PeerSystem } from './peer-system.js';

/** Our own DHT over a transport of ours, with the defaults. */
export function granarySystem(
  createTransport: (identity: Identity) => Promise<Transport>,
): PeerSystem {
  return {
    async start(bootstrap) {
      const identity = Identity.generate();
      const node = new KademliaNode({
        identity,
        transport: await createTransport(identity),
        storage: new MemoryValueStore(),
      });
      await node.start();
      try {
        if (bootstrap !== undefined) await node.join([bootstrap]);
      } catch (error) {
        await node.stop();
        throw error;
      }
      return {
        id: identity.nodeId,
        address: node.contact.addresses[0]!,
        async lookup(random) {
          const target = Buffer.from(random).toString('hex');
          const { contacts, messages } = await node.lookup(target);
          return { target, found: contacts.map(({ nodeId }) => nodeId), messages };
        },
        stop: () => node.stop(),
      };
    },
  };
}

/** Over HTTPS, the default. */
export const granaryHttps: PeerSystem = granarySystem(
  async (identity) =>
    new HttpsTransport({
      credentials: await createTlsCredentials(identity),
      listen: { host: '127.0.0.1', port: 0 },
    }),
);
