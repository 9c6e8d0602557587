import { CliError } from './cli-error.js';

/** The bucket that is meant when none is named. */
export const DEFAULT_BUCKET = 'default';

/** `BUCKET/NAME`; without a slash, a name in the default bucket. @throws CliError CLI_USAGE. */
export function parseRemotePath(text: string): { bucket: string; name: string } {
  const slash = text.indexOf('/');
  const bucket = slash < 0 ? DEFAULT_BUCKET : text.slice(0, slash);
  const name = text.slice(slash + 1);
  if (bucket === '' || name === '') {
    throw new CliError('CLI_USAGE', `"${text}" does not name an object: write BUCKET/NAME`);
  }
  return { bucket, name };
}
