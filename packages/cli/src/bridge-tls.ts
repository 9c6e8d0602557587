import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { makeDirectory, systemClock, systemRandom } from '@granary/kad';
import { type AcmeOptions, acmeSettings } from './acme/acme-options.js';
import { type CertificateSource, fileSource, readSource } from './certificate-source.js';
import { CliError } from './cli-error.js';
import type { Context } from './context.js';

/** Options of `granary bridge` about TLS. */
export interface TlsOptions extends AcmeOptions {
  readonly tlsKey?: string;
  readonly tlsCert?: string;
  readonly tlsSelfSigned?: boolean;
}

/**
 * The certificate that the options ask for: of an authority, from files, or of the bridge's own in its home
 * directory.
 *
 * @param names - what clients call the bridge, for its own certificate
 * @throws CliError CLI_USAGE, and what {@link acmeSource} throws.
 */
export async function tlsSource(
  options: TlsOptions,
  { home, logger, signal, dialer }: Pick<Context, 'home' | 'logger' | 'signal' | 'dialer'>,
  names: readonly string[],
): Promise<CertificateSource | undefined> {
  const { tlsKey, tlsCert, tlsSelfSigned } = options;
  const acme = acmeSettings(options, join(home, 'bridge'));
  if (acme !== undefined) {
    if (dialer !== undefined) {
      throw new CliError('CLI_USAGE', '--acme with --proxy would tell where this machine is');
    }
    if (tlsSelfSigned === true || (tlsKey ?? tlsCert) !== undefined) {
      throw new CliError('CLI_USAGE', '--acme goes without the other certificates: --tls-…');
    }
    const { acmeSource } = await import('./acme/acme-source.js');
    return acmeSource(acme, { clock: systemClock, random: systemRandom, logger, signal });
  }
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
  return fileSource({ option: '--tls-key', file: tlsKey }, { option: '--tls-cert', file: tlsCert });
}

/** A key and certificate in the bridge's directory, made anew when they are missing, old or for other names. */
async function selfSigned(directory: string, names: readonly string[]): Promise<CertificateSource> {
  const { createSelfSigned, isStillGood } = await import('@granary/bridge');
  const file = join(directory, 'tls.pem');
  const trust = join(directory, 'tls-cert.pem');
  const all = [...new Set(['localhost', '127.0.0.1', '::1', hostname(), ...names])];
  return readSource(async () => {
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
    await makeDirectory(directory);
    const part = `${file}.part`;
    await rm(part, { force: true });
    await writeFile(part, made.key + made.cert, { mode: 0o600 });
    await rename(part, file);
    await writeFile(trust, made.cert);
    return made;
  }, trust);
}
