// WebTorrent over TCP, without trackers, DHT, local discovery, port mapping or WebRTC. On loopback.
import { Server } from 'node:net';
import WebTorrent from 'webtorrent';
import { serve } from './lines.mjs';

// It would listen on all addresses.
const listen = Server.prototype.listen;
Server.prototype.listen = function (port, ...rest) {
  const after = rest.filter((one) => typeof one === 'function');
  return listen.call(
    this,
    { port: typeof port === 'object' ? port.port : port, host: '127.0.0.1' },
    ...after,
  );
};

const [directory] = process.argv.slice(2);
const client = new WebTorrent({
  dht: false,
  tracker: false,
  lsd: false,
  utPex: false,
  natUpnp: false,
  natPmp: false,
  utp: false,
  webSeeds: false,
});
if (!client.listening) await new Promise((resolve) => client.once('listening', resolve));
const events = (torrent, name) =>
  new Promise((resolve, reject) => {
    torrent.once(name, resolve);
    torrent.once('error', reject);
  });

await serve(
  async ({ seed, torrent, from }) => {
    if (seed !== undefined) {
      const made = await new Promise((resolve) =>
        client.seed(seed, { announce: [], path: directory }, resolve),
      );
      return { torrent: Buffer.from(made.torrentFile).toString('base64') };
    }
    const added = client.add(Buffer.from(torrent, 'base64'), { announce: [], path: directory });
    await events(added, 'ready');
    const done = events(added, 'done');
    added.addPeer(`127.0.0.1:${from}`);
    await done;
    return { size: added.length };
  },
  { port: client.torrentPort },
);
process.exit(0);
