import { join } from 'node:path';
import { CliError } from '../cli-error.js';
import { parseListen } from '../listen-address.js';
import type { AcmeSettings } from './acme-source.js';

/** Options of commands that get a certificate by themselves. */
export interface AcmeOptions {
  readonly acme?: string[];
  readonly acmeEmail?: string;
  readonly acmeDirectory?: string;
  readonly acmeListen?: string;
}

const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';

/**
 * What the options ask an authority for; undefined when they ask for nothing.
 *
 * @param directory - of the node; what is kept is in a folder below it
 * @throws CliError CLI_USAGE.
 */
export function acmeSettings(
  { acme, acmeEmail, acmeDirectory, acmeListen }: AcmeOptions,
  directory: string,
): AcmeSettings | undefined {
  if (acme === undefined) {
    if (acmeEmail ?? acmeDirectory ?? acmeListen) {
      throw new CliError('CLI_USAGE', 'name what the certificate is for, too: --acme NAME');
    }
    return undefined;
  }
  const names = acme.map((name) => name.toLowerCase());
  for (const name of names) {
    if (/^(?=.{1,253}$)([a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{0,62}$/.test(name)) continue;
    throw new CliError(
      'CLI_USAGE',
      `--acme ${name}: write a name that leads here, such as farm.example.org`,
    );
  }
  const authority = acmeDirectory ?? LETS_ENCRYPT;
  if (!URL.canParse(authority) || new URL(authority).protocol !== 'https:') {
    throw new CliError('CLI_USAGE', `--acme-directory ${authority}: write https://HOST/PATH`);
  }
  return {
    names,
    ...(acmeEmail !== undefined && { email: acmeEmail }),
    directory: authority,
    challengeAt: parseListen(acmeListen ?? '0.0.0.0:80', '--acme-listen', 80),
    folder: join(directory, 'acme'),
  };
}
