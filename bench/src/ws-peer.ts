// The other end of the plain-socket benchmark: takes bytes, or gives them, and prints its port.
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
const chunk = Buffer.alloc(262_144, 1);

server.on('listening', () => console.log((server.address() as AddressInfo).port));
server.on('connection', (socket, request) => {
  const [path, size] = (request.url ?? '').split('?');
  const total = Number(size);
  if (path === '/up') {
    let received = 0;
    socket.on('message', (data: Buffer) => {
      received += data.length;
      if (received === total) socket.send('done');
    });
    return;
  }
  const give = async () => {
    for (let at = 0; at < total; at += chunk.length) {
      const part = chunk.subarray(0, Math.min(chunk.length, total - at));
      const sent = new Promise<void>((resolve) => socket.send(part, () => resolve()));
      if (socket.bufferedAmount > 1_048_576) await sent;
    }
  };
  void give();
});
