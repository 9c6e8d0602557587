import * as http from 'node:http';
import { messageOf } from '@granary/kad';
import { NatError } from '../errors.js';
import { unmapped } from './ipv4.js';

/** A request to the router itself. */
export interface GatewayRequest {
  /** The router's address: the only one that is ever spoken to. */
  readonly gateway: string;
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly maxBytes: number;
  /** Ends it, whatever it is doing. */
  readonly signal: AbortSignal;
}

/** What came back. */
export interface GatewayResponse {
  readonly status: number;
  readonly body: string;
}

/** How much of headers is read. */
const MAX_HEADER_BYTES = 8 * 1024;

/**
 * Whether a URL leads to the router by plain HTTP, and can be asked.
 *
 * @throws NatError NAT_BAD_ANSWER when it leads elsewhere.
 */
export function gatewayUrl(text: string, base: URL | undefined, gateway: string): URL {
  let url: URL;
  try {
    url = new URL(text, base);
  } catch {
    throw new NatError(
      'NAT_BAD_ANSWER',
      `the router names "${text.slice(0, 80)}", which is no URL`,
    );
  }
  if (url.protocol !== 'http:' || url.hostname !== gateway || url.username !== '') {
    throw new NatError(
      'NAT_BAD_ANSWER',
      `the router (${gateway}) sends us to ${url.origin.slice(0, 80)}, where we don't go`,
    );
  }
  return url;
}

/**
 * Ask the router over HTTP. Redirects are answers like others: they are not followed.
 *
 * @throws NatError NAT_NO_ANSWER, NAT_BAD_ANSWER, NAT_TOO_LARGE; and the signal's reason.
 */
export function askGateway(request: GatewayRequest): Promise<GatewayResponse> {
  const { gateway, url, method, headers, body, maxBytes, signal } = request;
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const outgoing = http.request({
      agent: false,
      host: gateway,
      port: url.port === '' ? 80 : Number(url.port),
      path: `${url.pathname}${url.search}`,
      method,
      headers: {
        ...headers,
        host: url.host,
        connection: 'close',
        ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
      },
      maxHeaderSize: MAX_HEADER_BYTES,
      insecureHTTPParser: false,
    });
    const finish = (settle: () => void) => {
      signal.removeEventListener('abort', onAbort);
      outgoing.destroy();
      settle();
    };
    const fail = (error: unknown) => finish(() => reject(error as Error));
    const onAbort = () => fail(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    outgoing.on('error', (error: NodeJS.ErrnoException) =>
      fail(
        error.code === 'HPE_HEADER_OVERFLOW'
          ? new NatError('NAT_TOO_LARGE', 'the router sends headers without end')
          : error.code?.startsWith('HPE_') === true
            ? new NatError('NAT_BAD_ANSWER', `the router does not speak HTTP: ${messageOf(error)}`)
            : new NatError('NAT_NO_ANSWER', `${url.host}: ${messageOf(error)}`, { cause: error }),
      ),
    );
    outgoing.on('response', (response) => {
      const parts: Buffer[] = [];
      let size = 0;
      const peer = unmapped(response.socket.remoteAddress ?? '');
      if (peer !== gateway) {
        fail(new NatError('NAT_BAD_ANSWER', `the answer is from ${peer}, not from ${gateway}`));
        return;
      }
      if (response.headers['content-encoding'] !== undefined) {
        fail(new NatError('NAT_BAD_ANSWER', 'the router compresses, which was not asked for'));
        return;
      }
      response.on('data', (part: Buffer) => {
        size += part.length;
        if (size > maxBytes) {
          fail(
            new NatError('NAT_TOO_LARGE', `the router answers with more than ${maxBytes} bytes`),
          );
          return;
        }
        parts.push(part);
      });
      response.on('error', (error) =>
        fail(new NatError('NAT_NO_ANSWER', `${url.host}: ${messageOf(error)}`, { cause: error })),
      );
      response.on('end', () =>
        finish(() =>
          resolve({
            status: response.statusCode ?? 0,
            body: Buffer.concat(parts).toString('utf8'),
          }),
        ),
      );
    });
    outgoing.end(body);
  });
}
