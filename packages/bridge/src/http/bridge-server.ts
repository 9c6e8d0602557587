import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { Clock, Logger, Random } from '@granary/kad';
import { errorText } from '../error-text.js';
import { isApiPath } from '../rest/router.js';
import type { ProcessStatus } from '../rest/status-handlers.js';
import { S3Error } from '../s3/s3-error.js';
import { bucketOfHost } from '../s3/s3-request.js';
import type { Outcome, Service } from './outcome.js';
import type { BridgeMetrics, RequestFigures } from './bridge-metrics.js';
import { type IncomingBody, drain, incomingBody } from './request-body.js';
import type { TlsPair } from './self-signed-certificate.js';
import { type Sent, sendResponse } from './send-response.js';

/** Bounds of the server. Times are milliseconds, sizes bytes. */
export interface ServerLimits {
  /** Requests answered at one time; more are told to slow down. */
  readonly requests: number;
  readonly connections: number;
  /** Of a request's head. */
  readonly headBytes: number;
  /** Until a request's head is whole. */
  readonly headMs: number;
  /** How long a connection may be idle between requests. */
  readonly idleMs: number;
  /** How long a client may take nothing of an answer. */
  readonly stallMs: number;
  /** What is taken of a body that nobody wants, before the connection is closed. */
  readonly drain: { readonly bytes: number; readonly ms: number };
}

/** The bounds of a server that was told nothing else. */
export const DEFAULT_SERVER_LIMITS: ServerLimits = {
  requests: 256,
  connections: 2048,
  headBytes: 32 * 1024,
  headMs: 15_000,
  idleMs: 30_000,
  stallMs: 60_000,
  drain: { bytes: 8 * 1024 * 1024, ms: 2_000 },
};

/** What a {@link BridgeServer} is made of. */
export interface BridgeServerParts {
  /** S3. */
  readonly service: Service;
  /** The REST API. */
  readonly rest: Service;
  /** Base domains of virtual-hosted style, in lower case: there, every path is S3's. */
  readonly domains: readonly string[];
  /** Whether requests can be served now; throws when not. */
  readonly ready: (signal: AbortSignal) => Promise<void>;
  readonly host: string;
  /** 0 takes any that is free. */
  readonly port: number;
  /** Key and certificate chain in PEM; plain HTTP without. */
  readonly tls?: TlsPair;
  readonly limits?: Partial<ServerLimits>;
  readonly metrics?: BridgeMetrics;
  /** Told of every request that was answered. Cheap calls only. */
  readonly onRequest?: (figures: RequestFigures) => void;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: Random;
}

/** How long `/ready` takes at most to find out. */
const READY_MS = 5_000;

/** The HTTP face of a bridge. */
export class BridgeServer {
  private readonly limits: ServerLimits;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly stopping = new AbortController();
  private running = 0;
  private closing = false;
  private onIdle: (() => void) | undefined;

  private constructor(private readonly parts: BridgeServerParts) {
    this.limits = { ...DEFAULT_SERVER_LIMITS, ...parts.limits };
    const { headBytes, headMs, idleMs, connections } = this.limits;
    const options = {
      maxHeaderSize: headBytes,
      headersTimeout: headMs,
      // Bodies are watched by their pace: a large one may take as long as it takes.
      requestTimeout: 0,
      keepAliveTimeout: idleMs,
      connectionsCheckingInterval: 2_000,
      insecureHTTPParser: false,
      requireHostHeader: true,
      noDelay: true,
    };
    const listener = (request: IncomingMessage, response: ServerResponse) =>
      void this.serve(request, response);
    this.server =
      parts.tls === undefined
        ? createServer(options, listener)
        : createTlsServer(
            { ...options, ...parts.tls, minVersion: 'TLSv1.2', handshakeTimeout: headMs },
            listener,
          );
    // Else Node leaves out what is beyond a number of fields, the signature perhaps.
    this.server.maxHeadersCount = 0;
    this.server.maxConnections = connections;
    this.server.on('checkContinue', listener);
    this.server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.once('close', () => this.sockets.delete(socket));
    });
    this.server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) =>
      this.refuse(error, socket),
    );
  }

  /** Start to listen. @throws what Node throws when the address can't be had. */
  static async start(parts: BridgeServerParts): Promise<BridgeServer> {
    const bridge = new BridgeServer(parts);
    await new Promise<void>((resolve, reject) => {
      bridge.server.once('error', reject);
      bridge.server.listen(parts.port, parts.host, () => {
        bridge.server.off('error', reject);
        resolve();
      });
    });
    await parts.metrics?.gauge(
      'bridge_requests_running',
      'Requests under way',
      () => bridge.running,
    );
    await parts.metrics?.gauge('bridge_connections', 'Connections open', () => bridge.sockets.size);
    return bridge;
  }

  /** Requests under way and connections open. */
  get load(): { readonly running: number; readonly connections: number } {
    return { running: this.running, connections: this.sockets.size };
  }

  /**
   * Show this certificate to who connects from now on. Connections that are open stay as they are.
   *
   * @throws what OpenSSL says when key and certificate are none or no pair; then all stays as it was.
   */
  useCertificate(tls: TlsPair): void {
    if (this.server instanceof TlsServer)
      this.server.setSecureContext({ ...tls, minVersion: 'TLSv1.2' });
  }

  /** Where it listens, as a URL. */
  get url(): string {
    const { address, port, family } = this.server.address() as AddressInfo;
    const host = family === 'IPv6' ? `[${address}]` : address;
    return `${this.parts.tls === undefined ? 'http' : 'https'}://${host}:${port}`;
  }

  /**
   * Take no more requests, let those under way end, and close.
   *
   * @param graceMs - how long they may take; then they are cut off
   */
  async close(graceMs: number): Promise<void> {
    this.closing = true;
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeIdleConnections();
    if (this.running > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.onIdle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.stopping.abort(new S3Error('ServiceUnavailable', 'The bridge is stopping.'));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { parts, limits } = this;
    const begun = parts.clock.now();
    const id = Buffer.from(parts.random(8)).toString('hex').toUpperCase();
    const method = request.method ?? '';
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(new Error('the client went away'));
    });
    // What goes wrong on the socket shows in whoever reads or writes.
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    const body = incomingBody(request, response);
    const signal = AbortSignal.any([gone.signal, this.stopping.signal]);
    this.running += 1;
    try {
      const outcome = await this.answer(request, { id, method, body, signal });
      const waiting = /^100-continue$/i.test(request.headers.expect ?? '') && body.bytes() === 0;
      const unread = !request.complete && !waiting;
      const close = !request.complete || this.closing || outcome.error?.code === 'RequestTimeout';
      const sent = await sendResponse(
        response,
        {
          ...outcome.response,
          headers: {
            server: 'Granary',
            ...outcome.response.headers,
            ...(close && { connection: 'close' }),
          },
        },
        method,
        limits.stallMs,
      );
      this.report(request, { id, method, begun, body, outcome, sent });
      if (unread) await drain(request, limits.drain);
      if (close) request.socket.destroySoon();
    } catch (error) {
      parts.logger.error(
        { requestId: id, error: errorText(error) },
        'a request could not be answered',
      );
      response.destroy();
    } finally {
      this.running -= 1;
      if (this.running === 0) this.onIdle?.();
    }
  }

  private async answer(
    request: IncomingMessage,
    about: { id: string; method: string; body: IncomingBody; signal: AbortSignal },
  ): Promise<Outcome> {
    const { id, method, body, signal } = about;
    const url = request.url ?? '/';
    const service = this.serviceOf(url, request.headers.host);
    const probe = await this.probe(method, url, signal);
    if (probe !== undefined) return probe;
    if (this.closing || this.running > this.limits.requests) {
      const error = this.closing
        ? new S3Error('ServiceUnavailable', 'The bridge is stopping.')
        : new S3Error('SlowDown', undefined, { headers: { 'retry-after': '1' } });
      return service.refuse(error, { id, method });
    }
    return service.handle({
      id,
      method,
      url,
      rawHeaders: request.rawHeaders,
      remoteAddress: request.socket.remoteAddress ?? '',
      secure: this.parts.tls !== undefined,
      body: body.stream,
      signal,
    });
  }

  private serviceOf(url: string, host: string | undefined): Service {
    const { service, rest, domains } = this.parts;
    const path = url.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '');
    return isApiPath(path) && bucketOfHost(host, domains) === undefined ? rest : service;
  }

  /** How many requests are under way, the most that may be, and how many connections are open. */
  status(): ProcessStatus {
    const { running, limits, sockets } = this;
    return { requests: { running, most: limits.requests }, connections: sockets.size };
  }

  /** `/health`: the process answers. `/ready`: so do its stores. No bucket has these names. */
  private async probe(
    method: string,
    url: string,
    signal: AbortSignal,
  ): Promise<Outcome | undefined> {
    if (method !== 'GET' && method !== 'HEAD') return undefined;
    const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
    const answer = (status: number, body: object): Outcome => ({
      response: { status, headers, body: `${JSON.stringify(body)}\n` },
    });
    if (url === '/health') return answer(200, { status: 'ok' });
    if (url !== '/ready') return undefined;
    if (this.closing) return answer(503, { status: 'stopping' });
    try {
      await this.parts.ready(AbortSignal.any([signal, AbortSignal.timeout(READY_MS)]));
      return answer(200, { status: 'ready' });
    } catch (error) {
      this.parts.logger.warn({ error: errorText(error) }, 'not ready');
      return answer(503, { status: 'not ready' });
    }
  }

  private report(
    request: IncomingMessage,
    about: {
      id: string;
      method: string;
      begun: number;
      body: IncomingBody;
      outcome: Outcome;
      sent: Sent;
    },
  ): void {
    const { id, method, begun, body, outcome, sent } = about;
    const { operation, error, caller, response } = outcome;
    const ms = this.parts.clock.now() - begun;
    const figures: RequestFigures = {
      operation: operation ?? 'other',
      status: response.status,
      ...(error !== undefined && { code: error.code }),
      seconds: ms / 1000,
      received: body.bytes(),
      sent: sent.bytes,
    };
    this.parts.metrics?.observe(figures);
    this.parts.onRequest?.(figures);
    // Never the query: a presigned URL is a key.
    this.parts.logger.info(
      {
        requestId: id,
        remote: request.socket.remoteAddress,
        method,
        operation,
        bucket: outcome.bucket,
        key: outcome.key,
        user: caller?.userName,
        accessKeyId: caller?.accessKeyId,
        status: response.status,
        code: error?.code,
        received: body.bytes(),
        sent: sent.bytes,
        ms,
        userAgent: request.headers['user-agent'],
        ...(sent.failure !== undefined && { cutOff: errorText(sent.failure) }),
      },
      'request',
    );
    if (error !== undefined && error.status >= 500) {
      this.parts.logger.error(
        { requestId: id, code: error.code, error: errorText(error.cause) },
        'a request failed',
      );
    }
  }

  /** Answer what is not HTTP, too large or too slow, and close. */
  private refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const [status, code] =
      error.code === 'HPE_HEADER_OVERFLOW'
        ? ['431 Request Header Fields Too Large', 'RequestHeaderSectionTooLarge']
        : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
          ? ['408 Request Timeout', 'RequestTimeout']
          : ['400 Bad Request', 'BadRequest'];
    const body = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>The request is not one that this server takes.</Message></Error>`;
    socket.end(
      `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/xml\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    this.parts.logger.debug({ remote: socket.remoteAddress, code: error.code }, 'refused');
  }
}
