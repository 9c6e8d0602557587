import { Agent, buildConnector, fetch as fetchOf } from 'undici';
import type { Socket } from 'node:net';
import type { Dialer } from '@granary/kad';

/** For a connection to be open, in milliseconds; the dialer's slack is added. */
const CONNECT_MS = 10_000;

/**
 * `fetch` over connections that a dialer opens, redirects too. Certificates are checked as ever,
 * against the authorities that Node trusts.
 *
 * Connections are kept for a few seconds, and do not keep the process alive.
 */
export function dialedFetch(dialer: Dialer): typeof fetch {
  const timeout = CONNECT_MS + dialer.slackMs;
  const secure = buildConnector({ timeout });
  const agent = new Agent({
    connections: 8,
    connect: (options, callback) => {
      const secured = options.protocol === 'https:';
      const port = Number(options.port) || (secured ? 443 : 80);
      const host = options.hostname.replace(/^\[(.*)\]$/, '$1');
      dialer.dial(host, port, { timeoutMs: timeout }).then(
        (stream) => {
          const httpSocket = stream as Socket;
          if (secured) secure({ ...options, httpSocket }, callback);
          else callback(null, httpSocket);
        },
        (error: Error) => callback(error, null),
      );
    },
  });
  return ((input: string, init: object) =>
    fetchOf(input, { ...init, dispatcher: agent })) as unknown as typeof fetch;
}

/**
 * `fetch` for a server on this machine, named by its IP address. It follows no redirect, so that it
 * stays here.
 */
export const ownMachineFetch: typeof fetch = async (input, init) =>
  fetch(input, { ...init, redirect: 'error' });
