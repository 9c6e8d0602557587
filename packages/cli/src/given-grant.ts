import { readFile } from 'node:fs/promises';
import { isAccessGrant } from '@granary/protocol';
import { CliError } from './cli-error.js';

/** The access grant that a command goes by: what `--grant` or GRANARY_GRANT says; undefined without either. */
export function grantOf(flag: string | undefined): string | undefined {
  const given = flag ?? process.env['GRANARY_GRANT'];
  return given === undefined || given === '' ? undefined : given;
}

/** The access grant in a file, or the text itself when it is one. @throws CliError CLI_SOURCE. */
export async function readGrant(given: string): Promise<string> {
  if (isAccessGrant(given)) return given;
  try {
    return (await readFile(given, 'utf8')).trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') throw error;
    throw new CliError('CLI_SOURCE', `--grant ${given}: there is no such file, nor is it a grant`);
  }
}
