import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { CliError } from './cli-error.js';

/** Ask on the terminal without showing what is typed. */
async function ask(question: string): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new CliError(
      'CLI_USAGE',
      'a password is needed and there is no terminal to ask on: use --password-file or GRANARY_PASSWORD',
    );
  }
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await new Promise<string>((resolve, reject) => {
      lines.once('line', resolve);
      lines.once('SIGINT', () => reject(new CliError('CLI_INTERRUPTED', 'stopped')));
      lines.once('close', () => reject(new CliError('CLI_INTERRUPTED', 'stopped')));
    });
  } finally {
    process.stderr.write('\n');
    lines.close();
  }
}

/** The password that was given: by file, then by environment; undefined when by neither. */
export async function givenPassword(
  file: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  if (file !== undefined) {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EACCES') throw error;
      throw new CliError('CLI_USAGE', `the password file ${file} can't be read: ${error.code}`);
    });
    return text.replace(/\r?\n$/, '');
  }
  return env['GRANARY_PASSWORD'];
}

/** Ask for the password of existing keys. */
export function askPassword(): Promise<string> {
  return ask('Password: ');
}

/** Ask for a new password, twice. */
export async function askNewPassword(): Promise<string> {
  const first = await ask('New password: ');
  if (first === '') throw new CliError('CLI_USAGE', 'an empty password protects nothing');
  if ((await ask('Again: ')) !== first) throw new CliError('CLI_USAGE', 'the two passwords differ');
  return first;
}
