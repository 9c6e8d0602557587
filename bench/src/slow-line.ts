// A long line: carries what comes to where its first line says, HOST PORT, and lets every byte take the milliseconds that
// its argument names, each way. Prints its port.
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

const delayMs = Number(process.argv[2]);

function carry(from: Socket, to: Socket): void {
  from.on('data', (bytes) => setTimeout(() => to.write(bytes), delayMs));
  from.on('end', () => setTimeout(() => to.end(), delayMs));
  from.on('error', () => to.destroy());
  from.on('close', () => setTimeout(() => to.destroy(), delayMs));
}

const server = createServer({ noDelay: true }, (near) => {
  near.on('error', () => near.destroy());
  near.once('data', (line) => {
    const [host, port] = line.toString().trim().split(' ');
    const far = connect({ host: host!, port: Number(port), noDelay: true });
    far.once('connect', () => {
      // A connection takes a round trip to open.
      setTimeout(() => near.write('\n'), 2 * delayMs);
      carry(near, far);
      carry(far, near);
    });
    far.once('error', () => near.destroy());
  });
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
