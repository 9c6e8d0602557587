import { createServer } from 'node:net';
import DHT from 'dht-rpc';
import type { PeerSystem } from './peer-system.js';

const HOST = '127.0.0.1';

/** A port that is free now: dht-rpc's first node wants to be told its own. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** dht-rpc over UDP. It neither signs nor encrypts; a node's ID is the hash of its address. */
export const dhtRpc: PeerSystem = {
  async start(bootstrap) {
    let dht: DHT;
    if (bootstrap === undefined) {
      dht = DHT.bootstrapper(await freePort(), HOST, { host: HOST });
    } else {
      const [host, port] = bootstrap.split(':');
      dht = new DHT({
        host: HOST,
        bootstrap: [{ host: host!, port: Number(port) }],
        // A full node, which is in others' tables, from the beginning.
        ephemeral: false,
        firewalled: false,
      });
    }
    await dht.fullyBootstrapped();
    if (dht.id === null) throw new Error('dht-rpc gave the node no ID');
    return {
      id: Buffer.from(dht.id).toString('hex'),
      address: `${HOST}:${dht.address()!.port}`,
      async lookup(random) {
        const query = dht.findNode(random);
        await query.finished();
        return {
          target: Buffer.from(random).toString('hex'),
          found: query.closestReplies.map(({ from }) => Buffer.from(from.id).toString('hex')),
          messages: query.successes + query.errors,
        };
      },
      stop: () => dht.destroy(),
    };
  },
};
