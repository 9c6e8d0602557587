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
  let client: ReturnType<typeof openClient> | undefined;
  return (async (input: string, init: object) => {
    client ??= openClient(dialer);
    const { fetch: fetchOf, agent } = await client;
    return fetchOf(input, { ...init, dispatcher: agent });
  }) as unknown as typeof fetch;
}

/** The HTTP client is loaded when it is used: it is 20 MB of memory, and most have no proxy. */
async function openClient(dialer: Dialer) {
  const { Agent, buildConnector, fetch: fetchOf } = await import('undici');
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
  return { fetch: fetchOf, agent };
}

/**
 * `fetch` for a server on this machine, named by its IP address. It follows no redirect, so that it
 * stays here.
 */
export const ownMachineFetch: typeof fetch = async (input, init) =>
  fetch(input, { ...init, redirect: 'error' });
