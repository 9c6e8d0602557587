import { type Server, type Socket, connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

/** What a client asked a test's proxy for. */
export interface Asked {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
}

/** A server on loopback, and all connections to it. */
export interface TestServer {
  readonly port: number;
  readonly connections: number;
  close(): Promise<void>;
}

/** Listen on loopback and do something with each connection. */
export async function listenWith(serve: (socket: Socket) => void): Promise<TestServer> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server: Server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Reads a socket in pieces of a wanted size, and leaves the rest. */
async function take(socket: Socket, size: number): Promise<Buffer> {
  for (;;) {
    const got = socket.read(size) as Buffer | null;
    if (got !== null) return got;
    await new Promise<void>((resolve, reject) => {
      socket.once('readable', resolve);
      socket.once('close', () => reject(new Error('closed')));
    });
  }
}

/** What the proxy of a test does. */
export interface ProxyBehaviour {
  /** Which authentication it wants: 0 for none, 2 for user and password. */
  readonly method?: number;
  /** The code that it answers with; 0 opens the connection. */
  readonly reply?: number;
  /** The address that it says it has bound, type included. */
  readonly bound?: Buffer;
  /** Where names lead; others lead to loopback. */
  readonly resolve?: (asked: Asked) => { host: string; port: number };
}

/** An honest SOCKS5 proxy that keeps what it was asked. Everything leads to loopback. */
export async function socksServer(
  behaviour: ProxyBehaviour = {},
): Promise<TestServer & { readonly asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = await listenWith((socket) => {
    serve(socket).catch(() => socket.destroy());
  });
  const serve = async (socket: Socket) => {
    const { method = 0, reply = 0, bound = Buffer.from([1, 0, 0, 0, 0, 0, 0]) } = behaviour;
    const [, count] = await take(socket, 2);
    await take(socket, count!);
    socket.write(Buffer.from([5, method]));
    let credentials = {};
    if (method === 2) {
      const username = (await take(socket, (await take(socket, 2))[1]!)).toString();
      const password = (await take(socket, (await take(socket, 1))[0]!)).toString();
      credentials = { username, password };
      socket.write(Buffer.from([1, 0]));
    }
    const type = (await take(socket, 4))[3];
    let host: string;
    if (type === 3) host = (await take(socket, (await take(socket, 1))[0]!)).toString();
    else if (type === 1) host = [...(await take(socket, 4))].join('.');
    else host = (await take(socket, 16)).toString('hex');
    const port = (await take(socket, 2)).readUInt16BE();
    const what = { host, port, ...credentials };
    asked.push(what);
    const answer = Buffer.concat([Buffer.from([5, reply, 0]), bound]);
    if (reply !== 0) {
      socket.end(answer);
      return;
    }
    const to = connect(behaviour.resolve?.(what) ?? { host: '127.0.0.1', port });
    to.on('error', () => socket.destroy());
    to.on('connect', () => {
      socket.write(answer);
      socket.pipe(to).pipe(socket);
    });
    socket.on('close', () => to.destroy());
  };
  return {
    asked,
    port: server.port,
    get connections() {
      return server.connections;
    },
    close: () => server.close(),
  };
}
