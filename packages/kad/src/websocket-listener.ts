import * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { formatAddress, parseAddress } from './address.js';
import { KadError, messageOf } from './errors.js';
import type { HttpsTransport } from './https-transport.js';
import { type Logger, silentLogger } from './logger.js';
import {
  type MadeSocket,
  type MessageSocket,
  type SocketListener,
  WEBSOCKET_PATH,
  WEBSOCKET_SUBPROTOCOL,
} from './message-socket.js';
import type { NodeId } from './node-id.js';
import { peerIdentityOf } from './tls.js';
import { refuseUpgrade, routeUpgrades } from './upgrades.js';
import { MAX_FRAME_SIZE } from './websocket-frames.js';

/** Bounds of a {@link WebSocketListener}, and what it says of itself. */
export interface ListenerSettings {
  /** Addresses to announce instead of the one listened on, such as that of a proxy before us. */
  readonly announce?: readonly string[];
  /** The most WebSockets at one time; 1024 when not given. */
  readonly maxConnections?: number;
  /** The most from one IP address; 256 when not given. Behind a proxy, all come from one. */
  readonly maxPerAddress?: number;
  readonly logger?: Logger;
}

/** A server of its own for a {@link WebSocketListener}. */
export interface OwnServer {
  readonly host: string;
  readonly port: number;
  /**
   * A certificate of an authority, PEM, so that browsers can connect. Without it everything goes in
   * the clear: for this machine alone, or behind a proxy that ends TLS.
   */
  readonly tls?: { readonly key: string; readonly cert: string };
}

/** Takes WebSockets in Node: on a server of its own, or beside an {@link HttpsTransport}. */
export class WebSocketListener implements SocketListener {
  private readonly sockets: WebSocketServer;
  private readonly logger: Logger;
  private readonly perAddress = new Map<string, number>();
  private accept: ((made: MadeSocket) => void) | undefined;
  private server: http.Server | https.Server | undefined;
  private unroute: (() => unknown) | undefined;
  private announced: readonly string[] = [];

  private constructor(
    private readonly where: OwnServer | HttpsTransport,
    private readonly settings: ListenerSettings,
  ) {
    this.logger = settings.logger ?? silentLogger;
    this.sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: MAX_FRAME_SIZE,
      clientTracking: true,
      handleProtocols: (offered) =>
        offered.has(WEBSOCKET_SUBPROTOCOL) ? WEBSOCKET_SUBPROTOCOL : false,
    });
  }

  /** On a port of its own. */
  static standalone(server: OwnServer, settings: ListenerSettings = {}): WebSocketListener {
    return new WebSocketListener(server, settings);
  }

  /**
   * On the port of an HTTPS transport, which has to listen first. Node's certificates are bound to
   * identities, so that only other nodes can connect, and no browsers.
   */
  static beside(transport: HttpsTransport, settings: ListenerSettings = {}): WebSocketListener {
    return new WebSocketListener(transport, settings);
  }

  get addresses(): readonly string[] {
    return this.announced;
  }

  /** The server that it listens on; undefined before it does. Other things may be at other paths of it. */
  get httpServer(): http.Server | https.Server | undefined {
    return this.server;
  }

  /** WebSockets at this time. */
  get connections(): number {
    return this.sockets.clients.size;
  }

  /** The port listened on; undefined before. */
  get port(): number | undefined {
    return (this.server?.address() as AddressInfo | null | undefined)?.port;
  }

  async listen(accept: (made: MadeSocket) => void): Promise<void> {
    const { where, settings } = this;
    const shared = 'request' in where;
    const server = shared ? where.server : makeServer(where);
    if (server === undefined || (shared && !server.listening)) {
      throw new KadError(
        'KAD_LISTEN',
        'the HTTPS transport does not listen (yet): have it listen before its WebSockets',
      );
    }
    this.accept = accept;
    this.server = server;
    this.unroute = routeUpgrades(server, WEBSOCKET_PATH, (request, socket, head) =>
      this.onUpgrade(request, socket, head),
    );
    if (shared) {
      this.announced =
        settings.announce ??
        where.addresses.map((address) =>
          formatAddress({ ...parseAddress(address), scheme: 'wss' }),
        );
      return;
    }
    const { host, port } = where;
    server.maxConnections = (settings.maxConnections ?? 1024) + 64;
    server.maxHeadersCount = 64;
    await new Promise<void>((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'EADDRINUSE'
            ? new KadError(
                'KAD_PORT_IN_USE',
                `port ${port} on ${host} is in use: choose another for WebSockets`,
              )
            : new KadError('KAD_LISTEN', `cannot listen on ${host}:${port}: ${error.message}`),
        );
      server.once('error', onError);
      server.listen({ host, port }, () => {
        server.removeListener('error', onError);
        server.on('error', (error) =>
          this.logger.error({ error: messageOf(error) }, 'the WebSocket server had an error'),
        );
        resolve();
      });
    });
    const scheme = where.tls === undefined ? 'ws' : 'wss';
    this.announced = settings.announce ?? [formatAddress({ scheme, host, port: this.port! })];
  }

  async close(): Promise<void> {
    this.accept = undefined;
    this.unroute?.();
    // The transport has said goodbye to its connections and waited for them.
    for (const socket of this.sockets.clients) socket.terminate();
    this.sockets.close();
    const { server } = this;
    if (server === undefined || 'request' in this.where || !server.listening) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  private onUpgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void {
    const refuse = (status: string, code: string, message: string) =>
      refuseUpgrade(socket, status, code, message);
    const { maxConnections = 1024, maxPerAddress = 256 } = this.settings;
    const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
    if (!offered.includes(WEBSOCKET_SUBPROTOCOL)) {
      const message = `offer the subprotocol ${WEBSOCKET_SUBPROTOCOL}`;
      return refuse('400 Bad Request', 'KAD_MALFORMED', message);
    }
    const address = request.socket.remoteAddress ?? '';
    const count = this.perAddress.get(address) ?? 0;
    if (
      this.accept === undefined ||
      this.sockets.clients.size >= maxConnections ||
      count >= maxPerAddress
    ) {
      return refuse('503 Service Unavailable', 'KAD_BUSY', 'too many connections: try again later');
    }
    let proved: NodeId | undefined;
    try {
      // Browsers show no certificate, and need none.
      if (request.socket instanceof TLSSocket && 'request' in this.where) {
        proved = peerIdentityOf(request.socket)?.nodeId;
      }
    } catch (error) {
      return refuse('401 Unauthorized', 'KAD_BAD_CERTIFICATE', messageOf(error));
    }
    this.sockets.handleUpgrade(request, socket, head, (webSocket: WebSocket) => {
      this.perAddress.set(address, (this.perAddress.get(address) ?? 0) + 1);
      webSocket.once('close', () => {
        const left = (this.perAddress.get(address) ?? 1) - 1;
        if (left > 0) this.perAddress.set(address, left);
        else this.perAddress.delete(address);
      });
      webSocket.binaryType = 'nodebuffer';
      if (this.accept === undefined) {
        webSocket.terminate();
        return;
      }
      this.accept({
        socket: webSocket as unknown as MessageSocket,
        remoteAddress: address,
        ...(proved !== undefined && { provedNodeId: proved }),
      });
    });
  }
}

function makeServer({ tls }: OwnServer): http.Server | https.Server {
  const answer: http.RequestListener = (request, response) => {
    const body = JSON.stringify({
      error: { code: 'KAD_NOT_FOUND', message: `open a WebSocket at ${WEBSOCKET_PATH}` },
    });
    response.writeHead(request.url === WEBSOCKET_PATH ? 426 : 404, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      connection: 'close',
      ...(request.url === WEBSOCKET_PATH && { upgrade: 'websocket' }),
    });
    response.end(body);
    // What is left of a body that nobody will read must not keep the connection.
    if (!request.complete) response.once('finish', () => request.destroy());
  };
  const bounds = {
    maxHeaderSize: 16 * 1024,
    headersTimeout: 10_000,
    requestTimeout: 15_000,
    keepAliveTimeout: 5_000,
    connectionsCheckingInterval: 5_000,
  };
  const server =
    tls === undefined
      ? http.createServer(bounds, answer)
      : https.createServer(
          { ...bounds, ...tls, minVersion: 'TLSv1.2', handshakeTimeout: 10_000 },
          answer,
        );
  server.on('tlsClientError', (_error: Error, socket: Duplex) => socket.destroy());
  server.on('clientError', (_error: Error, socket: Duplex) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    else socket.destroy();
  });
  return server;
}
