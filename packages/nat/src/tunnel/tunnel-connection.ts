import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import {
  type Clock,
  type Dialer,
  type Logger,
  type NodeId,
  type TlsCredentials,
  TokenBucket,
  dialTls,
  directDialer,
  formatAddress,
  messageOf,
  parseAddress,
  peerIdentityOf,
  toHex,
} from '@granary/kad';
import { NatError, type NatErrorCode } from '../errors.js';
import { HEADER_SIZE, MAX_FRAME_DATA } from './mux-frame.js';
import { Multiplexer } from './multiplexer.js';
import { relay } from './relay.js';
import { DocumentQueue } from './document-queue.js';
import type { Carried, TunnelParty, TunnelPurse } from './tunnel-accounts.js';
import {
  TUNNEL_PATH,
  TUNNEL_SUBPROTOCOL,
  type TunnelMessage,
  parseTunnelMessage,
} from './tunnel-messages.js';

/** Bounds of what a tunnel may do to its client. Times are milliseconds. */
export interface TunnelClientLimits {
  /** Connections that come through one tunnel at one time. */
  readonly connections: number;
  /** New connections a second, in the long run; four times as many at once. */
  readonly newPerSecond: number;
  /** For the tunnel to be opened. */
  readonly openMs: number;
  readonly stallMs: number;
  readonly idleMs: number;
  readonly pingMs: number;
  readonly pongMs: number;
}

export const defaultTunnelClientLimits: TunnelClientLimits = {
  connections: 128,
  newPerSecond: 40,
  openMs: 10_000,
  stallMs: 60_000,
  idleMs: 10 * 60_000,
  pingMs: 5_000,
  pongMs: 5_000,
};

/** Whom a tunnel is opened at: its node and one of its addresses, of the form https://HOST:PORT. */
export interface TunnelPeer {
  readonly nodeId: NodeId;
  readonly address: string;
}

/** What a {@link TunnelConnection} is made of. */
export interface TunnelConnectionOptions {
  readonly tunnel: TunnelPeer;
  /** This node's own ID and the credentials that prove it. */
  readonly nodeId: NodeId;
  readonly credentials: TlsCredentials;
  /** Where this node's own HTTPS server listens; what comes through the tunnel is passed there. */
  readonly target: { readonly host: string; readonly port: number };
  readonly clock: Clock;
  readonly logger: Logger;
  /** How the tunnel is dialled; from this machine itself when not given. */
  readonly dialer?: Dialer;
  readonly limits?: Partial<TunnelClientLimits>;
  readonly purse?: TunnelPurse;
  readonly signal?: AbortSignal;
}

/** Bytes that a tunnel may count and we have not seen yet: what is under way. */
const UNDER_WAY = 32 * 1024 * 1024;

/** Streams refused before the tunnel that opens them is left: it does not keep to its own bounds. */
const REFUSALS = { perSecond: 20, burst: 512 };

type Welcome = Extract<TunnelMessage, { type: 'welcome' }>;

/** A node's side of one tunnel: what comes out of it goes to the node's own HTTPS server. */
export class TunnelConnection {
  /** Where others can now reach this node. */
  readonly address: string;
  /** Settled when the tunnel is no more, with the reason. */
  readonly closed: Promise<NatError>;
  /** Settled before that when the tunnel has said that it will go. */
  readonly going: Promise<void>;
  private settleClosed!: (error: NatError) => void;
  private settleGoing!: () => void;
  private reason: NatError | undefined;
  private open = 0;
  private bytes = 0;
  private readonly arrivals: TokenBucket;
  private readonly refusals: TokenBucket;
  private readonly documents = new DocumentQueue();

  private constructor(
    private readonly options: TunnelConnectionOptions,
    private readonly limits: TunnelClientLimits,
    private readonly mux: () => Multiplexer,
    private readonly party: TunnelParty,
    private readonly welcome: Welcome,
  ) {
    const { clock, tunnel } = options;
    const { host } = parseAddress(tunnel.address);
    // The host is the one that we have dialled: a tunnel can't make us name somebody else's.
    this.address = formatAddress({ host, port: welcome.port });
    const { newPerSecond } = limits;
    const rate = { perSecond: newPerSecond, burst: 4 * newPerSecond };
    this.arrivals = new TokenBucket(rate, clock.now());
    this.refusals = new TokenBucket(REFUSALS, clock.now());
    this.closed = new Promise((resolve) => (this.settleClosed = resolve));
    this.going = new Promise((resolve) => (this.settleGoing = resolve));
  }

  /** The node that is our tunnel. */
  get nodeId(): NodeId {
    return this.options.tunnel.nodeId;
  }

  /** Connections through it, and bytes, both ways, at this time. */
  get stats(): { readonly connections: number; readonly bytes: number } {
    return { connections: this.open, bytes: this.bytes };
  }

  /**
   * Open a tunnel and wait until it says where we are found.
   *
   * @throws NatError NAT_TUNNEL_REFUSED, NAT_TUNNEL_PROTOCOL, NAT_TUNNEL_UNPAID, NAT_TIMEOUT,
   * NAT_TUNNEL_CLOSED; KadError when it is not the node that it should be.
   */
  static async open(options: TunnelConnectionOptions): Promise<TunnelConnection> {
    const { tunnel, credentials, clock, signal, dialer = directDialer } = options;
    const limits = { ...defaultTunnelClientLimits, ...options.limits };
    const { host, port } = parseAddress(tunnel.address);
    const tls = await dialTls({
      dialer,
      host,
      port,
      credentials,
      expectedNodeId: tunnel.nodeId,
      timeoutMs: limits.openMs,
      ...(signal && { signal }),
    });
    const url = `wss://${host.includes(':') ? `[${host}]` : host}:${port}${TUNNEL_PATH}`;
    const socket = new WebSocket(url, TUNNEL_SUBPROTOCOL, {
      createConnection: () => tls,
      perMessageDeflate: false,
      maxPayload: HEADER_SIZE + MAX_FRAME_DATA,
      handshakeTimeout: limits.openMs,
      followRedirects: false,
      // Nobody needs answers of WebSockets' own here, and they would not be bounded.
      autoPong: false,
      // Inside TLS there is no proxy that masks protect (docs/decisions/0003).
      generateMask: (mask) => void mask.fill(0),
    });
    const abort = () => socket.terminate();
    signal?.addEventListener('abort', abort, { once: true });
    const timer = clock.setTimeout(abort, limits.openMs);
    try {
      return await TunnelConnection.begin(options, limits, socket, tls);
    } catch (error) {
      socket.terminate();
      tls.destroy();
      if (signal?.aborted !== true) throw error;
      throw new NatError('NAT_ABORTED', 'the opening of a tunnel was aborted', { cause: error });
    } finally {
      clock.clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  private static begin(
    options: TunnelConnectionOptions,
    limits: TunnelClientLimits,
    socket: WebSocket,
    tls: TLSSocket,
  ): Promise<TunnelConnection> {
    const { clock, purse, tunnel } = options;
    const { publicKey } = peerIdentityOf(tls)!;
    const party = { nodeId: tunnel.nodeId, publicKey: toHex(publicKey) };
    return new Promise((resolve, reject) => {
      let connection: TunnelConnection | undefined;
      socket.once('unexpected-response', (_request, response) => {
        void refusal(response).then((error) => {
          reject(error);
          tls.destroy();
        });
      });
      const mux = new Multiplexer(socket, false, {
        clock,
        // A tunnel may allow more than we do: some more are refused one by one before it is cut off.
        maxStreams: 2 * limits.connections + 64,
        pingMs: limits.pingMs,
        pongMs: limits.pongMs,
        onStream: (stream) => connection?.take(stream),
        onText: (text) => {
          const message = parseTunnelMessage(text);
          if (connection !== undefined) return connection.onMessage(message);
          if (message.type === 'going') throw new NatError(codeOf(message.code), message.message);
          if (message.type !== 'welcome') return;
          checkPrice(message, purse);
          connection = new TunnelConnection(options, limits, () => mux, party, message);
          resolve(connection);
        },
        onClose: (reason) => {
          reject(reason);
          connection?.end(reason);
        },
      });
    });
  }

  /** Whether a stranger that comes to our address reaches us, and nobody else. */
  async check(signal?: AbortSignal): Promise<boolean> {
    const { credentials, nodeId, dialer = directDialer } = this.options;
    const { host, port } = parseAddress(this.address);
    try {
      const socket = await dialTls({
        dialer,
        host,
        port,
        credentials,
        expectedNodeId: nodeId,
        timeoutMs: this.limits.openMs,
        ...(signal && { signal }),
      });
      socket.destroy();
      return true;
    } catch (error) {
      const { logger } = this.options;
      logger.debug({ address: this.address, error: messageOf(error) }, 'a tunnel did not work');
      return false;
    }
  }

  /** Close it. */
  close(): void {
    this.mux().close(new NatError('NAT_TUNNEL_CLOSED', 'the tunnel was closed here'));
  }

  private take(stream: Duplex): void {
    const { clock, target, logger } = this.options;
    const { stallMs, idleMs, connections } = this.limits;
    if (this.open >= connections || !this.arrivals.take(clock.now())) {
      stream.destroy();
      if (this.refusals.take(clock.now())) return;
      throw new NatError('NAT_TUNNEL_PROTOCOL', 'the tunnel opens streams without end');
    }
    this.open += 1;
    const socket = connect({ ...target, allowHalfOpen: true, noDelay: true });
    socket.once('error', (error) =>
      logger.debug({ error: messageOf(error) }, 'a connection through a tunnel broke here'),
    );
    void relay(stream, socket, {
      clock,
      stallMs,
      idleMs,
      onBytes: (count) => {
        this.bytes += count;
        return 0;
      },
    }).then(() => (this.open -= 1));
  }

  private onMessage(message: TunnelMessage): void {
    if (message.type === 'going') {
      this.reason = new NatError(codeOf(message.code), message.message);
      this.settleGoing();
      return;
    }
    if (message.type === 'welcome') {
      throw new NatError('NAT_TUNNEL_PROTOCOL', 'the tunnel welcomes twice');
    }
    if (message.type !== 'meter') return this.onMoney(message);
    const { bytes } = message;
    if (bytes > this.bytes + UNDER_WAY) {
      throw new NatError(
        'NAT_TUNNEL_PROTOCOL',
        `the tunnel says that it carried ${bytes} bytes; here it was ${this.bytes}`,
      );
    }
  }

  private onMoney(message: Extract<TunnelMessage, { type: 'bill' | 'noted' | 'held' }>): void {
    const { purse, logger, tunnel } = this.options;
    if (purse === undefined || this.welcome.price === '0') return;
    if (message.type === 'held') {
      logger.info({ tunnel: tunnel.nodeId, reason: message.message }, 'a tunnel wants to be paid');
      return purse.held(this.party);
    }
    this.documents.add(async () => {
      try {
        if (message.type === 'noted') return await purse.noted(this.party, message.receipt);
        const receipt = await purse.sign(this.party, this.welcome, message.bill, this.carried);
        if (receipt !== undefined) this.mux().say({ type: 'receipt', receipt });
      } catch (error) {
        logger.warn({ tunnel: tunnel.nodeId, error: messageOf(error) }, 'a tunnel is not paid');
        this.mux().close(new NatError('NAT_TUNNEL_UNPAID', messageOf(error).slice(0, 512)));
      }
    });
  }

  private get carried(): Carried {
    return { session: this.welcome.session, bytes: this.bytes };
  }

  private end(error: NatError): void {
    this.settleGoing();
    this.settleClosed(this.reason ?? error);
    if (this.welcome.price !== '0') {
      this.options.purse?.ended(this.party, this.welcome, this.carried);
    }
  }
}

const CODES: readonly NatErrorCode[] = [
  'NAT_TUNNEL_REFUSED',
  'NAT_TUNNEL_PROTOCOL',
  'NAT_TUNNEL_CLOSED',
  'NAT_TUNNEL_UNPAID',
];

function codeOf(code: unknown): NatErrorCode {
  return CODES.find((known) => known === code) ?? 'NAT_TUNNEL_REFUSED';
}

/** @throws NatError NAT_TUNNEL_UNPAID. */
function checkPrice(welcome: Welcome, purse: TunnelPurse | undefined): void {
  const { price, currency } = welcome;
  if (price === '0' || purse?.affords(welcome) === true) return;
  throw new NatError(
    'NAT_TUNNEL_UNPAID',
    `the tunnel asks for ${price} ${currency} a GB, which is more than this node pays, or in another way`,
  );
}

/** The most bytes of a refusal that are read. */
const MAX_REFUSAL = 4096;

async function refusal(response: IncomingMessage): Promise<NatError> {
  const { statusCode = 0 } = response;
  let text = '';
  try {
    for await (const chunk of response) {
      text += String(chunk);
      if (text.length > MAX_REFUSAL) break;
    }
    const { error } = JSON.parse(text) as { error?: { code?: unknown; message?: unknown } };
    if (statusCode === 404) return new NatError('NAT_TUNNEL_REFUSED', 'that node is no tunnel');
    return new NatError(codeOf(error?.code), String(error?.message).slice(0, 512));
  } catch {
    return new NatError('NAT_TUNNEL_REFUSED', `the tunnel refused with status ${statusCode}`);
  } finally {
    response.destroy();
  }
}
