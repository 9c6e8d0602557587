import { createHash, createHmac } from 'node:crypto';
import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';

/** An S3 server to put load on. */
export interface S3Target {
  readonly url: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** What a number of requests took. */
export interface Load {
  /** Requests a second, all clients together. */
  readonly rate: number;
  /** Milliseconds, tries again included. */
  readonly p50: number;
  readonly p95: number;
  /** Requests that were answered 503 and made again. */
  readonly again: number;
}

interface Answer {
  /** Bytes of the body. */
  readonly bytes: number;
  readonly etag: string;
}

/** s3rver closes connections after 5 seconds. */
const IDLE_MS = 3000;
/** Tries of a request that is answered 503, as SDKs make. */
const TRIES = 10;

const hmac = (key: string | Buffer, text: string) =>
  createHmac('sha256', key).update(text).digest();

/**
 * A client of S3 that costs little: Signature V4 in the header, the payload not signed. What it costs is the
 * same for every server that it is put before.
 */
export class S3Load {
  private readonly agent: Agent;
  private readonly host: string;
  private again = 0;

  /** @param clients - requests at one time */
  constructor(
    private readonly target: S3Target,
    private readonly clients: number,
  ) {
    // Servers close what was idle for some seconds: a request must not be on its way then.
    this.agent = new Agent({ keepAlive: true, maxSockets: clients, timeout: IDLE_MS });
    this.host = new URL(target.url).host;
  }

  /** Do something so many times, so many at a time. */
  async run(count: number, work: (i: number) => Promise<unknown>): Promise<Load> {
    const times: number[] = [];
    this.again = 0;
    let next = 0;
    const begun = performance.now();
    const client = async () => {
      while (next < count) {
        const started = performance.now();
        await work(next++);
        times.push(performance.now() - started);
      }
    };
    await Promise.all(Array.from({ length: this.clients }, client));
    const seconds = (performance.now() - begun) / 1000;
    times.sort((a, b) => a - b);
    const at = (share: number) =>
      times[Math.min(times.length - 1, Math.floor(share * times.length))]!;
    return { rate: count / seconds, p50: at(0.5), p95: at(0.95), again: this.again };
  }

  /**
   * @param path - with its query in canonical form, if any
   * @returns the ETag
   */
  async put(path: string, body: Uint8Array = new Uint8Array()): Promise<string> {
    return (await this.send('PUT', path, body)).etag;
  }

  /** @returns bytes that came */
  async get(path: string, onBytes?: (part: Buffer) => void): Promise<number> {
    return (await this.send('GET', path, undefined, onBytes)).bytes;
  }

  /** Send a document. @returns the document that comes back */
  async post(path: string, body: string): Promise<string> {
    const parts: Buffer[] = [];
    await this.send('POST', path, Buffer.from(body), (part) => parts.push(part));
    return Buffer.concat(parts).toString();
  }

  async delete(path: string): Promise<void> {
    await this.send('DELETE', path);
  }

  close(): void {
    this.agent.destroy();
  }

  private async send(
    method: string,
    path: string,
    body?: Uint8Array,
    onBytes?: (part: Buffer) => void,
  ): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.once(method, path, body, onBytes, attempt === TRIES);
      if (answer !== undefined) return answer;
      this.again += 1;
      await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** attempt));
    }
  }

  /** Make a request. @returns undefined when the server is too busy for it */
  private once(
    method: string,
    path: string,
    body: Uint8Array | undefined,
    onBytes: ((part: Buffer) => void) | undefined,
    last: boolean,
  ): Promise<Answer | undefined> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = new URL(this.target.url);
      const headers = {
        ...this.signed(method, path),
        ...(body !== undefined && { 'content-length': String(body.length) }),
      };
      const sent = request(
        { agent: this.agent, hostname, port, method, path, headers },
        (response) => {
          let bytes = 0;
          let error = '';
          response.on('data', (part: Buffer) => {
            bytes += part.length;
            if (response.statusCode! < 300) onBytes?.(part);
            else if (error.length < 500) error += part.toString();
          });
          response.on('error', reject);
          response.on('end', () => {
            if (response.statusCode! < 300) resolve({ bytes, etag: response.headers.etag ?? '' });
            else if (response.statusCode === 503 && !last) resolve(undefined);
            else reject(new Error(`${method} ${path}: ${response.statusCode} ${error}`));
          });
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  }

  private signed(method: string, path: string): Record<string, string> {
    const { accessKeyId, secretAccessKey } = this.target;
    const date = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '');
    const scope = `${date.slice(0, 8)}/us-east-1/s3/aws4_request`;
    const names = 'host;x-amz-content-sha256;x-amz-date';
    const fields = `host:${this.host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:${date}\n`;
    const [place, query = ''] = path.split('?');
    const sorted = query.split('&').sort().join('&');
    const canonical = `${method}\n${place}\n${sorted}\n${fields}\n${names}\nUNSIGNED-PAYLOAD`;
    const hash = createHash('sha256').update(canonical).digest('hex');
    const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`);
    const signature = hmac(key, `AWS4-HMAC-SHA256\n${date}\n${scope}\n${hash}`).toString('hex');
    return {
      host: this.host,
      'x-amz-date': date,
      'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
      authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
    };
  }
}
