import { X509Certificate } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, type Logger, makeDirectory, type Random, randomFraction } from '@granary/kad';
import { CliError } from '../cli-error.js';
import type { CertificateSource, KeyAndCertificate } from '../certificate-source.js';
import { type Order, createAccountKey, orderCertificate } from './order.js';

/** What an authority is asked for, and where it is kept. */
export interface AcmeSettings extends Omit<Order, 'accountKey' | 'signal'> {
  /** For the account's key and the certificate with its key; files of mode 0600. */
  readonly folder: string;
}

const HOUR = 3600 * 1000;
const DAY = 24 * HOUR;

/**
 * A certificate that an authority of the public web vouches for, ordered when there is none that fits, and
 * again when less than a third of its time is left. Where that fails it is tried again after hours, ever
 * longer up to a day; authorities count failures.
 *
 * @throws CliError CLI_AUTHORITY, CLI_AUTHORITY_UNREACHABLE, CLI_PORT_IN_USE, CLI_INTERRUPTED when there is
 * none that is good and none can be had.
 */
export async function acmeSource(
  settings: AcmeSettings,
  parts: {
    readonly clock: Clock;
    readonly random: Random;
    readonly logger: Logger;
    readonly signal: AbortSignal;
  },
): Promise<CertificateSource> {
  const { folder, names } = settings;
  const { clock, random, logger } = parts;
  const file = join(folder, 'certificate.pem');
  // All that were set up on one day need not all renew on one day.
  const early = randomFraction(random) / 12;
  let failures = 0;
  let notBefore = 0;

  const order = async (signal: AbortSignal): Promise<KeyAndCertificate> => {
    logger.info({ names }, 'a certificate is being ordered');
    await makeDirectory(folder);
    const accountKey = await accountKeyIn(folder);
    const made = await orderCertificate({ ...settings, accountKey, signal });
    await writeSecret(file, made.key + made.cert);
    return made;
  };
  const dueAt = ({ cert }: KeyAndCertificate): number => {
    const { validFrom, validTo } = new X509Certificate(cert);
    const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
    return to - (to - from) * (1 / 3 + early);
  };

  const kept = await readPair(file);
  const good = kept !== undefined && fits(kept, names, clock.now()) ? kept : undefined;
  const pair = good ?? (await order(parts.signal));
  let due = dueAt(pair);
  return {
    pair,
    again: async (signal) => {
      const now = clock.now();
      if (now < due || now < notBefore) return undefined;
      try {
        const made = await order(signal);
        due = dueAt(made);
        failures = 0;
        return made;
      } catch (error) {
        const wait = Math.min(DAY, HOUR * 2 ** Math.min(failures, 10));
        notBefore = now + wait * (0.75 + randomFraction(random) / 2);
        failures += 1;
        throw error;
      }
    },
  };
}

/** Whether a certificate is good now, for all of these names. */
function fits({ cert }: KeyAndCertificate, names: readonly string[], now: number): boolean {
  const { validFrom, validTo, subjectAltName = '' } = new X509Certificate(cert);
  const has = new Set(subjectAltName.split(', ').map((name) => name.replace(/^DNS:/, '')));
  const timely = Date.parse(validFrom) <= now && now < Date.parse(validTo);
  return timely && names.every((name) => has.has(name));
}

/** The key and certificate in one file, so that they can't come apart; undefined when there is none. */
async function readPair(file: string): Promise<KeyAndCertificate | undefined> {
  const text = await readText(file);
  const begin = text?.indexOf('-----BEGIN CERTIFICATE-----') ?? -1;
  if (text === undefined || begin < 0) return undefined;
  const pair = { key: text.slice(0, begin), cert: text.slice(begin) };
  try {
    new X509Certificate(pair.cert);
    return pair;
  } catch {
    return undefined;
  }
}

async function accountKeyIn(folder: string): Promise<string> {
  const file = join(folder, 'account.pem');
  const known = await readText(file);
  if (known !== undefined && known !== '') return known;
  const made = await createAccountKey();
  await writeSecret(file, made);
  return made;
}

async function readText(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new CliError('CLI_USAGE', `${file}: it can't be read: ${error.code}`);
  });
}

/** Write a file that only we can read: whole, or not at all. */
async function writeSecret(file: string, text: string): Promise<void> {
  const part = `${file}.part`;
  await rm(part, { force: true });
  const handle = await open(part, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(part, file);
}
