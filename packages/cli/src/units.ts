import { CliError } from './cli-error.js';

const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
const FACTORS: Record<string, number> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  t: 1e12,
  tb: 1e12,
  p: 1e15,
  pb: 1e15,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};
const SECONDS: Record<string, number> = {
  ms: 0.001,
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
  y: 31_536_000,
};

/** Bytes from text like `10GB`, `512MiB` or `4096`. @throws CliError CLI_USAGE. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = match === null ? undefined : FACTORS[match[2]!.toLowerCase()];
  if (match === null || factor === undefined) {
    throw new CliError('CLI_USAGE', `"${text}" is not a size: write it like 10GB, 512MiB or 4096`);
  }
  return Math.round(Number(match[1]) * factor);
}

/** Bytes for people: three digits and a decimal unit. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < DECIMAL.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${DECIMAL[unit]}`;
}

/** Milliseconds from text like `90d`, `12h`, `30s`. @throws CliError CLI_USAGE. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w|y)$/i.exec(text.trim());
  if (match === null) {
    throw new CliError('CLI_USAGE', `"${text}" is not a duration: write it like 90d, 12h or 30s`);
  }
  return Math.round(Number(match[1]) * SECONDS[match[2]!.toLowerCase()]! * 1000);
}

/** Milliseconds for people. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86_400) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86_400).toFixed(1)} days`;
}

/** A rate for people. */
export function formatRate(bytes: number, ms: number): string {
  return `${formatSize(ms > 0 ? (bytes * 1000) / ms : 0)}/s`;
}

/** So many a second on average, and so many at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

/**
 * A rate limit from text like `50`, `50/200` (at once) or `none`. Without a second number, twice the
 * first may come at once.
 *
 * @param amount - reads one of the numbers
 * @throws CliError CLI_USAGE.
 */
export function parseRate(text: string, amount: (text: string) => number): Rate | null {
  if (text === 'none') return null;
  const [first, second, ...rest] = text.split('/');
  if (rest.length > 0) {
    throw new CliError('CLI_USAGE', `"${text}" is not a rate: write it like 50, 50/200 or none`);
  }
  const perSecond = amount(first!);
  const burst = second === undefined ? Math.ceil(perSecond * 2) : amount(second);
  return { perSecond, burst: Math.max(1, Math.round(burst)) };
}

/** A number from text like `50` or `0.5`. @throws CliError CLI_USAGE. */
export function parseNumber(text: string): number {
  if (/^\d{1,15}(?:\.\d{1,6})?$/.test(text.trim())) return Number(text);
  throw new CliError('CLI_USAGE', `"${text}" is not a number`);
}
