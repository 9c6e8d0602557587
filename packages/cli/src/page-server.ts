import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Logger, messageOf } from '@granary/kad';
import { CliError } from './cli-error.js';
import { type StaticFile, loadSite } from './static-site.js';

/** What a {@link PageServer} is made of. */
export interface PageServerParts {
  /** What is served, for messages: "the app". */
  readonly name: string;
  /** What to do when it can't listen. */
  readonly advice: string;
  readonly host: string;
  /** 0 takes any that is free. */
  readonly port: number;
  /** The folder of the built pages. */
  readonly site: URL;
  /** The page that is there whenever any is: without it nothing is built. */
  readonly start: string;
  /** The Content-Security-Policy, directive by directive. */
  readonly policy: readonly string[];
  /** `Cache-Control` of files whose names change with their content, and of all others. */
  readonly cache: { readonly immutable: string; readonly other: string };
  /** The most bytes of headers, and the most connections at one time. */
  readonly maxHeaderSize: number;
  readonly maxConnections: number;
  /** Answers a request; the headers that all answers have are set. */
  readonly answer: (request: IncomingMessage, response: ServerResponse) => unknown;
  readonly logger: Logger;
}

const HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};

/** An HTTP server of built pages, with a strict policy and bounds on what it takes. */
export class PageServer {
  private readonly server: Server;
  private site: Promise<ReadonlyMap<string, StaticFile>> | undefined;

  constructor(private readonly parts: PageServerParts) {
    this.server = createServer({
      maxHeaderSize: parts.maxHeaderSize,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 30_000,
    });
    this.server.maxConnections = parts.maxConnections;
    this.server.on('request', (request, response) => void this.serve(request, response));
  }

  /** Start to listen. @throws CliError CLI_USAGE when it can't. */
  async listen(): Promise<void> {
    const { name, advice, host, port } = this.parts;
    try {
      await new Promise<void>((resolve, reject) => {
        this.server.once('error', reject);
        this.server.listen({ host, port }, resolve);
      });
    } catch (error) {
      const { code = messageOf(error) } = error as NodeJS.ErrnoException;
      throw new CliError(
        'CLI_USAGE',
        `${name} can't be served at ${host}:${port} (${code}): ${advice}`,
      );
    }
    this.server.on('error', () => undefined);
  }

  /** The port listened on. */
  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The address of its root, as one opens it on this machine. */
  get url(): string {
    const { host } = this.parts;
    const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    const shown = name.includes(':') ? `[${name}]` : name;
    return `http://${shown}:${this.port}/`;
  }

  /** Stop serving. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  /** Answer with a file of the site. @param path - undefined for one that must not be seen */
  async sendFile(path: string | undefined, response: ServerResponse): Promise<void> {
    const files = await this.files();
    const file = path === undefined ? undefined : files.get(path);
    if (file === undefined && path === this.parts.start) {
      return sendText(response, 503, 'the pages are not built yet: run "npm run build"\n');
    }
    if (file === undefined) return sendText(response, 404, 'there is nothing here\n');
    const { cache } = this.parts;
    response.writeHead(200, {
      'content-type': file.type,
      'content-length': file.body.length,
      'cache-control': file.immutable ? cache.immutable : cache.other,
    });
    response.end(file.body);
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { policy, name, answer, logger } = this.parts;
    response.setHeader('content-security-policy', policy.join('; '));
    for (const [header, value] of Object.entries(HEADERS)) response.setHeader(header, value);
    response.on('error', () => undefined);
    try {
      await answer(request, response);
    } catch (error) {
      logger.error({ error: messageOf(error) }, `${name} could not be served`);
      if (!response.headersSent)
        sendText(response, 500, 'something went wrong; the log says what\n');
      else response.destroy();
    }
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

/** Answer with a line of text. */
export function sendText(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
  });
  response.end(body);
}

/** Whether a request is one that only reads; else it is answered. @param refusal - says why not */
export function isReading(
  { method }: IncomingMessage,
  response: ServerResponse,
  refusal: string,
): boolean {
  if (method === 'GET' || method === 'HEAD') return true;
  response.setHeader('allow', 'GET, HEAD');
  sendText(response, 405, refusal);
  return false;
}
