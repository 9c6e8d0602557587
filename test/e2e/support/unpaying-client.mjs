// A client of a tunnel that takes what it can get and signs for nothing. It serves endless bytes to itself
// through the tunnel, and prints how many came before none came any more.
// Arguments: the tunnel's node ID and address, a directory for its identity.
import { createServer } from 'node:tls';
import { join } from 'node:path';
import {
  Identity,
  createTlsCredentials,
  dialTls,
  directDialer,
  loadIdentity,
  parseAddress,
  saveIdentity,
  silentLogger,
  systemClock,
} from '@granary/kad';
import { TunnelConnection } from '@granary/nat';

const [nodeId, address, directory] = process.argv.slice(2);
const file = join(directory, 'unpaying.json');
const identity = await loadIdentity(file).catch(() => Identity.generate());
await saveIdentity(file, identity).catch(() => undefined);
const credentials = await createTlsCredentials(identity);
const server = createServer({ ...credentials, requestCert: true, rejectUnauthorized: false });
server.on('secureConnection', (socket) => {
  socket.on('error', () => socket.destroy());
  const more = () => {
    while (!socket.destroyed && socket.write(Buffer.alloc(64 * 1024)));
  };
  socket.on('drain', more);
  more();
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
// The tunnel says when it holds back what is not paid for.
let hold;
const held = new Promise((resolve) => (hold = resolve));
const connection = await TunnelConnection.open({
  tunnel: { nodeId, address },
  nodeId: identity.nodeId,
  credentials,
  target: { host: '127.0.0.1', port: server.address().port },
  clock: systemClock,
  logger: silentLogger,
  purse: {
    affords: () => true,
    sign: () => Promise.resolve(undefined),
    noted: () => Promise.resolve(),
    held: () => hold(),
    ended: () => undefined,
  },
});
const { host, port } = parseAddress(connection.address);
let received = 0;
const sockets = [];
const open = async () => {
  const options = { dialer: directDialer, host, port, credentials, timeoutMs: 60_000 };
  const socket = await dialTls({ ...options, expectedNodeId: identity.nodeId });
  sockets.push(socket);
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => (received += data.length));
};
for (let i = 0; i < 3; i += 1) open().catch(() => undefined);
await held;
// What was on its way may still come.
for (let last = -1; last !== received;) {
  last = received;
  await new Promise((resolve) => setTimeout(resolve, 2_000));
}
console.log(JSON.stringify({ received }));
process.exit(0);
