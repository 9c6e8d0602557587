import './with-resolvers.js';
import { createHash } from 'node:crypto';
import { type KadDHT, kadDHT, passthroughMapper } from '@libp2p/kad-dht';
import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import type { PeerSystem } from './peer-system.js';

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function createNode() {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // The default lets five connections a second in from one host, and here all are one host.
    connectionManager: { inboundConnectionThreshold: 10_000, maxIncomingPendingConnections: 1000 },
    services: {
      identify: identify(),
      ping: ping(),
      dht: kadDHT({
        clientMode: false,
        // Loopback addresses would be left out.
        peerInfoMapper: passthroughMapper,
        // The default waits a second before the first lookup of one's own ID.
        initialQuerySelfInterval: 50,
      }),
    },
  });
}

/** Dial, and wait until the node has looked up its own ID. */
async function join(node: Awaited<ReturnType<typeof createNode>>, bootstrap: string) {
  const own = new Promise<boolean>((resolve) => {
    node.addEventListener('kad-dht:query:self' as never, () => resolve(true));
    // Its first lookup is given up after five seconds, without an event, and comes again after
    // five minutes.
    setTimeout(() => resolve(false), 6_000);
  });
  await node.dial(multiaddr(bootstrap), { signal: AbortSignal.timeout(10_000) });
  if (await own) return;
  await lookUp(node.services.dht, node.peerId.toMultihash().bytes, AbortSignal.timeout(20_000));
}

/** A lookup to its end. */
async function lookUp(dht: KadDHT, key: Uint8Array, signal?: AbortSignal) {
  const found: string[] = [];
  let messages = 0;
  for await (const event of dht.getClosestPeers(key, signal === undefined ? {} : { signal })) {
    if (event.name === 'SEND_QUERY') messages += 1;
    if (event.name === 'FINAL_PEER') found.push(hash(event.peer.id.toMultihash().bytes));
  }
  return { target: hash(key), found, messages };
}

/** @libp2p/kad-dht over TCP, Noise and Yamux, with its defaults but for what is said above. */
export const libp2pKad: PeerSystem = {
  async start(bootstrap) {
    const node = await createNode();
    const dht: KadDHT = node.services.dht;
    if (bootstrap !== undefined) {
      try {
        await join(node, bootstrap);
      } catch (error) {
        await node.stop();
        throw error;
      }
    }
    return {
      id: hash(node.peerId.toMultihash().bytes),
      address: node.getMultiaddrs()[0]!.toString(),
      lookup: (random) => lookUp(dht, random),
      async stop() {
        await node.stop();
      },
    };
  },
};
