import {
  HttpsTransport,
  Identity,
  KademliaNode,
  MemoryValueStore,
  createTlsCredentials,
} from '@granary/kad';

/** A node over HTTPS on loopback, with the defaults. */
export async function startHttpsNode(): Promise<KademliaNode> {
  const identity = Identity.generate();
  const transport = new HttpsTransport({
    credentials: await createTlsCredentials(identity),
    listen: { host: '127.0.0.1', port: 0 },
  });
  const node = new KademliaNode({ identity, transport, storage: new MemoryValueStore() });
  await node.start();
  return node;
}
