import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  type Clock,
  type Logger,
  type NodeId,
  type Random,
  messageOf,
  peerIdentityOf,
  routeUpgrades,
  silentLogger,
  systemClock,
  systemRandom,
  toHex,
} from '@granary/kad';
import { NatError } from '../errors.js';
import { HEADER_SIZE, MAX_FRAME_DATA } from './mux-frame.js';
import { DEFAULT_PORTS, type PortRange, listenFor } from './ports.js';
import { RateGate } from './rate-gate.js';
import type { TunnelAccounts, TunnelParty, TunnelPrice } from './tunnel-accounts.js';
import { type TunnelLimits, defaultTunnelLimits } from './tunnel-limits.js';
import { TUNNEL_PATH, TUNNEL_SUBPROTOCOL } from './tunnel-messages.js';
import { TunnelSession } from './tunnel-session.js';
import type { TunnelTerms } from './tunnel-terms.js';

/** What a {@link TunnelServer} is made of. */
export interface TunnelServerOptions {
  /** The node's own HTTPS server, listening, whose certificate is bound to its identity. */
  readonly server: Server;
  readonly limits?: Partial<TunnelLimits>;
  /** The ports that clients are given. They have to be reachable from outside. */
  readonly ports?: PortRange;
  readonly accounts?: TunnelAccounts;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** What a tunnel does and has done. */
export interface TunnelStats {
  readonly clients: number;
  readonly connections: number;
  /** Bytes carried since the start, both ways together. */
  readonly bytes: number;
  /** Clients and strangers that were turned away. */
  readonly refused: number;
}

/** How fast the load that a tunnel tells of follows what it carries. */
const LOAD_WINDOW_MS = 10_000;
const STOPPING = { code: 'NAT_TUNNEL_CLOSED', message: 'this tunnel stops: use another' };

/**
 * Takes connections for nodes that can't be reached, and passes the bytes on over a connection that
 * they keep open to it. The bytes are TLS between the two ends: a tunnel has neither key.
 */
export class TunnelServer {
  readonly limits: TunnelLimits;
  private readonly sessions = new Map<NodeId, TunnelSession>();
  private readonly opening = new Set<NodeId>();
  private readonly perAddress = new Map<string, number>();
  private readonly gate: RateGate;
  private readonly logger: Logger;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly webSockets: WebSocketServer;
  private readonly unroute: () => unknown;
  private readonly counters = { connections: 0, bytes: 0, refused: 0 };
  private load = { since: 0, bytes: 0, rate: 0 };
  private closed = false;

  constructor(private readonly options: TunnelServerOptions) {
    this.limits = { ...defaultTunnelLimits, ...options.limits };
    this.logger = options.logger ?? silentLogger;
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? systemRandom;
    const { bytesPerSecond } = this.limits;
    this.gate = new RateGate(bytesPerSecond, bytesPerSecond, this.clock.now());
    this.load.since = this.clock.now();
    this.webSockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: HEADER_SIZE + MAX_FRAME_DATA,
      clientTracking: false,
      // Nobody needs answers of WebSockets' own here, and they would not be bounded.
      autoPong: false,
      handleProtocols: () => TUNNEL_SUBPROTOCOL,
    });
    this.unroute = routeUpgrades(options.server, TUNNEL_PATH, (request, socket, head) => {
      this.take(request, socket, head).catch((error: unknown) => this.refuse(socket, error));
    });
  }

  /** What this tunnel offers at this time. */
  get terms(): TunnelTerms {
    const { clients, bytesPerSecond, bytesPerSecondEach } = this.limits;
    const { price, currency, payment } = this.options.accounts?.price ?? FREE;
    const used = this.sessions.size + this.opening.size;
    const busy = bytesPerSecond === Infinity ? 0 : Math.min(1, this.rate() / bytesPerSecond);
    return {
      version: 1,
      free: this.closed ? 0 : Math.max(0, clients - used),
      load: Math.round(Math.max(busy, used / clients) * 1000) / 1000,
      bytesPerSecond: Math.min(bytesPerSecondEach, bytesPerSecond, Number.MAX_SAFE_INTEGER),
      price,
      currency,
      ...(payment !== undefined && { payment }),
    };
  }

  get stats(): TunnelStats {
    return { clients: this.sessions.size, ...this.counters };
  }

  /** Tell clients that this tunnel goes, and end everything. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.unroute();
    await Promise.all([...this.sessions.values()].map((session) => session.close(STOPPING)));
  }

  private async take(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/);
    if (!offered.includes(TUNNEL_SUBPROTOCOL)) {
      throw new NatError('NAT_TUNNEL_PROTOCOL', `offer the subprotocol ${TUNNEL_SUBPROTOCOL}`);
    }
    const client = this.clientOf(request.socket as TLSSocket);
    const address = request.socket.remoteAddress ?? '';
    this.admit(client, address);
    this.opening.add(client.nodeId);
    try {
      // A client that comes again has lost its connection, whether we have seen it or not.
      const { nodeId } = client;
      await this.sessions.get(nodeId)?.close({ ...STOPPING, message: 'this node came again' });
      const host = (this.options.server.address() as AddressInfo).address;
      const range = this.options.ports ?? DEFAULT_PORTS;
      const strangers: { take?: (socket: Socket) => void } = {};
      const listener = await listenFor(nodeId, { host, range }, (stranger) =>
        strangers.take === undefined ? stranger.destroy() : strangers.take(stranger),
      );
      if (this.closed || socket.destroyed) {
        listener.server.close();
        throw new NatError('NAT_TUNNEL_CLOSED', STOPPING.message);
      }
      let taken = false;
      socket.once('close', () => taken || listener.server.close());
      this.webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        taken = true;
        const session = this.begin(client, address, webSocket, listener);
        strangers.take = (stranger) => session.connect(stranger);
      });
    } finally {
      this.opening.delete(client.nodeId);
    }
  }

  private begin(
    client: TunnelParty,
    address: string,
    socket: WebSocket,
    { server, port }: Awaited<ReturnType<typeof listenFor>>,
  ): TunnelSession {
    const { limits, clock, logger, options } = this;
    const { accounts } = options;
    const session = new TunnelSession({
      client,
      socket,
      listener: server,
      port,
      id: toHex(this.random(16)),
      limits,
      clock,
      logger,
      total: this.counters,
      onBytes: (count, now) => this.carried(count, now),
      ...(accounts !== undefined && { accounts }),
      onClose: () => {
        if (this.sessions.get(client.nodeId) === session) this.sessions.delete(client.nodeId);
        const left = (this.perAddress.get(address) ?? 1) - 1;
        if (left > 0) this.perAddress.set(address, left);
        else this.perAddress.delete(address);
        logger.info({ client: client.nodeId, port }, 'a client of the tunnel has gone');
      },
    });
    this.sessions.set(client.nodeId, session);
    this.perAddress.set(address, (this.perAddress.get(address) ?? 0) + 1);
    logger.info({ client: client.nodeId, address, port }, 'a client uses the tunnel');
    return session;
  }

  private clientOf(socket: TLSSocket): TunnelParty {
    const peer = peerIdentityOf(socket);
    if (peer === undefined) {
      throw new NatError('NAT_TUNNEL_REFUSED', 'a client shows a certificate of its node');
    }
    return { nodeId: peer.nodeId, publicKey: toHex(peer.publicKey) };
  }

  private admit(client: TunnelParty, address: string): void {
    const busy = (what: string) => new NatError('NAT_TUNNEL_REFUSED', what);
    const known = this.sessions.get(client.nodeId);
    const room = this.sessions.size + this.opening.size - (known === undefined ? 0 : 1);
    if (this.closed || room >= this.limits.clients) {
      throw busy('this tunnel has as many clients as it takes: use another');
    }
    if (this.opening.has(client.nodeId)) throw busy('this node is being let in already');
    const same = (this.perAddress.get(address) ?? 0) - (known === undefined ? 0 : 1);
    if (same >= this.limits.clientsPerAddress) {
      throw busy('this tunnel has as many clients of your address as it takes: use another');
    }
  }

  private carried(count: number, now: number): number {
    this.counters.bytes += count;
    this.load.bytes += count;
    this.rate(now);
    return this.gate.take(count, now);
  }

  /** Bytes a second, of late. */
  private rate(now = this.clock.now()): number {
    const { since, bytes } = this.load;
    if (now - since >= LOAD_WINDOW_MS) {
      this.load = { since: now, bytes: 0, rate: (bytes * 1000) / (now - since) };
    }
    return this.load.rate;
  }

  private refuse(socket: Duplex, error: unknown): void {
    this.counters.refused += 1;
    this.logger.debug({ error: messageOf(error) }, 'a client of the tunnel was turned away');
    if (!socket.writable) return void socket.destroy();
    const code = error instanceof NatError ? error.code : 'NAT_TUNNEL_REFUSED';
    const body = JSON.stringify({ error: { code, message: messageOf(error).slice(0, 512) } });
    socket.end(
      'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/json\r\n' +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      () => socket.destroy(),
    );
  }
}

const FREE: TunnelPrice = { price: '0', currency: 'credit' };
