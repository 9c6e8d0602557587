import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Logger, messageOf } from '@granary/kad';
import { CliError } from '../cli-error.js';
import { type StaticFile, loadSite } from '../dashboard/static-site.js';

/** What a host of the app says of its network, in `network.json`; see the app's `network-settings`. */
export interface AppNetwork {
  /** Addresses that pages can join by. */
  readonly bootstrap: readonly string[];
  /** Redundancy of new objects, K/REPAIR/SUCCESS/N. */
  readonly scheme?: string;
  readonly diversity?: 'require' | 'prefer';
}

/** What an {@link AppServer} is made of. */
export interface AppServerParts {
  readonly host: string;
  /** 0 takes any that is free. */
  readonly port: number;
  /** The folder of the built pages. */
  readonly site: URL;
  /** What is true of the network now. */
  readonly network: () => Promise<AppNetwork>;
  readonly logger: Logger;
}

/** Pages that are served: the operator's dashboard has a server of its own. */
const PAGES = new Set(['/app.html', '/share.html']);
const START = '/app.html';

/**
 * Files of ours, WebAssembly, and nodes of the network. Any node: whom a page speaks to, it finds out from
 * the network. No inline code or styles, nothing from other sites, no frames but for downloads of our own.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self'",
  "media-src 'self'",
  "connect-src 'self' ws: wss:",
  "worker-src 'self'",
  "frame-src 'self'",
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

/**
 * Serves the app for renters: files that are the same for everybody, and where its network is. It sees who
 * opens the page, and nothing else: what the page does, it does with the farmers.
 */
export class AppServer {
  private readonly server: Server;
  private site: Promise<ReadonlyMap<string, StaticFile>> | undefined;

  private constructor(private readonly parts: AppServerParts) {
    this.server = createServer({
      maxHeaderSize: 16 * 1024,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 30_000,
    });
    this.server.maxConnections = 1024;
    this.server.on('request', (request, response) => void this.serve(request, response));
  }

  /** Start to listen. @throws CliError CLI_USAGE when it can't. */
  static async start(parts: AppServerParts): Promise<AppServer> {
    const app = new AppServer(parts);
    const { host, port } = parts;
    try {
      await new Promise<void>((resolve, reject) => {
        app.server.once('error', reject);
        app.server.listen({ host, port }, resolve);
      });
    } catch (error) {
      const { code = messageOf(error) } = error as NodeJS.ErrnoException;
      throw new CliError(
        'CLI_USAGE',
        `the app can't be served at ${host}:${port} (${code}): choose another port (0: any that is free)`,
      );
    }
    app.server.on('error', () => undefined);
    return app;
  }

  /** The address to open. */
  get url(): string {
    const { host } = this.parts;
    const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    const shown = name.includes(':') ? `[${name}]` : name;
    return `http://${shown}:${(this.server.address() as AddressInfo).port}/`;
  }

  /** Stop serving. */
  async close(): Promise<void> {
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
      this.parts.logger.error({ error: messageOf(error) }, 'the app could not be served');
      if (!response.headersSent) text(response, 500, 'something went wrong; the log says what\n');
      else response.destroy();
    }
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return text(response, 405, 'there is nothing to send here\n');
    }
    if (!URL.canParse(request.url ?? '/', 'http://app')) return text(response, 400, 'no path\n');
    const { pathname } = new URL(request.url ?? '/', 'http://app');
    if (pathname === '/network.json') {
      const body = JSON.stringify(await this.parts.network());
      response.writeHead(200, {
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-cache',
      });
      response.end(body);
      return;
    }
    const path = pathname === '/' ? START : pathname;
    const files = await this.files();
    const file = path.endsWith('.html') && !PAGES.has(path) ? undefined : files.get(path);
    if (file === undefined && path === START) {
      return text(response, 503, 'the pages are not built yet: run "npm run build"\n');
    }
    if (file === undefined) return text(response, 404, 'there is nothing here\n');
    response.writeHead(200, {
      'content-type': file.type,
      'content-length': file.body.length,
      'cache-control': file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
    });
    response.end(file.body);
  }

  private async files(): Promise<ReadonlyMap<string, StaticFile>> {
    this.site ??= loadSite(this.parts.site);
    return this.site.catch((error: NodeJS.ErrnoException) => {
      this.site = undefined;
      if (error.code === 'ENOENT') return new Map<string, StaticFile>();
      throw error;
    });
  }
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
  });
  response.end(body);
}
