// The other end of the TLS pump: takes bytes, and tells what CPU it took.
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { Identity, createTlsCredentials } from '@granary/kad';

const credentials = await createTlsCredentials(Identity.generate());
let left = 0;
let before = process.cpuUsage();
const server = createServer({ ...credentials }, (socket) => {
  socket.on('data', (data) => {
    left -= data.length;
    if (left > 0) return;
    const { user, system } = process.cpuUsage(before);
    process.send!({ microseconds: user + system });
  });
  socket.on('error', () => undefined);
});
process.on('message', ({ expect }: { expect: number }) => {
  left = expect;
  before = process.cpuUsage();
  process.send!({ ready: true });
});
server.listen(0, '127.0.0.1', () =>
  process.send!({ port: (server.address() as AddressInfo).port }),
);
