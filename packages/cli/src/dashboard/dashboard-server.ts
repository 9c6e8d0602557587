import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, type Logger, type Random, messageOf } from '@granary/kad';
import { CliError } from '../cli-error.js';
import { DashboardAccess } from './access.js';
import type { DashboardAddress } from './dashboard-address.js';
import type { DashboardSource } from './dashboard-source.js';
import { EventHub, type HubLimits } from './event-hub.js';
import { type StaticFile, loadSite } from './static-site.js';

/** What a {@link DashboardServer} is made of. */
export interface DashboardParts {
  readonly address: DashboardAddress;
  readonly source: DashboardSource;
  /** The folder of the built pages. */
  readonly site: URL;
  /** Of `granary`. */
  readonly version: string;
  readonly limits?: Partial<HubLimits>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

const PAGE = '/dashboard.html';

/** Only files of ours, no inline code or styles, no frames, no forms: there is nothing to send. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};

const DENIED = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>Granary dashboard</title></head>
<body><main><h1>This is a Granary dashboard</h1>
<p>Open the address that granary printed when it started. It ends in <code>?token=…</code>, and it is
another one after each start.</p></main></body></html>
`;

/**
 * The dashboard over HTTP, for reading only. Whoever comes with the token in the address gets a cookie
 * for it; whoever has neither gets nothing.
 */
export class DashboardServer {
  private readonly access: DashboardAccess;
  private readonly hub: EventHub;
  private readonly server: Server;
  private site: Promise<ReadonlyMap<string, StaticFile>> | undefined;

  private constructor(private readonly parts: DashboardParts) {
    const { address, random } = parts;
    this.access = new DashboardAccess(random, address.host);
    this.hub = new EventHub(parts);
    this.server = createServer({
      maxHeaderSize: 8 * 1024,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 30_000,
    });
    this.server.maxConnections = 64;
    this.server.on('request', (request, response) => void this.serve(request, response));
  }

  /** Start to listen. @throws CliError CLI_USAGE when it can't. */
  static async start(parts: DashboardParts): Promise<DashboardServer> {
    const dashboard = new DashboardServer(parts);
    const { host, port } = parts.address;
    try {
      await new Promise<void>((resolve, reject) => {
        dashboard.server.once('error', reject);
        dashboard.server.listen({ host, port }, resolve);
      });
    } catch (error) {
      await dashboard.hub.close();
      const { code = messageOf(error) } = error as NodeJS.ErrnoException;
      throw new CliError(
        'CLI_USAGE',
        `the dashboard can't be served at ${host}:${port} (${code}): choose another port with ` +
          '--dashboard PORT (0: any that is free), or none with --no-dashboard',
      );
    }
    dashboard.server.on('error', () => undefined);
    return dashboard;
  }

  /** The port listened on. */
  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The address to open, token included: whoever has it can read the dashboard. */
  get url(): string {
    const { host } = this.parts.address;
    const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    const shown = name.includes(':') ? `[${name}]` : name;
    return `http://${shown}:${this.port}/?token=${this.access.token}`;
  }

  /** Stop serving, and close the source. */
  async close(): Promise<void> {
    await this.hub.close();
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    response.on('error', () => undefined);
    try {
      await this.answer(request, response);
    } catch (error) {
      this.parts.logger.error({ error: messageOf(error) }, 'the dashboard could not be served');
      if (!response.headersSent) text(response, 500, 'something went wrong; the log says what\n');
      else response.destroy();
    }
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return text(response, 405, 'the dashboard is for reading only\n');
    }
    if (!this.access.isOurName(request)) {
      return text(
        response,
        421,
        'this dashboard does not go by that name: use the address that was printed\n',
      );
    }
    if (!URL.canParse(request.url ?? '/', 'http://dashboard')) {
      return text(response, 400, 'that is no path\n');
    }
    const url = new URL(request.url ?? '/', 'http://dashboard');
    const token = url.searchParams.get('token');
    if (url.pathname === '/' && token !== null && this.access.isToken(token)) {
      // The token leaves the address, and the history with it.
      response.writeHead(303, {
        location: './',
        'set-cookie': this.access.cookie(this.port),
        'cache-control': 'no-store',
      });
      response.end();
      return;
    }
    if (!this.access.hasSession(request, this.port)) {
      if (url.pathname.startsWith('/api/')) return text(response, 401, 'show the token first\n');
      response.writeHead(401, {
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
      });
      response.end(DENIED);
      return;
    }
    if (url.pathname === '/api/session') return text(response, 200, 'welcome\n');
    if (url.pathname === '/api/events' && request.method === 'GET') return this.listen(response);
    if (url.pathname === '/api/objects') return this.objects(url, response);
    return this.file(url.pathname === '/' ? PAGE : url.pathname, response);
  }

  private listen(response: ServerResponse): void {
    if (this.hub.hasRoom) return this.hub.add(response);
    response.setHeader('retry-after', '10');
    text(response, 503, 'too many windows look at this dashboard: close one\n');
  }

  private objects(url: URL, response: ServerResponse): void {
    const page = Number(url.searchParams.get('page') ?? '0');
    const { source } = this.parts;
    if (source.objects === undefined) return text(response, 404, 'there are no objects here\n');
    if (!Number.isInteger(page) || page < 0 || page > 1e6) {
      return text(response, 400, 'page: a number from 0\n');
    }
    const body = JSON.stringify(source.objects(page));
    response.writeHead(200, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
    });
    response.end(body);
  }

  private async file(path: string, response: ServerResponse): Promise<void> {
    this.site ??= loadSite(this.parts.site);
    const files = await this.site.catch((error: NodeJS.ErrnoException) => {
      this.site = undefined;
      if (error.code === 'ENOENT') return new Map<string, StaticFile>();
      throw error;
    });
    const file = files.get(path);
    if (file === undefined && path === PAGE) {
      return text(response, 503, 'the pages are not built yet: run "npm run build"\n');
    }
    if (file === undefined) return text(response, 404, 'there is nothing here\n');
    response.writeHead(200, {
      'content-type': file.type,
      'content-length': file.body.length,
      'cache-control': file.immutable ? 'private, max-age=31536000, immutable' : 'no-store',
    });
    response.end(file.body);
  }
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
  });
  response.end(body);
}
