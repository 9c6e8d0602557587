import { CliError } from './cli-error.js';
import type { Context } from './context.js';

/** A time, to the minute. @param ms - milliseconds since the epoch */
export const minuteOf = (ms: number) =>
  `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/**
 * The page that opens links; null when the command alone does.
 *
 * @param base - where the app is, when the command was told; else what the configuration says
 * @param name - of the page
 * @throws CliError CLI_USAGE.
 */
export function pageOf({ config }: Context, base: string | undefined, name: string): string | null {
  const text = base ?? config.shareBase;
  if (text === undefined || text === '' || text === 'none') return null;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new CliError('CLI_USAGE', `--base ${text}: write it like https://app.example.org/`);
  }
  if (!/^https?:$/.test(url.protocol) || url.hash !== '' || url.search !== '') {
    throw new CliError('CLI_USAGE', `--base ${text}: write it like https://app.example.org/`);
  }
  if (url.pathname.endsWith('.html')) return url.href;
  return new URL(name, url.href.endsWith('/') ? url.href : `${url.href}/`).href;
}
