import { CliError } from './cli-error.js';

/**
 * Where to listen, from HOST:PORT or [HOST]:PORT.
 *
 * @param option - that the text was given with, for the message
 * @param example - a port to name in it
 * @throws CliError CLI_USAGE.
 */
export function parseListen(
  text: string,
  option: string,
  example: number,
): { host: string; port: number } {
  const at = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(at?.[3]);
  if (at === null || port > 65_535) {
    throw new CliError(
      'CLI_USAGE',
      `${option} ${text}: write HOST:PORT, such as 127.0.0.1:${example}`,
    );
  }
  return { host: at[1] ?? at[2]!, port };
}
