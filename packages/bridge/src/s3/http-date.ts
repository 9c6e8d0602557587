/** A time in the form of HTTP (RFC 9110, 5.6.7). Milliseconds are cut off. */
export function httpDate(time: number): string {
  return new Date(time).toUTCString();
}

/** Parse an HTTP date; milliseconds since the epoch, undefined when it is not one. */
export function parseHttpDate(text: string | undefined): number | undefined {
  if (text === undefined || !/\bGMT$|\bUTC$|Z$/.test(text.trim())) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** A time in the form of S3's XML. */
export function isoDate(time: number): string {
  return new Date(time).toISOString();
}
