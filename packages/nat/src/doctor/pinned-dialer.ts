import { type Socket, connect } from 'node:net';
import { type Dialer, KadError, messageOf } from '@granary/kad';

/**
 * Dials from one port of ours, whoever is dialled: what others then see tells how a NAT treats ports.
 * Each destination can be dialled once.
 */
export function pinnedDialer(localPort: number): Dialer {
  return {
    direct: true,
    slackMs: 0,
    dials: () => true,
    dial: (host, port, { signal, timeoutMs }) =>
      new Promise<Socket>((resolve, reject) => {
        const socket = connect({ host, port, localPort });
        const finish = (error?: KadError) => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          socket.removeAllListeners('error');
          if (error === undefined) return resolve(socket);
          socket.on('error', () => undefined).destroy();
          return reject(error);
        };
        const onAbort = () => finish(new KadError('KAD_ABORTED', 'the call was aborted'));
        const timer = setTimeout(
          () => finish(new KadError('KAD_TIMEOUT', `${host} did not answer in ${timeoutMs} ms`)),
          timeoutMs,
        );
        signal?.addEventListener('abort', onAbort, { once: true });
        if (signal?.aborted === true) return onAbort();
        socket.once('error', (error) =>
          finish(new KadError('KAD_UNREACHABLE', `${host}: ${messageOf(error)}`)),
        );
        socket.once('connect', () => finish());
      }),
  };
}
