import { readFile } from 'node:fs/promises';
import { unwatchFile, watchFile } from 'node:fs';
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
}

/** Between two looks at the files of a certificate, which are replaced every few weeks. */
const LOOK_MS = 60_000;

/**
 * Where renters in browsers reach a farmer; undefined when nowhere.
 *
 * @throws CliError CLI_USAGE when the options do not go together, or a file can't be read.
 */
export async function browserListener(
  { host, browserPort, browserCert, browserKey, browserAnnounce }: BrowserFlags,
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
  for (const address of browserAnnounce ?? []) {
    if (parseAddress(address).scheme === 'https') {
      throw new CliError('CLI_USAGE', `${address}: browsers dial wss:// and ws:// addresses`);
    }
  }
  const announce = browserAnnounce === undefined ? {} : { announce: browserAnnounce };
  const port = parsePort(browserPort);
  if (browserCert === undefined || browserKey === undefined) {
    if (!isLoopback(host) && browserAnnounce === undefined) {
      logger.warn(
        { host, port },
        'without --browser-cert, only pages that came in the clear themselves can reach it',
      );
    }
    return { host, port, ...announce };
  }
  const tls = await certificate(browserCert, browserKey);
  if (browserAnnounce === undefined) {
    throw new CliError(
      'CLI_USAGE',
      'name the address that the certificate is for: --browser-announce wss://HOST:PORT',
    );
  }
  return { host, port, tls, ...announce };
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
