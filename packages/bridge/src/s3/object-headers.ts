import type { HeaderList } from './header-list.js';
import { S3Error } from './s3-error.js';
import type { Parameters } from './s3-request.js';

/** Header fields that belong to an object and come back with it. */
const CONTENT_FIELDS = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-type',
  'expires',
  'x-amz-website-redirect-location',
] as const;

/** What a client says about an object. */
export interface ObjectHeaders {
  /** By name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** User metadata by name in lower case, without `x-amz-meta-`. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The most bytes of user metadata: names and values together. */
const MAX_METADATA = 2048;
const META = 'x-amz-meta-';

/**
 * Take an object's header fields and user metadata from a request. `aws-chunked` is an encoding of the
 * request, not of the object, and goes.
 *
 * @throws S3Error MetadataTooLarge.
 */
export function objectHeaders(request: HeaderList): ObjectHeaders {
  const headers: Record<string, string> = {};
  for (const name of CONTENT_FIELDS) {
    const value = request.text(name);
    if (value === undefined) continue;
    if (name !== 'content-encoding') headers[name] = value;
    else {
      const rest = value
        .split(',')
        .map((coding) => coding.trim())
        .filter((coding) => coding !== '' && coding.toLowerCase() !== 'aws-chunked');
      if (rest.length > 0) headers[name] = rest.join(',');
    }
  }
  headers['content-type'] ??= 'binary/octet-stream';
  const metadata: Record<string, string> = {};
  let size = 0;
  for (const name of request.names()) {
    if (!name.startsWith(META) || name === META) continue;
    const key = name.slice(META.length);
    const value = decodeWords(request.text(name)!);
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
    metadata[key] = value;
  }
  if (size > MAX_METADATA) {
    throw new S3Error('MetadataTooLarge', undefined, {
      fields: { Size: String(size), MaxSizeAllowed: String(MAX_METADATA) },
    });
  }
  return { headers, metadata };
}

/** Parameters that replace header fields of an answer (`response-content-type` and so on). */
export function responseOverrides(parameters: Parameters): Record<string, string> {
  const overrides: Record<string, string> = {};
  for (const name of CONTENT_FIELDS) {
    const value = parameters.get(`response-${name}`);
    if (value !== undefined) overrides[name] = value;
  }
  return overrides;
}

/** Whether a request asks for {@link responseOverrides}. */
export function hasOverrides(parameters: Parameters): boolean {
  return CONTENT_FIELDS.some((name) => parameters.has(`response-${name}`));
}

/**
 * A value as it can stand in a header field of an answer: characters beyond ASCII as an encoded word
 * (RFC 2047), as S3 does, and no control characters.
 */
export function headerValue(value: string): string {
  if (/^[\x20-\x7e\t]*$/.test(value)) return value;
  return `=?UTF-8?B?${Buffer.from(value, 'utf8').toString('base64')}?=`;
}

/** Undo what {@link headerValue} does, since clients send back what they got. */
function decodeWords(value: string): string {
  return value.replace(/=\?UTF-8\?([BQ])\?([^?]*)\?=/gi, (whole, kind: string, text: string) => {
    try {
      const bytes =
        kind.toUpperCase() === 'B'
          ? Buffer.from(text, 'base64')
          : Buffer.from(
              text
                .replaceAll('_', ' ')
                .replace(/=([0-9A-F]{2})/gi, (_, hex: string) =>
                  String.fromCharCode(parseInt(hex, 16)),
                ),
              'latin1',
            );
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch {
      return whole;
    }
  });
}
