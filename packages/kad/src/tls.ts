import { type OnReadOpts, isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import { type PeerIdentity, type TlsCredentials, identityOfCertificate } from './certificate.js';
import type { Dialer } from './dialer.js';
import { directDialer } from './direct-dialer.js';
import { KadError, messageOf } from './errors.js';
import type { NodeId } from './node-id.js';
import { TLS_RECORD } from './tls-record.js';

/** What {@link dialTls} needs to know. */
export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** How to get there. */
  readonly dialer: Dialer;
  /** Who we are; without them we show no certificate. */
  readonly credentials?: TlsCredentials;
  /** Whom to expect. Without it any node will do. */
  readonly expectedNodeId?: NodeId;
  /**
   * Whether a certificate that is bound to no identity will do when it is of an authority that Node
   * trusts, and for this host. Who is there has then to be proved in another way.
   */
  readonly authorities?: boolean;
  readonly signal?: AbortSignal;
  /** Milliseconds for the whole of it. */
  readonly timeoutMs?: number;
  /**
   * Told of what comes, in memory that is used again when it returns; the socket has no `data` events then. Only where
   * the connection is made from here directly: others give `data` events all the same.
   */
  readonly onRead?: (bytes: Buffer) => void;
}

/**
 * Open a TLS 1.3 connection and check who is there, before any application data goes out.
 *
 * @throws KadError KAD_UNREACHABLE, KAD_TIMEOUT, KAD_ABORTED, KAD_BAD_ADDRESS, KAD_PROXY,
 * KAD_BAD_CERTIFICATE or KAD_IDENTITY_MISMATCH.
 */
export async function dialTls(options: DialOptions): Promise<tls.TLSSocket> {
  const { host, port, dialer, signal, timeoutMs = 10_000, onRead } = options;
  // Node reads into given memory only where it makes the connection itself, and one record at a time.
  if (onRead !== undefined && dialer === directDialer && dialer.dials(host)) {
    const callback = (count: number, memory: Uint8Array) => {
      onRead((memory as Buffer).subarray(0, count));
      return true;
    };
    const onread = { buffer: Buffer.allocUnsafeSlow(TLS_RECORD), callback };
    return secure({ port, onread }, options, timeoutMs, timeoutMs);
  }
  const begun = performance.now();
  const raw = await dialer.dial(host, port, {
    timeoutMs,
    ...(signal !== undefined && { signal }),
  });
  // What goes wrong below comes up through TLS; some streams say it once more when they are ended.
  raw.on('error', () => undefined);
  return secure(
    { socket: raw },
    options,
    timeoutMs,
    Math.max(0, timeoutMs - (performance.now() - begun)),
  );
}

/** Stands for who shows no certificate. */
const ANONYMOUS = {};
const contexts = new WeakMap<object, tls.SecureContext>();

/** What connections with these credentials have in common: reading key and certificate takes more than a millisecond. */
function contextOf(credentials: TlsCredentials | undefined): tls.SecureContext {
  const owner = credentials ?? ANONYMOUS;
  const known = contexts.get(owner);
  if (known !== undefined) return known;
  const context = tls.createSecureContext({
    ...(credentials !== undefined && { key: credentials.key, cert: credentials.cert }),
    minVersion: 'TLSv1.3',
  });
  contexts.set(owner, context);
  return context;
}

/** TLS on an open connection, or on one that is made. @param leftMs - of `timeoutMs` */
function secure(
  below: { socket: Duplex } | { port: number; onread: OnReadOpts },
  options: DialOptions,
  timeoutMs: number,
  leftMs: number,
): Promise<tls.TLSSocket> {
  const { host, port, credentials, expectedNodeId, signal } = options;
  const authorities = options.authorities === true;
  const where = `${host}:${port}`;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      if ('socket' in below) below.socket.destroy();
      reject(new KadError('KAD_ABORTED', 'the call was aborted', { cause: signal.reason }));
      return;
    }
    const socket = tls.connect({
      ...below,
      // On an open connection it is for the check against an authority alone; nobody is looked up or dialled by it.
      host,
      secureContext: contextOf(credentials),
      ...(authorities && !isIP(host) && { servername: host }),
      // There is no authority to ask: identityOfCertificate checks below who it is.
      rejectUnauthorized: false,
      ...(!authorities && { checkServerIdentity: () => undefined }),
    });
    const finish = (error?: Error) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError);
      socket.removeListener('close', onClose);
      // Also of a socket that is handed over and ended at once; `close` comes in any case.
      socket.on('error', () => undefined);
      if (error === undefined) {
        resolve(socket);
      } else {
        socket.destroy();
        reject(error);
      }
    };
    const timer = setTimeout(
      () => finish(new KadError('KAD_TIMEOUT', `${where} did not answer in ${timeoutMs} ms`)),
      leftMs,
    );
    const onAbort = () => finish(new KadError('KAD_ABORTED', 'the call was aborted'));
    const onError = (error: Error) =>
      finish(
        new KadError('KAD_UNREACHABLE', `${where} can't be reached: ${messageOf(error)}`, {
          cause: error,
        }),
      );
    const onClose = () =>
      finish(new KadError('KAD_UNREACHABLE', `${where} closed the connection at once`));
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('close', onClose);
    socket.once('secureConnect', () => {
      try {
        if (!authorities || !socket.authorized) {
          const peer = peerIdentityOf(socket);
          if (peer === undefined) {
            throw new KadError('KAD_BAD_CERTIFICATE', `${where} showed no certificate`);
          }
          if (expectedNodeId !== undefined && peer.nodeId !== expectedNodeId) {
            throw new KadError(
              'KAD_IDENTITY_MISMATCH',
              `${where} is node ${peer.nodeId}, not ${expectedNodeId}`,
            );
          }
        }
        socket.setNoDelay(true);
        finish();
      } catch (error) {
        finish(error as Error);
      }
    });
  });
}

const identities = new WeakMap<tls.TLSSocket, PeerIdentity>();

/**
 * Who is at the other end; undefined when it showed no certificate.
 *
 * @throws KadError KAD_BAD_CERTIFICATE when it showed one that is not bound to an identity.
 */
export function peerIdentityOf(socket: tls.TLSSocket): PeerIdentity | undefined {
  const cached = identities.get(socket);
  if (cached !== undefined) return cached;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  const identity = identityOfCertificate(certificate.raw);
  identities.set(socket, identity);
  return identity;
}
