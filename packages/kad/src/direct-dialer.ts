import { type Socket, connect } from 'node:net';
import type { DialLimits, Dialer } from './dialer.js';
import { KadError, messageOf } from './errors.js';
import { hiddenNetworkOf } from './hidden-host.js';

const PROXY_OF = {
  onion: 'Tor: use --proxy socks5h://127.0.0.1:9050, or the port that your Tor listens on',
  i2p: 'I2P: use --proxy socks5h://127.0.0.1:4447, or the port that your I2P router listens on',
} as const;

/** Connections from this machine itself. Names are looked up by the system, never those of Tor or I2P. */
export const directDialer: Dialer = {
  direct: true,
  slackMs: 0,
  dials: (host) => hiddenNetworkOf(host) === undefined,
  dial: async (host, port, limits) => {
    const network = hiddenNetworkOf(host);
    if (network !== undefined) {
      throw new KadError('KAD_BAD_ADDRESS', `${host} is reached through ${PROXY_OF[network]}`);
    }
    return connectTcp(host, port, limits);
  },
};

/** A TCP connection. @throws KadError KAD_UNREACHABLE, KAD_TIMEOUT or KAD_ABORTED. */
function connectTcp(
  host: string,
  port: number,
  { signal, timeoutMs }: DialLimits,
): Promise<Socket> {
  const where = `${host}:${port}`;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(new KadError('KAD_ABORTED', 'the call was aborted', { cause: signal.reason }));
      return;
    }
    const socket = connect({ host, port });
    const finish = (error?: Error) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError);
      if (error === undefined) {
        resolve(socket);
      } else {
        socket.on('error', () => undefined);
        socket.destroy();
        reject(error);
      }
    };
    const timer = setTimeout(
      () => finish(new KadError('KAD_TIMEOUT', `${where} did not answer in ${timeoutMs} ms`)),
      timeoutMs,
    );
    const onAbort = () => finish(new KadError('KAD_ABORTED', 'the call was aborted'));
    const onError = (error: Error) =>
      finish(
        new KadError('KAD_UNREACHABLE', `${where} can't be reached: ${messageOf(error)}`, {
          cause: error,
        }),
      );
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => finish());
  });
}
