import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

/** What a proxy does with the bytes that a farmer sends. */
export type Mischief = { kind: 'none' } | { kind: 'cut' | 'stall' | 'trickle'; afterBytes: number };

/** How long it waits after each piece that it lets trickle. */
const TRICKLE_MS = 1000;

/**
 * A TCP proxy in front of a farmer that cuts or stalls what the farmer sends, or lets it trickle: never silent, never
 * done. TLS passes through it.
 */
export class TcpProxy {
  mischief: Mischief = { kind: 'none' };
  target = 0;
  /** How often it was done. */
  done = 0;
  private readonly sockets = new Set<Socket>();

  private constructor(
    readonly port: number,
    private readonly server: ReturnType<typeof createServer>,
  ) {}

  static async start(): Promise<TcpProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const proxy = new TcpProxy((server.address() as AddressInfo).port, server);
    server.on('connection', (socket) => proxy.serve(socket));
    return proxy;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private serve(near: Socket): void {
    const far = connect(this.target, '127.0.0.1');
    for (const socket of [near, far]) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    let passed = 0;
    far.on('data', (data: Buffer) => {
      passed += data.length;
      const { mischief } = this;
      if (mischief.kind === 'none' || passed < mischief.afterBytes) {
        if (!near.write(data)) {
          far.pause();
          near.once('drain', () => far.resume());
        }
        return;
      }
      this.done += 1;
      if (mischief.kind === 'cut') near.destroy();
      else far.pause();
      if (mischief.kind !== 'trickle') return;
      near.write(data);
      setTimeout(() => far.resume(), TRICKLE_MS);
    });
  }
}
