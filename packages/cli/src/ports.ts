import { CliError } from './cli-error.js';

/** The value of `--port`. @throws CliError CLI_USAGE. */
export function parsePort(text: string): number {
  const port = Number(text);
  if (text.trim() === '' || !Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new CliError('CLI_USAGE', `--port ${text}: a port is a number from 0 to 65535`);
  }
  return port;
}
