import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import { isUpgradeRouted, messageOf, peerIdentityOf } from '@granary/kad';
import {
  MAX_CONTROL_FRAME,
  MAX_DATA_FRAME,
  TRANSFER_PATH,
  TRANSFER_SUBPROTOCOL,
} from '@granary/protocol';
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

/** Takes renters' WebSockets on a farmer's HTTPS server. */
export class TransferServer {
  private readonly sockets: WebSocketServer;
  private readonly sessions = new Set<TransferSession>();
  private readonly running = new Set<Promise<void>>();
  private readonly perAddress = new Map<string, number>();

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
      handleProtocols: (offered) =>
        offered.has(TRANSFER_SUBPROTOCOL) ? TRANSFER_SUBPROTOCOL : false,
    });
    server.on('upgrade', this.onUpgrade);
  }

  /** Connections at this time. */
  get connections(): number {
    return this.sessions.size;
  }

  /** Take no more connections and end those there are. */
  async close(): Promise<void> {
    this.server.off('upgrade', this.onUpgrade);
    for (const session of this.sessions) session.stop();
    // Uploads put what they have on the disk before they end.
    await Promise.all([...this.context.uploads.values()].map((upload) => upload.stop()));
    for (const socket of this.sockets.clients) socket.terminate();
    this.sockets.close();
    // What they are writing down is not cut off.
    const { clock } = this.context;
    let timer: unknown;
    const patience = new Promise(
      (resolve) => (timer = clock.setTimeout(() => resolve(undefined), CLOSE_MS)),
    );
    await Promise.race([Promise.allSettled(this.running), patience]);
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
    const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
    if (!offered.includes(TRANSFER_SUBPROTOCOL)) {
      const message = `offer the subprotocol ${TRANSFER_SUBPROTOCOL}`;
      return refuseUpgrade(socket, '400 Bad Request', 'FARMER_PROTOCOL', message);
    }
    const address = request.socket.remoteAddress ?? '';
    const count = this.perAddress.get(address) ?? 0;
    if (this.sessions.size >= this.limits.total || count >= this.limits.perAddress) {
      const message = 'too many connections: try again later';
      return refuseUpgrade(socket, '503 Service Unavailable', 'FARMER_BUSY', message);
    }
    let peer: string | undefined;
    try {
      peer = peerIdentityOf(request.socket as TLSSocket)?.nodeId;
    } catch (error) {
      return refuseUpgrade(socket, '401 Unauthorized', 'KAD_BAD_CERTIFICATE', messageOf(error));
    }
    this.sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const session = new TransferSession(webSocket, peer, this.context);
      this.sessions.add(session);
      this.perAddress.set(address, (this.perAddress.get(address) ?? 0) + 1);
      webSocket.once('close', () => {
        this.sessions.delete(session);
        const left = (this.perAddress.get(address) ?? 1) - 1;
        if (left > 0) this.perAddress.set(address, left);
        else this.perAddress.delete(address);
      });
      const run = session.run().finally(() => this.running.delete(run));
      this.running.add(run);
    });
  };
}
