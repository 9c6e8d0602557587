import * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { formatAddress, parseAddress } from './address.js';
import type { TlsCredentials } from './certificate.js';
import type { Dialer } from './dialer.js';
import { directDialer } from './direct-dialer.js';
import { MAX_MESSAGE_SIZE } from './envelope.js';
import { KadError, messageOf, throwIfAborted } from './errors.js';
import { allowManyListeners } from './listeners.js';
import { type Logger, silentLogger } from './logger.js';
import type { NodeId } from './node-id.js';
import { dialTls, peerIdentityOf } from './tls.js';
import {
  DEFAULT_TIMEOUT_MS,
  type ExchangeOptions,
  type MessageHandler,
  type Peer,
  type Transport,
  noAddressError,
} from './transport.js';

/** The path that takes messages. */
export const RPC_PATH = '/rpc';

/** What an {@link HttpsTransport} is made of. */
export interface HttpsTransportOptions {
  readonly credentials: TlsCredentials;
  /** Where to listen. Without it the transport only asks. */
  readonly listen?: { readonly host: string; readonly port: number };
  /**
   * Addresses to announce instead of the one listened on. Without them a node whose dialer is not
   * direct announces none.
   */
  readonly announce?: readonly string[];
  /** How connections are opened; from this machine itself when not given. */
  readonly dialer?: Dialer;
  readonly logger?: Logger;
  /** The most connections taken at one time. */
  readonly maxConnections?: number;
  /**
   * Milliseconds after which a connection that nobody asks on is closed: by who is asked; who asks closes it a quarter, but
   * at most ten seconds, earlier. 60,000 when not given.
   */
  readonly idleMs?: number;
  /** Answers requests for other paths; returns false to let them be refused. */
  readonly onRequest?: (request: http.IncomingMessage, response: http.ServerResponse) => boolean;
}

/** See {@link HttpsTransportOptions.idleMs}. */
const IDLE_MS = 60_000;

const ignore = () => undefined;

interface AgentRequestOptions extends http.RequestOptions {
  expectedNodeId?: NodeId;
  dialTimeoutMs?: number;
}

/** Milliseconds that a connection is kept that was opened to learn who is there, and the most of those. */
const SPARE_MS = 10_000;
const MAX_SPARE = 64;

/** Keeps connections alive and pooled by address and by the node that was proved to be there. */
class NodeAgent extends http.Agent {
  /** Connections that nothing was sent on yet, by their names. */
  private readonly spare = new Map<string, TLSSocket>();

  constructor(
    private readonly credentials: TlsCredentials,
    private readonly dialer: Dialer,
    private readonly stopping: AbortSignal,
    idleMs: number,
  ) {
    super({
      keepAlive: true,
      // Else a message may be on its way while the other side closes, and is lost as if nobody were there.
      timeout: idleMs - Math.min(idleMs / 4, 10_000),
      maxSockets: 4,
      maxTotalSockets: 512,
      maxFreeSockets: 64,
    });
  }

  override getName(options: AgentRequestOptions = {}): string {
    return `${options.host}:${options.port}:${options.expectedNodeId ?? ''}`;
  }

  /** Keep a connection to a node for the first message to it. It is closed when none comes soon. */
  keep(host: string, port: number, nodeId: NodeId, socket: TLSSocket): void {
    const name = this.getName({ host, port, expectedNodeId: nodeId });
    if (this.stopping.aborted || this.spare.has(name) || this.spare.size >= MAX_SPARE) {
      socket.destroy();
      return;
    }
    this.spare.set(name, socket);
    socket.on('error', ignore);
    socket.once('close', () => {
      if (this.spare.get(name) === socket) this.spare.delete(name);
    });
    setTimeout(() => {
      if (this.spare.get(name) === socket) socket.destroy();
    }, SPARE_MS).unref();
  }

  private takeSpare(name: string): TLSSocket | undefined {
    const socket = this.spare.get(name);
    if (socket === undefined) return undefined;
    this.spare.delete(name);
    if (!socket.writable) {
      // The other side is closing it. Its errors are nobody's.
      socket.destroy();
      return undefined;
    }
    socket.off('error', ignore);
    return socket;
  }

  override destroy(): void {
    for (const socket of this.spare.values()) socket.destroy();
    super.destroy();
  }

  override createConnection(
    options: AgentRequestOptions,
    callback?: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined {
    const spare = this.takeSpare(this.getName(options));
    if (spare !== undefined) return spare;
    dialTls({
      host: String(options.host),
      port: Number(options.port),
      credentials: this.credentials,
      dialer: this.dialer,
      signal: this.stopping,
      ...(options.expectedNodeId !== undefined && { expectedNodeId: options.expectedNodeId }),
      ...(options.dialTimeoutMs !== undefined && { timeoutMs: options.dialTimeoutMs }),
    }).then(
      (socket) => callback?.(null, socket),
      (error: Error) => (callback as unknown as (error: Error) => void)(error),
    );
    return undefined;
  }
}

/**
 * Messages as bodies of HTTPS POSTs. Both ends show self-signed certificates that are bound to
 * their identities; both check. The HTTPS server is open to others (WebSockets, more paths).
 */
export class HttpsTransport implements Transport {
  /** The server, for `upgrade` handlers; undefined when the transport only asks. */
  readonly server: https.Server | undefined;
  private readonly dialer: Dialer;
  private readonly agent: NodeAgent;
  private readonly logger: Logger;
  private handler: MessageHandler | undefined;
  private announced: readonly string[] = [];
  private readonly stopping = new AbortController();
  /** Connections that others made, from before their TLS handshake on. */
  private readonly sockets = new Set<Socket>();

  constructor(private readonly options: HttpsTransportOptions) {
    this.logger = options.logger ?? silentLogger;
    // Every dial and every exchange listens for the end; there is no leak to warn of.
    allowManyListeners(this.stopping.signal);
    this.dialer = options.dialer ?? directDialer;
    const { idleMs = IDLE_MS } = options;
    this.agent = new NodeAgent(options.credentials, this.dialer, this.stopping.signal, idleMs);
    if (options.listen === undefined) return;
    const { key, cert } = options.credentials;
    this.server = https.createServer(
      {
        key,
        cert,
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.3',
        maxHeaderSize: 16 * 1024,
        headersTimeout: 10_000,
        requestTimeout: 30_000,
        keepAliveTimeout: idleMs,
        handshakeTimeout: 10_000,
        connectionsCheckingInterval: 5_000,
      },
      (request, response) => this.serve(request, response),
    );
    this.server.maxConnections = options.maxConnections ?? 2048;
    this.server.maxHeadersCount = 64;
    this.server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
    this.server.on('tlsClientError', (_error, socket) => socket.destroy());
    this.server.on('clientError', (_error, socket) => {
      if (!socket.writable) {
        socket.destroy();
        return;
      }
      const body = JSON.stringify({
        error: { code: 'KAD_MALFORMED', message: 'this is not HTTP' },
      });
      socket.end(
        'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n' +
          `Content-Length: ${body.length}\r\n\r\n${body}`,
      );
    });
  }

  get addresses(): readonly string[] {
    return this.announced;
  }

  /** @throws KadError KAD_PORT_IN_USE or KAD_LISTEN. */
  async listen(handler: MessageHandler): Promise<void> {
    this.throwIfClosed();
    this.handler = handler;
    const { server, options } = this;
    if (server === undefined || options.listen === undefined) return;
    const { host, port } = options.listen;
    await new Promise<void>((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException) =>
        reject(
          error.code === 'EADDRINUSE'
            ? new KadError(
                'KAD_PORT_IN_USE',
                `port ${port} on ${host} is in use: choose another with --port`,
              )
            : new KadError('KAD_LISTEN', `cannot listen on ${host}:${port}: ${error.message}`),
        );
      server.once('error', onError);
      server.listen({ host, port }, () => {
        server.removeListener('error', onError);
        server.on('error', (error) =>
          this.logger.error({ error: messageOf(error) }, 'the HTTPS server had an error'),
        );
        resolve();
      });
    });
    const bound = server.address() as AddressInfo;
    // Where it listens is nobody's business when nobody may know where it is.
    const own = this.dialer.direct ? [formatAddress({ host, port: bound.port })] : [];
    this.announced = options.announce ?? own;
  }

  dials(address: string): boolean {
    const { scheme, host } = parseAddress(address);
    return scheme === 'https' && this.dialer.dials(host);
  }

  async identify(
    address: string,
    { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: ExchangeOptions = {},
  ): Promise<NodeId> {
    this.throwIfClosed();
    const { scheme, host, port, nodeId } = parseAddress(address);
    if (scheme !== 'https') {
      throw new KadError('KAD_BAD_ADDRESS', `${address}: this transport dials https:// only`);
    }
    const socket = await dialTls({
      host,
      port,
      credentials: this.options.credentials,
      dialer: this.dialer,
      timeoutMs: timeoutMs + this.dialer.slackMs,
      ...(nodeId !== undefined && { expectedNodeId: nodeId }),
      ...(signal !== undefined && { signal }),
    });
    const there = peerIdentityOf(socket)!.nodeId;
    // Who asks who is there has something to say to it.
    this.agent.keep(host, port, there, socket);
    return there;
  }

  async request(to: Peer, message: Uint8Array, options: ExchangeOptions = {}): Promise<Uint8Array> {
    this.throwIfClosed();
    if (message.length > MAX_MESSAGE_SIZE) {
      throw new KadError('KAD_TOO_LARGE', `a message has at most ${MAX_MESSAGE_SIZE} bytes`);
    }
    let failure: unknown;
    for (const address of to.addresses) {
      if (!this.dials(address)) continue;
      try {
        return await this.post(address, to.nodeId, message, options);
      } catch (error) {
        failure = error;
        if (options.signal?.aborted === true || this.stopping.signal.aborted) break;
      }
    }
    throw failure ?? noAddressError(to);
  }

  async close(): Promise<void> {
    this.stopping.abort();
    this.agent.destroy();
    const { server } = this;
    if (server === undefined || !server.listening) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    // It does not know of those that are still in their TLS handshake, but waits for them.
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private throwIfClosed(): void {
    if (this.stopping.signal.aborted) {
      throw new KadError('KAD_STOPPED', 'the transport was closed');
    }
  }

  private post(
    address: string,
    nodeId: NodeId,
    message: Uint8Array,
    { signal, timeoutMs: usualMs = DEFAULT_TIMEOUT_MS }: ExchangeOptions,
  ): Promise<Uint8Array> {
    const { host, port } = parseAddress(address);
    const timeoutMs = usualMs + this.dialer.slackMs;
    return new Promise((resolve, reject) => {
      // Before there is a request: one that is destroyed unheard would end the process.
      throwIfAborted(signal);
      const options: AgentRequestOptions = {
        agent: this.agent,
        host,
        port,
        path: RPC_PATH,
        method: 'POST',
        headers: { 'content-type': 'application/octet-stream', 'content-length': message.length },
        expectedNodeId: nodeId,
        dialTimeoutMs: timeoutMs,
      };
      const request = http.request(options);
      const finish = (error: Error | undefined, body?: Uint8Array) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.stopping.signal.removeEventListener('abort', onStop);
        if (error === undefined) {
          resolve(body!);
        } else {
          request.destroy();
          reject(error);
        }
      };
      const timer = setTimeout(
        () => finish(new KadError('KAD_TIMEOUT', `${address} did not answer in ${timeoutMs} ms`)),
        timeoutMs,
      );
      const onAbort = () => finish(new KadError('KAD_ABORTED', 'the call was aborted'));
      const onStop = () => finish(new KadError('KAD_STOPPED', 'the transport was closed'));
      signal?.addEventListener('abort', onAbort, { once: true });
      this.stopping.signal.addEventListener('abort', onStop, { once: true });
      request.on('error', (error) =>
        finish(
          error instanceof KadError
            ? error
            : new KadError('KAD_UNREACHABLE', `${address}: ${messageOf(error)}`, { cause: error }),
        ),
      );
      request.on('response', (response) => {
        readBody(response).then(
          (body) => {
            if (response.statusCode === 200) finish(undefined, body);
            else finish(refusal(address, response.statusCode ?? 0, body));
          },
          (error: Error) => finish(error),
        );
      });
      request.end(message);
    });
  }

  private serve(request: http.IncomingMessage, response: http.ServerResponse): void {
    this.answer(request, response).catch((error: unknown) => {
      const code = error instanceof KadError ? error.code : 'KAD_INTERNAL';
      if (!(error instanceof KadError)) {
        this.logger.error({ error: messageOf(error) }, 'a request could not be answered');
      }
      const message = error instanceof KadError ? error.message : 'internal error';
      if (!response.headersSent) sendError(response, STATUS[code] ?? 400, code, message);
      // What is left of a body that nobody will read must not keep the connection.
      if (!request.complete) request.destroy();
    });
  }

  private async answer(
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> {
    if (request.url !== RPC_PATH) {
      if (this.options.onRequest?.(request, response) === true) return;
      throw new KadError(
        'KAD_NOT_FOUND',
        `there is nothing at this path; messages go to ${RPC_PATH}`,
      );
    }
    if (request.method !== 'POST') {
      throw new KadError('KAD_METHOD_NOT_FOUND', `messages are POSTed to ${RPC_PATH}`);
    }
    const peer = peerIdentityOf(request.socket as TLSSocket);
    if (peer === undefined) {
      throw new KadError(
        'KAD_BAD_CERTIFICATE',
        'a node shows a certificate when it sends messages',
      );
    }
    const body = await readBody(request);
    if (this.handler === undefined) throw new KadError('KAD_STOPPED', 'the node is not running');
    const { remoteAddress = '', remotePort } = request.socket;
    const answer = await this.handler(body, {
      nodeId: peer.nodeId,
      address: remoteAddress,
      ...(remotePort !== undefined && { port: remotePort }),
    });
    response.writeHead(200, {
      'content-type': 'application/octet-stream',
      'content-length': answer.length,
    });
    response.end(answer);
  }
}

const STATUS: Record<string, number> = {
  KAD_NOT_FOUND: 404,
  KAD_METHOD_NOT_FOUND: 405,
  KAD_TOO_LARGE: 413,
  KAD_BUSY: 503,
  KAD_INTERNAL: 500,
  KAD_BAD_CERTIFICATE: 401,
  KAD_IDENTITY_MISMATCH: 401,
  KAD_BAD_SIGNATURE: 401,
};

function sendError(
  response: http.ServerResponse,
  status: number,
  code: string,
  message: string,
): void {
  const body = Buffer.from(JSON.stringify({ error: { code, message } }));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': body.length,
    connection: 'close',
  });
  response.end(body);
}

function refusal(address: string, status: number, body: Uint8Array): KadError {
  let said = '';
  try {
    const { error } = JSON.parse(Buffer.from(body).toString('utf8')) as {
      error?: { code?: unknown; message?: unknown };
    };
    said = `: ${String(error?.code).slice(0, 64)}: ${String(error?.message).slice(0, 256)}`;
  } catch {
    // It did not say why in our words; the status has to do.
  }
  return new KadError('KAD_REMOTE', `${address} refused the message with status ${status}${said}`);
}

function readBody(stream: http.IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const tooLarge = () =>
      new KadError('KAD_TOO_LARGE', `a message has at most ${MAX_MESSAGE_SIZE} bytes`);
    if (Number(stream.headers['content-length'] ?? 0) > MAX_MESSAGE_SIZE) return reject(tooLarge());
    const parts: Buffer[] = [];
    let size = 0;
    stream.on('data', (part: Buffer) => {
      size += part.length;
      if (size <= MAX_MESSAGE_SIZE) {
        parts.push(part);
      } else {
        stream.pause();
        reject(tooLarge());
      }
    });
    stream.on('end', () => resolve(Buffer.concat(parts)));
    stream.on('error', (error) =>
      reject(new KadError('KAD_UNREACHABLE', `the body was cut off: ${error.message}`)),
    );
    stream.on('close', () => {
      // An error costs as much as a good part of a message, and this comes after every one.
      if (!stream.readableEnded) reject(new KadError('KAD_UNREACHABLE', 'the body was cut off'));
    });
  });
}
