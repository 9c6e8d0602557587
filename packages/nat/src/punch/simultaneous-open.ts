import { type Socket, connect } from 'node:net';
import type { Clock } from '@granary/kad';
import { NatError } from '../errors.js';
import type { Endpoint } from './endpoint.js';

/** Both sides dial for so long, in milliseconds. */
export const OPEN_MS = 5_000;
const RETRY_MS = 150;
/** Errors by which a router that is not open yet may answer: it is tried again. */
const NOT_YET = ['ECONNREFUSED', 'ECONNRESET', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'];

/**
 * Open a TCP connection to somebody who dials us at the same time (RFC 9293, section 3.5; RFC 5128,
 * section 3.4): the greeting that each router sees going out lets the other's in. Linux and libuv
 * let several connections leave one local port (SO_REUSEADDR); where they do not, this fails at once.
 *
 * @param localPort - the port whose outside both sides know
 * @throws NatError NAT_PUNCH or NAT_ABORTED.
 */
export function openSimultaneously(
  localPort: number,
  { host, port }: Endpoint,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    let socket: Socket | undefined;
    let retry: unknown;
    const finish = (error?: NatError) => {
      clock.clearTimeout(deadline);
      clock.clearTimeout(retry);
      signal.removeEventListener('abort', onAbort);
      if (error === undefined) return resolve(socket!);
      socket?.destroy();
      reject(error);
    };
    const onAbort = () => finish(new NatError('NAT_ABORTED', 'the hole punching was aborted'));
    const deadline = clock.setTimeout(
      () => finish(new NatError('NAT_PUNCH', `${host}:${port} could not be met in ${OPEN_MS} ms`)),
      OPEN_MS,
    );
    const attempt = () => {
      const one = connect({ host, port, localPort, noDelay: true });
      socket = one;
      const onError = (error: NodeJS.ErrnoException) => {
        one.destroy();
        one.on('error', () => undefined);
        if (NOT_YET.includes(error.code ?? '')) retry = clock.setTimeout(attempt, RETRY_MS);
        else finish(new NatError('NAT_PUNCH', `can't dial from port ${localPort}: ${error.code}`));
      };
      one.once('error', onError);
      one.once('connect', () => {
        one.removeListener('error', onError);
        one.on('error', () => one.destroy());
        finish();
      });
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    attempt();
  });
}
