import { type Server, createServer } from 'node:http';
import { CliError } from '../cli-error.js';

const PATH = '/.well-known/acme-challenge/';

/**
 * Answers an authority that asks over HTTP whether a name leads here (http-01, RFC 8555 §8.3): there only
 * while a certificate is being ordered, and for nothing else.
 */
export class ChallengeServer {
  private readonly answers = new Map<string, string>();

  private constructor(private readonly server: Server) {}

  /** Listen. @throws CliError CLI_PORT_IN_USE, CLI_USAGE; an error with the code EACCES. */
  static async start({ host, port }: { host: string; port: number }): Promise<ChallengeServer> {
    const server = createServer({
      maxHeaderSize: 8 * 1024,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 1_000,
    });
    server.maxConnections = 64;
    const challenges = new ChallengeServer(server);
    server.on('request', ({ method, url = '' }, response) => {
      const answer = url.startsWith(PATH)
        ? challenges.answers.get(url.slice(PATH.length))
        : undefined;
      const known = answer !== undefined && (method === 'GET' || method === 'HEAD');
      response.writeHead(known ? 200 : 404, { 'content-type': 'text/plain' });
      response.end(known ? answer : 'there is nothing here\n');
    });
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ host, port }, resolve);
      });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES') throw error;
      throw new CliError(
        code === 'EADDRINUSE' ? 'CLI_PORT_IN_USE' : 'CLI_USAGE',
        `the authority asks at port 80, and ${host}:${port} can't be listened on (${code}): free it, ` +
          'or forward port 80 to another one that --acme-listen names',
      );
    }
    server.on('error', () => undefined);
    return challenges;
  }

  /** Answer with a text at a token. */
  set(token: string, answer: string): void {
    this.answers.set(token, answer);
  }

  remove(token: string): void {
    this.answers.delete(token);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }
}
