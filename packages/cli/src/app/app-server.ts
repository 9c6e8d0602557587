import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '@granary/kad';
import { PageServer, isReading, sendText } from '../page-server.js';

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
];

/**
 * Serves the app for renters: files that are the same for everybody, and where its network is. It sees who
 * opens the page, and nothing else: what the page does, it does with the farmers.
 */
export class AppServer {
  private readonly server: PageServer;

  private constructor(private readonly parts: AppServerParts) {
    this.server = new PageServer({
      ...parts,
      name: 'the app',
      advice: 'choose another port (0: any that is free)',
      start: START,
      policy: POLICY,
      cache: { immutable: 'public, max-age=31536000, immutable', other: 'no-cache' },
      maxHeaderSize: 16 * 1024,
      maxConnections: 1024,
      answer: (request, response) => this.answer(request, response),
    });
  }

  /** Start to listen. @throws CliError CLI_USAGE when it can't. */
  static async start(parts: AppServerParts): Promise<AppServer> {
    const app = new AppServer(parts);
    await app.server.listen();
    return app;
  }

  /** The address to open. */
  get url(): string {
    return this.server.url;
  }

  /** Stop serving. */
  close(): Promise<void> {
    return this.server.close();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isReading(request, response, 'there is nothing to send here\n')) return;
    if (!URL.canParse(request.url ?? '/', 'http://app')) {
      return sendText(response, 400, 'no path\n');
    }
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
    const isOther = path.endsWith('.html') && !PAGES.has(path);
    return this.server.sendFile(isOther ? undefined : path, response);
  }
}
