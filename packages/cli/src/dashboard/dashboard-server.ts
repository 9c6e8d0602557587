import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock, Logger, Random } from '@granary/kad';
import { PageServer, isReading, sendText } from '../page-server.js';
import { DashboardAccess } from './access.js';
import type { DashboardAddress } from './dashboard-address.js';
import type { DashboardSource } from './dashboard-source.js';
import { EventHub, type HubLimits } from './event-hub.js';

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
];

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
  private readonly server: PageServer;

  private constructor(private readonly parts: DashboardParts) {
    const { address, random } = parts;
    this.access = new DashboardAccess(random, address.host);
    this.hub = new EventHub(parts);
    this.server = new PageServer({
      ...parts,
      ...address,
      name: 'the dashboard',
      advice:
        'choose another port with --dashboard PORT (0: any that is free), or none with --no-dashboard',
      start: PAGE,
      policy: POLICY,
      cache: { immutable: 'private, max-age=31536000, immutable', other: 'no-store' },
      maxHeaderSize: 8 * 1024,
      maxConnections: 64,
      answer: (request, response) => this.answer(request, response),
    });
  }

  /** Start to listen. @throws CliError CLI_USAGE when it can't. */
  static async start(parts: DashboardParts): Promise<DashboardServer> {
    const dashboard = new DashboardServer(parts);
    try {
      await dashboard.server.listen();
    } catch (error) {
      await dashboard.hub.close();
      throw error;
    }
    return dashboard;
  }

  /** The port listened on. */
  get port(): number {
    return this.server.port;
  }

  /** The address to open, token included: whoever has it can read the dashboard. */
  get url(): string {
    return `${this.server.url}?token=${this.access.token}`;
  }

  /** Stop serving, and close the source. */
  async close(): Promise<void> {
    await this.hub.close();
    await this.server.close();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isReading(request, response, 'the dashboard is for reading only\n')) return;
    if (!this.access.isOurName(request)) {
      return sendText(
        response,
        421,
        'this dashboard does not go by that name: use the address that was printed\n',
      );
    }
    if (!URL.canParse(request.url ?? '/', 'http://dashboard')) {
      return sendText(response, 400, 'that is no path\n');
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
      if (url.pathname.startsWith('/api/'))
        return sendText(response, 401, 'show the token first\n');
      response.writeHead(401, {
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
      });
      response.end(DENIED);
      return;
    }
    if (url.pathname === '/api/session') return sendText(response, 200, 'welcome\n');
    if (url.pathname === '/api/events' && request.method === 'GET') return this.listen(response);
    if (url.pathname === '/api/objects') return this.objects(url, response);
    return this.server.sendFile(url.pathname === '/' ? PAGE : url.pathname, response);
  }

  private listen(response: ServerResponse): void {
    if (this.hub.hasRoom) return this.hub.add(response);
    response.setHeader('retry-after', '10');
    sendText(response, 503, 'too many windows look at this dashboard: close one\n');
  }

  private objects(url: URL, response: ServerResponse): void {
    const page = Number(url.searchParams.get('page') ?? '0');
    const { source } = this.parts;
    if (source.objects === undefined) return sendText(response, 404, 'there are no objects here\n');
    if (!Number.isInteger(page) || page < 0 || page > 1e6) {
      return sendText(response, 400, 'page: a number from 0\n');
    }
    const body = JSON.stringify(source.objects(page));
    response.writeHead(200, {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
    });
    response.end(body);
  }
}
