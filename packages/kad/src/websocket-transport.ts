import { canDialSocket, dialSocket } from '#kad/websocket-dial';
import { parseAddress } from './address.js';
import type { TlsCredentials } from './certificate.js';
import { type Clock, systemClock } from './clock.js';
import type { Dialer } from './dialer.js';
import { MAX_MESSAGE_SIZE } from './envelope.js';
import { KadError, messageOf, throwIfAborted } from './errors.js';
import type { Identity } from './identity.js';
import { allowManyListeners } from './listeners.js';
import { type Logger, silentLogger } from './logger.js';
import { LruMap } from './lru-map.js';
import type { MadeSocket, SocketDialer, SocketListener } from './message-socket.js';
import type { NodeId } from './node-id.js';
import { type Random, randomFraction, systemRandom } from './random.js';
import {
  DEFAULT_TIMEOUT_MS,
  type ExchangeOptions,
  type MessageHandler,
  type Peer,
  type Transport,
  noAddressError,
} from './transport.js';
import { waitFor } from './wait-for.js';
import {
  CloseCode,
  type ConnectionContext,
  UnusedConnectionError,
  WebSocketConnection,
} from './websocket-connection.js';
import { type WebSocketLimits, defaultWebSocketLimits } from './websocket-limits.js';

/** What a {@link WebSocketTransport} is made of. */
export interface WebSocketTransportOptions {
  readonly identity: Identity;
  /** Takes connections of others. Without it the transport asks, and is asked over what it opened. */
  readonly listener?: SocketListener;
  /** Shown to nodes that are dialled inside TLS; not needed. */
  readonly credentials?: TlsCredentials;
  /** How connections are opened; from this machine itself when not given. Browsers have no other way. */
  readonly dialer?: Dialer;
  readonly limits?: Partial<WebSocketLimits>;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Makes WebSockets in another way than the platform's own. */
  readonly dial?: SocketDialer;
}

/** A peer whose connection was lost this lately is dialled again after a random wait. */
const LOST_MS = 10_000;
/** The longest such wait, in milliseconds: not all peers of a node that came back dial it at once. */
const MAX_JITTER_MS = 250;

/**
 * Messages over WebSockets, one connection a peer, many messages under way at one time, both ways:
 * who dialled can be asked, too, once it has proved who it is. A node in a browser, which nobody can
 * dial, takes part like that. `docs/decisions/0009-websocket-identity.md` says how the two ends prove
 * who they are, and what a WebSocket in the clear (`ws:`) lacks.
 */
export class WebSocketTransport implements Transport {
  private readonly limits: WebSocketLimits;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly context: ConnectionContext;
  private readonly all = new Set<WebSocketConnection>();
  /** Connections that can carry messages, oldest first. */
  private readonly ready = new Map<NodeId, WebSocketConnection[]>();
  private readonly dialing = new Map<NodeId, Promise<WebSocketConnection>>();
  private readonly lost = new LruMap<NodeId, number>(1000);
  private readonly stopping = new AbortController();
  private handler: MessageHandler | undefined;

  constructor(private readonly options: WebSocketTransportOptions) {
    const { listener, identity } = options;
    this.clock = options.clock ?? systemClock;
    this.random = options.random ?? systemRandom;
    this.limits = {
      ...defaultWebSocketLimits,
      ...(listener === undefined && { idleMs: Infinity }),
      ...options.limits,
    };
    allowManyListeners(this.stopping.signal);
    this.context = {
      identity,
      limits: this.limits,
      clock: this.clock,
      random: this.random,
      logger: options.logger ?? silentLogger,
      handler: () => this.handler,
      work: { bytes: 0 },
      buffered: () => {
        let bytes = 0;
        for (const connection of this.all) bytes += connection.buffered;
        return bytes;
      },
      onReady: (connection) => this.onReady(connection),
      onClosed: (connection) => this.onClosed(connection),
    };
  }

  get addresses(): readonly string[] {
    return this.options.listener?.addresses ?? [];
  }

  /** How many connections there are at this time, also those that have not proved who they are. */
  get connections(): number {
    return this.all.size;
  }

  /** @throws KadError KAD_STOPPED, KAD_PORT_IN_USE or KAD_LISTEN. */
  async listen(handler: MessageHandler): Promise<void> {
    this.throwIfClosed();
    this.handler = handler;
    await this.options.listener?.listen((made) => this.accept(made));
  }

  dials(address: string): boolean {
    return canDialSocket(parseAddress(address), this.options.dialer);
  }

  isConnected(nodeId: NodeId): boolean {
    return this.connectionWith(nodeId) !== undefined;
  }

  async identify(address: string, options: ExchangeOptions = {}): Promise<NodeId> {
    this.throwIfClosed();
    throwIfAborted(options.signal);
    const { scheme, nodeId } = parseAddress(address);
    if (!this.dials(address)) {
      const why =
        scheme === 'https' ? 'this transport dials WebSockets only' : 'not dialled from here';
      throw new KadError('KAD_BAD_ADDRESS', `${address}: ${why}`);
    }
    const { signal } = options;
    const timeoutMs = (options.timeoutMs ?? DEFAULT_TIMEOUT_MS) + this.slackMs;
    const connection = await waitFor(this.connect(address, nodeId, timeoutMs), {
      signal,
      timeoutMs,
      clock: this.clock,
      what: `${address} did not answer`,
    });
    return connection.peer!;
  }

  async request(
    to: Peer,
    message: Uint8Array,
    { signal, timeoutMs: usualMs = DEFAULT_TIMEOUT_MS }: ExchangeOptions = {},
  ): Promise<Uint8Array> {
    const timeoutMs = usualMs + this.slackMs;
    this.throwIfClosed();
    throwIfAborted(signal);
    if (message.length > MAX_MESSAGE_SIZE) {
      throw new KadError('KAD_TOO_LARGE', `a message has at most ${MAX_MESSAGE_SIZE} bytes`);
    }
    const deadline = this.clock.now() + timeoutMs;
    for (let again = false; ; again = true) {
      const left = Math.max(0, deadline - this.clock.now());
      const connection =
        this.connectionWith(to.nodeId) ??
        (await waitFor(this.dial(to, left), {
          signal,
          timeoutMs: left,
          clock: this.clock,
          what: `node ${to.nodeId} did not answer`,
        }));
      try {
        return await connection.request(message, {
          ...(signal !== undefined && { signal }),
          timeoutMs: Math.max(0, deadline - this.clock.now()),
        });
      } catch (error) {
        // The peer closed it just before our message came, and did not look at the message.
        if (again || !(error instanceof UnusedConnectionError)) throw error;
      }
    }
  }

  async close(): Promise<void> {
    if (this.stopping.signal.aborted) return;
    this.stopping.abort();
    // Nobody new is accepted from here on; those that are here are told.
    const connections = [...this.all];
    for (const connection of connections) connection.close(CloseCode.goingAway, stopped());
    await Promise.all(connections.map(({ closed }) => closed));
    await this.options.listener?.close();
  }

  private get slackMs(): number {
    return this.options.dialer?.slackMs ?? 0;
  }

  private throwIfClosed(): void {
    if (this.stopping.signal.aborted) throw stopped();
  }

  private connectionWith(nodeId: NodeId): WebSocketConnection | undefined {
    return this.ready.get(nodeId)?.findLast(({ open }) => open);
  }

  /** Dial a node, or wait with others who want the same. */
  private dial(to: Peer, timeoutMs: number): Promise<WebSocketConnection> {
    const under = this.dialing.get(to.nodeId);
    if (under !== undefined) return under;
    const dial = this.dialInOrder(to, timeoutMs).finally(() => this.dialing.delete(to.nodeId));
    this.dialing.set(to.nodeId, dial);
    // Whoever waits may have given up.
    dial.catch(() => undefined);
    return dial;
  }

  private async dialInOrder(to: Peer, timeoutMs: number): Promise<WebSocketConnection> {
    const addresses = to.addresses.filter((address) => this.dials(address));
    const deadline = this.clock.now() + timeoutMs;
    await this.waitAfterLoss(to.nodeId, timeoutMs);
    let failure: unknown = noAddressError(to, 'and no connection with it is open');
    for (const [i, address] of addresses.entries()) {
      if (this.stopping.signal.aborted) break;
      // One address that says nothing must not use up the time of the others.
      const share = Math.max(0, deadline - this.clock.now()) / (addresses.length - i);
      try {
        return await this.connect(address, to.nodeId, share);
      } catch (error) {
        failure = error;
      }
    }
    this.throwIfClosed();
    throw failure;
  }

  private async waitAfterLoss(nodeId: NodeId, timeoutMs: number): Promise<void> {
    const lostAt = this.lost.get(nodeId);
    if (lostAt === undefined) return;
    this.lost.delete(nodeId);
    if (this.clock.now() - lostAt > LOST_MS) return;
    const ms = randomFraction(this.random) * Math.min(MAX_JITTER_MS, timeoutMs / 4);
    await new Promise<void>((resolve) => this.clock.setTimeout(resolve, ms));
  }

  /** One connection to one address, proved. */
  private async connect(
    address: string,
    expectedNodeId: NodeId | undefined,
    timeoutMs: number,
  ): Promise<WebSocketConnection> {
    this.makeRoom();
    const { signal } = this.stopping;
    const parsed = parseAddress(address);
    const deadline = this.clock.now() + timeoutMs;
    const made = await (this.options.dial ?? dialSocket)(parsed, {
      ...(expectedNodeId !== undefined && { expectedNodeId }),
      ...(this.options.credentials !== undefined && { credentials: this.options.credentials }),
      ...(this.options.dialer !== undefined && { dialer: this.options.dialer }),
      signal,
      timeoutMs,
    });
    const connection = new WebSocketConnection(made, 'dialer', this.context, expectedNodeId);
    this.all.add(connection);
    if (signal.aborted) {
      connection.close(CloseCode.goingAway, stopped());
      throw stopped();
    }
    try {
      await waitFor(connection.ready, {
        signal: undefined,
        timeoutMs: Math.max(0, deadline - this.clock.now()),
        clock: this.clock,
        what: `${address} did not answer`,
      });
    } catch (error) {
      connection.close(
        CloseCode.timeout,
        error instanceof KadError ? error : new KadError('KAD_UNREACHABLE', messageOf(error)),
      );
      throw error;
    }
    return connection;
  }

  /** @throws KadError KAD_BUSY when every connection that we dialled is in use. */
  private makeRoom(): void {
    const dialed = [...this.all].filter(({ role }) => role === 'dialer');
    if (dialed.length < this.limits.maxDialed) return;
    const oldest = dialed
      .filter(({ open, unused }) => open && unused)
      .reduce<WebSocketConnection | undefined>(
        (a, b) => (a === undefined || b.lastUsed < a.lastUsed ? b : a),
        undefined,
      );
    if (oldest === undefined) {
      throw new KadError(
        'KAD_BUSY',
        `all ${this.limits.maxDialed} WebSockets are in use: try again later`,
      );
    }
    oldest.close(
      CloseCode.idle,
      new UnusedConnectionError('KAD_UNREACHABLE', 'closed to make room for another connection'),
    );
  }

  private accept(made: MadeSocket): void {
    if (this.stopping.signal.aborted) {
      made.socket.onerror = () => undefined;
      made.socket.terminate?.();
      return;
    }
    const unproven = [...this.all].filter(
      ({ role, peer, failed }) => role === 'acceptor' && peer === undefined && !failed,
    );
    // The oldest goes, not the newest: who is honest has proved who it is within a round trip, and
    // whoever says nothing can't keep it out.
    if (unproven.length >= this.limits.maxUnproven) {
      unproven[0]!.close(
        CloseCode.tryAgainLater,
        new KadError('KAD_BUSY', 'too many connections that have not proved who they are'),
      );
    }
    const connection = new WebSocketConnection(made, 'acceptor', this.context);
    this.all.add(connection);
  }

  private onReady(connection: WebSocketConnection): void {
    const peer = connection.peer!;
    const others = this.ready.get(peer) ?? [];
    this.ready.set(peer, [...others, connection]);
    if (others.length < this.limits.maxPerPeer) return;
    others[0]!.close(
      CloseCode.replaced,
      new KadError('KAD_UNREACHABLE', 'newer connections of the peer took its place'),
    );
  }

  private onClosed(connection: WebSocketConnection): void {
    void connection.closed.then(() => this.all.delete(connection));
    const { peer } = connection;
    if (peer === undefined) return;
    const left = (this.ready.get(peer) ?? []).filter((other) => other !== connection);
    if (left.length > 0) {
      this.ready.set(peer, left);
    } else {
      this.ready.delete(peer);
      this.lost.set(peer, this.clock.now());
    }
  }
}

function stopped(): KadError {
  return new KadError('KAD_STOPPED', 'the transport was closed');
}
