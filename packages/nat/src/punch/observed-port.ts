import { type Socket, connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import {
  type Dialer,
  HttpsTransport,
  KadError,
  type PluginHost,
  SignedRpc,
  type TlsCredentials,
} from '@granary/kad';
import { NatError } from '../errors.js';
import { OBSERVED_ADDRESS } from '../reachability/dial-back.js';
import { chooseHelpers } from '../reachability/helpers.js';
import { type Endpoint, parseEndpoint, sameEndpoint } from './endpoint.js';

/** A local port, and how others see it, kept open in the router by connections from it. */
export interface ObservedPort {
  readonly localPort: number;
  readonly endpoint: Endpoint;
  /** End the connections that keep it. */
  close(): Promise<void>;
}

/** Nodes asked how they see us, and answers that do. */
const HELPERS = 5;
const ENOUGH = 2;
const ASK_MS = 4_000;

/**
 * Find out how others see connections from one local port of ours.
 *
 * @throws NatError NAT_PUNCH when nobody can say, or when the router shows another port to each
 * destination (a symmetric NAT), so that nobody could know which one to dial.
 */
export async function observePort(
  { node, identity, clock, random, logger }: PluginHost,
  credentials: TlsCredentials,
  signal: AbortSignal,
): Promise<ObservedPort> {
  const localPort = await freePort();
  const transport = new HttpsTransport({ credentials, dialer: dialerFrom(localPort), logger });
  const rpc = new SignedRpc({
    identity,
    transport,
    clock,
    random,
    logger,
    timeoutMs: ASK_MS,
    maxConcurrent: 1,
  });
  await rpc.listen({
    contact: () => node.contact,
    gate: () => undefined,
    refused: () => undefined,
    met: () => undefined,
    handle: () => Promise.reject(new KadError('KAD_STOPPED', 'nothing is answered here')),
  });
  try {
    const helpers = chooseHelpers(node.contacts(), HELPERS, random);
    const seen: Endpoint[] = [];
    await new Promise<void>((resolve) => {
      let left = helpers.length;
      if (left === 0) resolve();
      for (const helper of helpers) {
        rpc
          .call(helper, OBSERVED_ADDRESS, {}, { timeoutMs: ASK_MS, signal })
          .then(({ result }) => {
            const { address, port } = (result ?? {}) as { address?: unknown; port?: unknown };
            // One that we reach through a tunnel sees the tunnel's machine.
            const endpoint = parseEndpoint({ host: address, port });
            if (endpoint !== undefined) seen.push(endpoint);
          })
          .catch(() => undefined)
          .finally(() => {
            left -= 1;
            if (left === 0 || seen.length >= ENOUGH) resolve();
          });
      }
    });
    const [endpoint, ...others] = seen;
    if (endpoint === undefined) {
      throw new NatError('NAT_PUNCH', 'no other node could say how it sees us');
    }
    if (others.some((other) => !sameEndpoint(endpoint, other))) {
      throw new NatError(
        'NAT_PUNCH',
        'the router shows another port to each destination (a symmetric NAT)',
      );
    }
    return { localPort, endpoint, close: () => rpc.stop() };
  } catch (error) {
    await rpc.stop();
    throw error;
  }
}

/** Dials from one local port. */
function dialerFrom(localPort: number): Dialer {
  return {
    direct: true,
    slackMs: 0,
    dials: () => true,
    dial: (host, port, { signal, timeoutMs }) =>
      new Promise<Socket>((resolve, reject) => {
        const socket = connect({ host, port, localPort });
        const fail = (error: Error) => {
          clearTimeout(timer);
          socket.destroy();
          reject(new KadError('KAD_UNREACHABLE', `${host}:${port}: ${error.message}`));
        };
        const timer = setTimeout(() => fail(new Error('no answer')), timeoutMs);
        signal?.addEventListener('abort', () => fail(new Error('aborted')), { once: true });
        socket.on('error', fail);
        socket.once('connect', () => {
          clearTimeout(timer);
          resolve(socket);
        });
      }),
  };
}

/** A port that is free now: it is bound again at once, by several connections at one time. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
