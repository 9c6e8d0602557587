import { readFile } from 'node:fs/promises';
import { unwatchFile, watchFile } from 'node:fs';
import { isIP } from 'node:net';
import type { BrowserListener, Farmer } from '@granary/farmer';
import { type Logger, messageOf, parseAddress } from '@granary/kad';
import { CliError } from './cli-error.js';
import { parsePort } from './ports.js';
import { isLoopback } from './reachability.js';

/** Options of a farmer that renters in browsers reach. */
export interface BrowserFlags {
  readonly host: string;
  readonly browserPort?: string;
  readonly browserCert?: string;
  readonly browserKey?: string;
  readonly browserAnnounce?: string[];
  readonly webrtc?: string;
}

/** Between two looks at the files of a certificate, which are replaced every few weeks. */
const LOOK_MS = 60_000;

/**
 * Where renters in browsers reach a farmer; undefined when nowhere.
 *
 * @throws CliError CLI_USAGE when the options do not go together, or a file can't be read.
 */
export async function browserListener(
  { host, browserPort, browserCert, browserKey, browserAnnounce, webrtc = 'auto' }: BrowserFlags,
  logger: Logger,
): Promise<BrowserListener | undefined> {
  if (browserPort === undefined) {
    if (browserCert ?? browserKey ?? browserAnnounce) {
      throw new CliError('CLI_USAGE', 'name the port for browsers, too: --browser-port PORT');
    }
    return undefined;
  }
  if ((browserCert === undefined) !== (browserKey === undefined)) {
    throw new CliError('CLI_USAGE', '--browser-cert and --browser-key go together');
  }
  const port = parsePort(browserPort);
  const announced = announcements(browserAnnounce);
  const listener = {
    host,
    port,
    ...(announced.sockets !== undefined && { announce: announced.sockets }),
    // Data channels need an address by number: a wildcard is none.
    webrtc: webrtc === 'never' ? false : (announced.channels ?? isIP(host) !== 0),
  };
  if (browserCert === undefined || browserKey === undefined) {
    if (!isLoopback(host) && announced.sockets === undefined) {
      logger.warn(
        { host, port },
        'without --browser-cert, WebSockets are for pages that came in the clear themselves',
      );
    }
    return listener;
  }
  if (announced.sockets === undefined || announced.sockets.length === 0) {
    throw new CliError(
      'CLI_USAGE',
      'name the address that the certificate is for: --browser-announce wss://HOST:PORT',
    );
  }
  return { ...listener, tls: await certificate(browserCert, browserKey) };
}

/** Addresses to announce, by kind; those of data channels come without a certificate. */
function announcements(addresses: readonly string[] | undefined): {
  readonly sockets?: readonly string[];
  readonly channels?: readonly { readonly host: string; readonly port: number }[];
} {
  if (addresses === undefined) return {};
  const sockets: string[] = [];
  const channels: { host: string; port: number }[] = [];
  for (const address of addresses) {
    const match = /^webrtc:\/\/(?:\[([0-9a-fA-F:]+)\]|([0-9.]+)):(\d+)$/.exec(address);
    const host = match?.[1] ?? match?.[2] ?? '';
    if (match !== null && isIP(host) !== 0) {
      channels.push({ host, port: parsePort(match[3]!) });
    } else if (/^wss?:/.test(address)) {
      parseAddress(address);
      sockets.push(address);
    } else {
      throw new CliError(
        'CLI_USAGE',
        `${address}: browsers dial wss://HOST:PORT, ws://HOST:PORT and webrtc://IP:PORT addresses`,
      );
    }
  }
  return {
    sockets,
    ...(channels.length > 0 && { channels }),
  };
}

async function certificate(certFile: string, keyFile: string) {
  const read = async (option: string, file: string) => {
    try {
      return await readFile(file, 'utf8');
    } catch (error) {
      throw new CliError('CLI_USAGE', `${option} ${file}: ${messageOf(error)}`);
    }
  };
  return {
    cert: await read('--browser-cert', certFile),
    key: await read('--browser-key', keyFile),
  };
}

/** Have a farmer use a certificate's files as they are renewed, until the returned function is called. */
export function followCertificate(
  farmer: Farmer,
  { browserCert, browserKey }: BrowserFlags,
  logger: Logger,
): () => void {
  if (browserCert === undefined || browserKey === undefined) return () => undefined;
  const renew = () => {
    certificate(browserCert, browserKey)
      .then((tls) => {
        farmer.renewBrowserCertificate(tls);
        logger.info({ file: browserCert }, 'the certificate for browsers was renewed');
      })
      .catch((error: unknown) =>
        // The two files change one after the other; until both have, the old certificate stays.
        logger.warn({ error: messageOf(error) }, 'the certificate for browsers was not renewed'),
      );
  };
  for (const file of [browserCert, browserKey]) {
    watchFile(file, { interval: LOOK_MS, persistent: false }, renew);
  }
  return () => {
    for (const file of [browserCert, browserKey]) unwatchFile(file, renew);
  };
}
