const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Bytes for people: three digits and a decimal unit. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** A figure without decimals that say nothing: `2.00 MB` is `2 MB`, `1.50 MB` is `1.5 MB`. */
export function brief(text: string): string {
  return text.replace(/(\d)\.(\d*?)0+(?!\d)/, (_, whole: string, rest: string) =>
    rest === '' ? whole : `${whole}.${rest}`,
  );
}

/** Bytes a second for people. */
export function rate(bytesPerSecond: number): string {
  return `${bytes(bytesPerSecond)}/s`;
}

/** A whole number with its thousands apart. */
export function count(value: number): string {
  return value.toLocaleString('en-GB');
}

/** A number with its thing, in the singular or in the plural: `1 object`, `2 objects`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Milliseconds for people, the two largest units at most. */
export function duration(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  if (ms < MINUTE - SECOND / 2) return `${Math.round(ms / SECOND)} s`;
  const pair = (large: number, small: number, names: readonly [string, string]) => {
    const rounded = Math.round(ms / small) * small;
    const rest = Math.round((rounded % large) / small);
    const whole = Math.floor(rounded / large);
    return rest === 0 ? `${whole} ${names[0]}` : `${whole} ${names[0]} ${rest} ${names[1]}`;
  };
  if (ms < HOUR - MINUTE / 2) return pair(MINUTE, SECOND, ['min', 's']);
  if (ms < DAY - HOUR / 2) return pair(HOUR, MINUTE, ['h', 'min']);
  return pair(DAY, HOUR, ['d', 'h']);
}

/** How long ago a time was. */
export function ago(time: number, now: number): string {
  const ms = now - time;
  return ms < 2 * SECOND ? 'just now' : `${duration(ms)} ago`;
}

/** How far off a time is. */
export function until(time: number, now: number): string {
  return time <= now ? 'over' : `in ${duration(time - now)}`;
}

/** A share of 0 to 1 in per cent. */
export function percent(share: number): string {
  const value = share * 100;
  return `${value >= 99.95 || value < 0.05 ? value.toFixed(0) : value.toFixed(1)} %`;
}

/** The first digits of an ID. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}

/** An amount of a currency's smallest unit with its thousands apart and few decimals. */
export function amount(text: string): string {
  const [whole = '0', decimals = ''] = text.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  const kept = decimals.slice(0, 2).replace(/0+$/, '');
  return kept === '' ? grouped : `${grouped}.${kept}`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  hour12: false,
});
const CLOCK_SECONDS = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hour12: false,
});
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** The time of day. */
export function clock(time: number, seconds = false): string {
  return (seconds ? CLOCK_SECONDS : CLOCK).format(time);
}

/** A date and time. */
export function date(time: number): string {
  return DATE.format(time);
}
