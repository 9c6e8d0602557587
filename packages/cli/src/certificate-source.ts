import { readFile } from 'node:fs/promises';
import { type Logger, messageOf } from '@granary/kad';
import { CliError } from './cli-error.js';

/** A key and its certificate chain, in PEM. */
export interface KeyAndCertificate {
  readonly key: string;
  readonly cert: string;
}

/** Where a server's certificate comes from. */
export interface CertificateSource {
  readonly pair: KeyAndCertificate;
  /** The certificate's file, for clients that are to trust it; undefined where an authority is trusted. */
  readonly trust?: string;
  /** Look again; undefined when it is still the same. The signal stops what takes long. */
  again(signal: AbortSignal): Promise<KeyAndCertificate | undefined>;
}

/** Between two looks, in milliseconds. */
const LOOK_MS = 10_000;

/** A source that is read, and read again. @param read - called for every look */
export async function readSource(
  read: () => Promise<KeyAndCertificate>,
  trust?: string,
): Promise<CertificateSource> {
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

/** A file, and the option that named it. */
export interface NamedFile {
  readonly option: string;
  readonly file: string;
}

/** A certificate in two files, which somebody else replaces. @throws CliError CLI_USAGE. */
export function fileSource(key: NamedFile, cert: NamedFile): Promise<CertificateSource> {
  const read = ({ option, file }: NamedFile) =>
    readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new CliError('CLI_USAGE', `${option} ${file}: it can't be read: ${error.code}`);
    });
  return readSource(async () => ({ key: await read(key), cert: await read(cert) }));
}

/**
 * Look for another certificate when the process gets a hangup and every some seconds, and hand on what has
 * changed, until the signal aborts. What can't be used is said once, and tried again.
 *
 * @param source - undefined: there is none, and a hangup does nothing
 * @param use - throws when key and certificate are no pair, as in the middle of a change
 */
export async function keepCertificate(
  source: CertificateSource | undefined,
  use: (pair: KeyAndCertificate) => void,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  let wake: () => void = () => undefined;
  const onHangup = () => wake();
  process.on('SIGHUP', onHangup);
  signal.addEventListener('abort', onHangup);
  let said = '';
  let pending: KeyAndCertificate | undefined;
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
        pending = (await source?.again(signal)) ?? pending;
        if (pending === undefined) continue;
        use(pending);
        [pending, said] = [undefined, ''];
        logger.info({}, 'serving with a new certificate');
      } catch (error) {
        if (signal.aborted) return;
        const text = messageOf(error);
        if (text !== said) logger.warn({ error: text }, 'there is no new certificate yet');
        said = text;
      }
    }
  } finally {
    process.off('SIGHUP', onHangup);
    signal.removeEventListener('abort', onHangup);
  }
}
