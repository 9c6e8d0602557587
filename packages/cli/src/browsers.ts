import { isIP } from 'node:net';
import type { BrowserListener } from '@granary/farmer';
import { parseAddress, systemClock, systemRandom } from '@granary/kad';
import { type AcmeOptions, acmeSettings } from './acme/acme-options.js';
import { type CertificateSource, fileSource } from './certificate-source.js';
import { CliError } from './cli-error.js';
import type { Context } from './context.js';
import { parsePort } from './ports.js';
import { isLoopback } from './reachability.js';

/** Options of a farmer that renters in browsers reach. */
export interface BrowserFlags extends AcmeOptions {
  readonly data: string;
  readonly host: string;
  readonly browserPort?: string;
  readonly browserCert?: string;
  readonly browserKey?: string;
  readonly browserAnnounce?: string[];
  readonly webrtc?: string;
}

/** Where renters in browsers reach a farmer, and where its certificate comes from when it has one. */
export interface BrowserDoor {
  readonly listener: BrowserListener;
  readonly certificate: CertificateSource | undefined;
}

/**
 * Where renters in browsers reach a farmer; undefined when nowhere.
 *
 * @throws CliError CLI_USAGE when the options do not go together, or a file can't be read; what an authority
 * has to complain of.
 */
export async function browserDoor(
  options: BrowserFlags,
  { logger, signal }: Pick<Context, 'logger' | 'signal'>,
): Promise<BrowserDoor | undefined> {
  const { data, host, browserPort, browserCert, browserKey, browserAnnounce } = options;
  const acme = acmeSettings(options, data);
  if (browserPort === undefined) {
    if (browserCert ?? browserKey ?? browserAnnounce ?? acme) {
      throw new CliError('CLI_USAGE', 'name the port for browsers, too: --browser-port PORT');
    }
    return undefined;
  }
  if ((browserCert === undefined) !== (browserKey === undefined)) {
    throw new CliError('CLI_USAGE', '--browser-cert and --browser-key go together');
  }
  if (acme !== undefined && browserCert !== undefined) {
    throw new CliError('CLI_USAGE', '--acme goes without --browser-cert and --browser-key');
  }
  const port = parsePort(browserPort);
  const announced = announcements(browserAnnounce);
  const own = acme === undefined || port === 0 ? undefined : [`wss://${acme.names[0]}:${port}`];
  const sockets = announced.sockets ?? own;
  const listener = {
    host,
    port,
    ...(sockets !== undefined && { announce: sockets }),
    // Data channels need an address by number: a wildcard is none.
    webrtc: options.webrtc === 'never' ? false : (announced.channels ?? isIP(host) !== 0),
  };
  if (acme === undefined && browserCert === undefined) {
    if (!isLoopback(host) && sockets === undefined) {
      logger.warn(
        { host, port },
        'without --acme or --browser-cert, WebSockets are for pages that came in the clear themselves',
      );
    }
    return { listener, certificate: undefined };
  }
  if (sockets === undefined || sockets.length === 0) {
    throw new CliError(
      'CLI_USAGE',
      'name the address that the certificate is for: --browser-announce wss://HOST:PORT',
    );
  }
  const certificate =
    acme === undefined
      ? await fileSource(
          { option: '--browser-key', file: browserKey! },
          { option: '--browser-cert', file: browserCert! },
        )
      : await (
          await import('./acme/acme-source.js')
        ).acmeSource(acme, { clock: systemClock, random: systemRandom, logger, signal });
  return { listener: { ...listener, tls: certificate.pair }, certificate };
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
