// Helia with Bitswap over TCP, Noise and Yamux, its blocks in files; nothing else of the network: no
// bootstrap nodes, DHT, relays, mDNS or gateways. On loopback.
import '../dist/dht-peers/with-resolvers.js';
import { createReadStream } from 'node:fs';
import { withBitswap } from '@helia/bitswap';
import { withLibp2pLight } from '@helia/libp2p';
import { unixfs } from '@helia/unixfs';
import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { FsBlockstore } from 'blockstore-fs';
import { createHeliaLight } from 'helia';
import { CID } from 'multiformats/cid';
import { serve } from './lines.mjs';

const [directory] = process.argv.slice(2);
const blockstore = new FsBlockstore(directory);
await blockstore.open();
const helia = withBitswap(
  withLibp2pLight(createHeliaLight({ blockstore }), {
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
  }),
);
await helia.start();
const files = unixfs(helia);

await serve(
  async ({ add, dial, get }) => {
    if (dial !== undefined) {
      await helia.libp2p.dial(multiaddr(dial));
      return {};
    }
    if (add !== undefined) {
      const cid = await files.addByteStream(createReadStream(add, { highWaterMark: 1024 * 1024 }));
      return { cid: cid.toString() };
    }
    let size = 0;
    for await (const part of files.cat(CID.parse(get))) size += part.length;
    return { size };
  },
  { address: helia.libp2p.getMultiaddrs()[0].toString() },
);
await helia.stop();
process.exit(0);
