import { Agent, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { dialTls, directDialer, parseAddress } from '@granary/kad';
import { type FarmerFigures, farmerFiguresSchema } from '@granary/web';

/** The most bytes of an answer. */
const MAX_BYTES = 64 * 1024;

/**
 * Asks a farmer how it is (`GET /health`), over a connection that is kept and whose other end has
 * proved to be that farmer.
 */
export class FarmerHealth {
  private readonly agent: Agent;

  constructor(
    private readonly nodeId: string,
    address: string,
    private readonly timeoutMs: number,
  ) {
    const { host, port } = parseAddress(address);
    this.agent = new TlsAgent(() =>
      dialTls({ host, port, dialer: directDialer, expectedNodeId: nodeId, timeoutMs }),
    );
  }

  /** What the farmer says. Rejects when it does not answer in time, or with something else. */
  async ask(): Promise<FarmerFigures> {
    const text = await this.get('/health');
    const figures = farmerFiguresSchema.parse(JSON.parse(text));
    if (figures.nodeId !== this.nodeId) throw new Error('another farmer answers there');
    return figures;
  }

  close(): void {
    this.agent.destroy();
  }

  private get(path: string): Promise<string> {
    const { agent, timeoutMs } = this;
    return new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(timeoutMs);
      const sent = request({ agent, path, host: 'farmer', signal }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          text += part;
          if (text.length > MAX_BYTES) response.destroy(new Error('too long an answer'));
        });
        response.once('error', reject);
        response.once('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`it answered with status ${response.statusCode}`));
        });
      });
      sent.once('error', reject);
      sent.end();
    });
  }
}

/** Keeps one connection, opened in our own way. */
class TlsAgent extends Agent {
  constructor(private readonly dial: () => Promise<Duplex>) {
    super({ keepAlive: true, maxSockets: 1 });
  }

  override createConnection(
    _options: unknown,
    callback?: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined {
    this.dial().then(
      (socket) => callback?.(null, socket),
      (error: unknown) => callback?.(error as Error, undefined as never),
    );
    return undefined;
  }
}
