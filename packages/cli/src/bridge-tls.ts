import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { TlsPair } from '@granary/bridge';
import { type Logger, messageOf, systemClock, systemRandom } from '@granary/kad';
import { CliError } from './cli-error.js';

/** Options of `granary bridge` about TLS. */
export interface TlsOptions {
  readonly tlsKey?: string;
  readonly tlsCert?: string;
  readonly tlsSelfSigned?: boolean;
}

/** Where a bridge's certificate comes from. */
export interface TlsSource {
  readonly pair: TlsPair;
  /** The certificate's file, for clients that are to trust it; undefined where an authority is trusted. */
  readonly trust?: string;
  /** Read it again; undefined when it is still the same. */
  again(): Promise<TlsPair | undefined>;
}

/** Between two looks at the files, in milliseconds. */
const LOOK_MS = 10_000;

/**
 * The certificate that the options ask for: from files, or of the bridge's own in its home directory.
 *
 * @param names - what clients call the bridge, for its own certificate
 * @throws CliError CLI_USAGE.
 */
export async function tlsSource(
  options: TlsOptions,
  home: string,
  names: readonly string[],
): Promise<TlsSource | undefined> {
  const { tlsKey, tlsCert, tlsSelfSigned } = options;
  if (tlsSelfSigned === true) {
    if (tlsKey !== undefined || tlsCert !== undefined) {
      throw new CliError('CLI_USAGE', '--tls-self-signed goes without --tls-key and --tls-cert');
    }
    return selfSigned(join(home, 'bridge'), names);
  }
  if (tlsKey === undefined && tlsCert === undefined) return undefined;
  if (tlsKey === undefined || tlsCert === undefined) {
    throw new CliError('CLI_USAGE', '--tls-key and --tls-cert go together');
  }
  const read = (option: string, file: string) =>
    readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new CliError('CLI_USAGE', `${option} ${file}: it can't be read: ${error.code}`);
    });
  return source(async () => ({
    key: await read('--tls-key', tlsKey),
    cert: await read('--tls-cert', tlsCert),
  }));
}

/**
 * Read a certificate again when the process gets a hangup and every some seconds, and hand on what has
 * changed, until the signal aborts. What can't be used is said once, and tried again.
 *
 * @param use - throws when key and certificate are no pair, as in the middle of a change
 */
export async function keepCertificate(
  { again }: TlsSource,
  use: (pair: TlsPair) => void,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  let wake: () => void = () => undefined;
  const onHangup = () => wake();
  process.on('SIGHUP', onHangup);
  signal.addEventListener('abort', onHangup);
  let said = '';
  let pending: TlsPair | undefined;
  try {
    for (;;) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_MS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (signal.aborted) wake();
      });
      if (signal.aborted) return;
      try {
        pending = (await again()) ?? pending;
        if (pending === undefined) continue;
        use(pending);
        [pending, said] = [undefined, ''];
        logger.info({}, 'serving with a new certificate');
      } catch (error) {
        const text = messageOf(error);
        if (text !== said) logger.warn({ error: text }, 'the new certificate is of no use yet');
        said = text;
      }
    }
  } finally {
    process.off('SIGHUP', onHangup);
    signal.removeEventListener('abort', onHangup);
  }
}

async function source(
  read: () => Promise<{ key: string; cert: string }>,
  trust?: string,
): Promise<TlsSource> {
  let last = await read();
  return {
    pair: last,
    ...(trust !== undefined && { trust }),
    again: async () => {
      const next = await read();
      if (next.key === last.key && next.cert === last.cert) return undefined;
      last = next;
      return next;
    },
  };
}

/** A key and certificate in the bridge's directory, made anew when they are missing, old or for other names. */
async function selfSigned(directory: string, names: readonly string[]): Promise<TlsSource> {
  const { createSelfSigned, isStillGood } = await import('@granary/bridge');
  const file = join(directory, 'tls.pem');
  const trust = join(directory, 'tls-cert.pem');
  const all = [...new Set(['localhost', '127.0.0.1', '::1', hostname(), ...names])];
  return source(async () => {
    // Both in one file, so that they can't come apart.
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw new CliError('CLI_USAGE', `${file}: it can't be read: ${error.code}`);
    });
    const [key = '', cert = ''] = text.split(/(?=-----BEGIN CERTIFICATE-----)/);
    if (isStillGood(cert, all, systemClock)) {
      if ((await readFile(trust, 'utf8').catch(() => '')) !== cert) await writeFile(trust, cert);
      return { key, cert };
    }
    const made = await createSelfSigned(all, systemClock, systemRandom);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const part = `${file}.part`;
    await rm(part, { force: true });
    await writeFile(part, made.key + made.cert, { mode: 0o600 });
    await rename(part, file);
    await writeFile(trust, made.cert);
    return made;
  }, trust);
}
