import { CliError } from '../cli-error.js';

/** Where a dashboard is served. */
export interface DashboardAddress {
  readonly host: string;
  /** 0 takes any that is free. */
  readonly port: number;
}

/**
 * Where to serve the dashboard; undefined for nowhere.
 *
 * @param text - `off`, PORT or HOST:PORT; on this machine only and at any free port when not given
 * @throws CliError CLI_USAGE.
 */
export function parseDashboardAddress(text: string | undefined): DashboardAddress | undefined {
  if (text === 'off') return undefined;
  if (text === undefined) return { host: '127.0.0.1', port: 0 };
  const at = /^(?:(?:\[([0-9a-f:.]+)\]|([^:[\]/\s]+)):)?(\d{1,5})$/i.exec(text);
  const port = Number(at?.[3]);
  if (at === null || port > 65_535) {
    throw new CliError(
      'CLI_USAGE',
      `dashboard ${text}: write PORT or HOST:PORT, such as 9480 or 127.0.0.1:9480, or "off"`,
    );
  }
  return { host: at[1] ?? at[2] ?? '127.0.0.1', port };
}
