import type { IncomingMessage } from 'node:http';
import type { Server as HttpServer } from 'node:http';
import type { Server } from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import {
  type DataChannelSocket,
  isUpgradeRouted,
  messageOf,
  peerIdentityOf,
  proveAsAcceptor,
  routeUpgrades,
  systemRandom,
} from '@granary/kad';
import {
  MAX_CONTROL_FRAME,
  MAX_DATA_FRAME,
  TRANSFER_PATH,
  TRANSFER_PROVED_SUBPROTOCOL,
  TRANSFER_SUBPROTOCOL,
} from '@granary/protocol';
import { type RenterSocket, channelAsSocket, webSocketAsSocket } from './renter-socket.js';
import { type TransferContext, TransferSession } from './transfer-session.js';

/** The most renters' connections at one time, and from one address. */
export interface ConnectionLimits {
  readonly total: number;
  readonly perAddress: number;
}

/** How long sessions may take to end when the farmer stops. */
const CLOSE_MS = 5_000;

function refuseUpgrade(socket: Duplex, status: string, code: string, message: string): void {
  const body = JSON.stringify({ error: { code, message } });
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** How long a browser's renter may take to prove who it is. */
const PROVE_MS = 5_000;
/** Policy violation (RFC 6455, section 7.4.1). */
const POLICY_VIOLATION = 1008;
/** As the registry of close codes has it. */
const TRY_AGAIN_LATER = 1013;

/**
 * Takes renters' WebSockets on a farmer's HTTPS server, where TLS says who is there, and on its listener for
 * browsers, where both sides prove it on the connection (docs/decisions/0009).
 */
export class TransferServer {
  private readonly sockets: WebSocketServer;
  private readonly sessions = new Set<TransferSession>();
  private readonly running = new Set<Promise<void>>();
  private readonly perAddress = new Map<string, number>();
  /** Requests that came to the listener for browsers. */
  private readonly proved = new WeakSet<IncomingMessage>();
  private unroute: (() => unknown) | undefined;
  private open = 0;
  private readonly channels = new Set<RenterSocket>();

  constructor(
    private readonly server: Server,
    private readonly context: TransferContext,
    private readonly limits: ConnectionLimits,
  ) {
    this.sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: Math.max(MAX_DATA_FRAME, MAX_CONTROL_FRAME),
      clientTracking: true,
      // The one that belongs to the server is among those offered: that was checked before.
      handleProtocols: (offered, request) => {
        const wanted = this.proved.has(request)
          ? TRANSFER_PROVED_SUBPROTOCOL
          : TRANSFER_SUBPROTOCOL;
        return offered.has(wanted) ? wanted : false;
      },
    });
    server.on('upgrade', this.onUpgrade);
  }

  /** Take renters' WebSockets on the listener for browsers, too, once it listens. */
  serveBrowsers(server: Server | HttpServer): void {
    this.unroute = routeUpgrades(server, TRANSFER_PATH, (request, socket, head) => {
      this.proved.add(request);
      this.take(request, socket, head, TRANSFER_PROVED_SUBPROTOCOL, (webSocket) =>
        this.proveFirst(webSocket),
      );
    });
  }

  /** Take a browser's data channel. */
  takeChannel(channel: DataChannelSocket, address: string): void {
    if (this.isFull(address)) return channel.close(TRY_AGAIN_LATER, 'too many connections');
    const socket = channelAsSocket(channel);
    this.channels.add(socket);
    socket.once('close', () => this.channels.delete(socket));
    this.count(socket, address);
    this.proveFirst(socket);
  }

  /** Connections at this time. */
  get connections(): number {
    return this.sessions.size;
  }

  /** Take no more connections and end those there are. */
  async close(): Promise<void> {
    this.server.off('upgrade', this.onUpgrade);
    this.unroute?.();
    for (const session of this.sessions) session.stop();
    // Uploads put what they have on the disk before they end.
    await Promise.all([...this.context.uploads.values()].map((upload) => upload.stop()));
    for (const socket of this.sockets.clients) socket.terminate();
    for (const socket of [...this.channels]) socket.terminate();
    this.sockets.close();
    // What they are writing down is not cut off.
    const { clock } = this.context;
    let timer: unknown;
    const patience = new Promise(
      (resolve) => (timer = clock.setTimeout(() => resolve(undefined), CLOSE_MS)),
    );
    await Promise.race([Promise.allSettled(this.running), patience]);
    this.context.frameBuffers.clear();
    clock.clearTimeout(timer);
  }

  private readonly onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    socket.on('error', () => socket.destroy());
    const url = (request.url ?? '').split('?')[0]!;
    if (url !== TRANSFER_PATH) {
      // The DHT's own WebSockets, when the node takes them on this server.
      if (isUpgradeRouted(this.server, url)) return;
      return refuseUpgrade(socket, '404 Not Found', 'FARMER_NOT_FOUND', `use ${TRANSFER_PATH}`);
    }
    let peer: string | undefined;
    try {
      peer = peerIdentityOf(request.socket as TLSSocket)?.nodeId;
    } catch (error) {
      return refuseUpgrade(socket, '401 Unauthorized', 'KAD_BAD_CERTIFICATE', messageOf(error));
    }
    this.take(request, socket, head, TRANSFER_SUBPROTOCOL, (webSocket) =>
      this.begin(webSocket, peer),
    );
  };

  private take(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    subprotocol: string,
    begin: (webSocket: RenterSocket) => void,
  ): void {
    const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
    if (!offered.includes(subprotocol)) {
      const message = `offer the subprotocol ${subprotocol}`;
      return refuseUpgrade(socket, '400 Bad Request', 'FARMER_PROTOCOL', message);
    }
    const address = request.socket.remoteAddress ?? '';
    if (this.isFull(address)) {
      const message = 'too many connections: try again later';
      return refuseUpgrade(socket, '503 Service Unavailable', 'FARMER_BUSY', message);
    }
    this.sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const renter = webSocketAsSocket(webSocket, socket);
      this.count(renter, address);
      begin(renter);
    });
  }

  private isFull(address: string): boolean {
    const { total, perAddress } = this.limits;
    return this.open >= total || (this.perAddress.get(address) ?? 0) >= perAddress;
  }

  private count(socket: RenterSocket, address: string): void {
    this.open += 1;
    this.perAddress.set(address, (this.perAddress.get(address) ?? 0) + 1);
    socket.once('close', () => {
      this.open -= 1;
      const left = (this.perAddress.get(address) ?? 1) - 1;
      if (left > 0) this.perAddress.set(address, left);
      else this.perAddress.delete(address);
    });
  }

  /** Have both sides prove who they are, then begin. */
  private proveFirst(webSocket: RenterSocket): void {
    const { identity, clock, logger } = this.context;
    const proof = proveAsAcceptor(identity, systemRandom, 'transfer');
    const refuse = (error: unknown) => {
      logger.debug({ error: messageOf(error) }, 'a browser did not prove who it is');
      webSocket.close(POLICY_VIOLATION);
      webSocket.terminate();
    };
    const timer = clock.setTimeout(() => refuse(new Error('it said nothing')), PROVE_MS);
    const stop = () => clock.clearTimeout(timer);
    webSocket.on('error', refuse);
    webSocket.once('close', stop);
    webSocket.once('message', (data: Buffer, isBinary: boolean) => {
      stop();
      try {
        if (!isBinary) throw new Error('it sent text');
        const { nodeId, message } = proof.welcome(data);
        webSocket.send(message);
        // In the same turn: what comes next is a request.
        this.begin(webSocket, nodeId);
      } catch (error) {
        refuse(error);
      }
    });
    webSocket.send(proof.challenge);
  }

  private begin(webSocket: RenterSocket, peer: string | undefined): void {
    const session = new TransferSession(webSocket, peer, this.context);
    this.sessions.add(session);
    webSocket.once('close', () => this.sessions.delete(session));
    const run = session.run().finally(() => this.running.delete(run));
    this.running.add(run);
  }
}
