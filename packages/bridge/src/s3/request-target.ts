import { S3Error } from './s3-error.js';
import { uriDecode, uriEncode } from './uri-encoding.js';

/** A request target, split and decoded, and nothing normalised: `..` and `//` are part of keys. */
export interface RequestTarget {
  /** The path as it came, still encoded. Begins with `/`. */
  readonly rawPath: string;
  /** The path decoded. */
  readonly path: string;
  /** Parameters in order, decoded; several may share a name. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** The most parameters that a query may have. */
const MAX_PARAMETERS = 200;

/**
 * Split the target of a request line (RFC 9112 origin-form; an absolute-form loses its origin).
 *
 * @throws S3Error InvalidURI for bad escapes, bytes that are not UTF-8, or too many parameters.
 */
export function parseTarget(target: string): RequestTarget {
  // A target with raw bytes above ASCII comes from Node as Latin-1.
  // eslint-disable-next-line no-control-regex
  if (/[^\u0000-\u007f]/.test(target)) {
    return parseTarget(
      Buffer.from(target, 'latin1')
        .toString('utf8')
        // eslint-disable-next-line no-control-regex
        .replace(/[^\u0000-\u007f]+/g, (part) => uriEncode(part)),
    );
  }
  const origin = /^https?:\/\/[^/?#]*/i.exec(target);
  const rest = origin === null ? target : target.slice(origin[0].length);
  const hash = rest.indexOf('#');
  const whole = hash < 0 ? rest : rest.slice(0, hash);
  const mark = whole.indexOf('?');
  const rawPath = (mark < 0 ? whole : whole.slice(0, mark)) || '/';
  const query = mark < 0 ? '' : whole.slice(mark + 1);
  if (!rawPath.startsWith('/')) throw new S3Error('InvalidURI');
  const path = uriDecode(rawPath);
  if (path === undefined) throw new S3Error('InvalidURI');
  const parts = query.split('&').filter((part) => part !== '');
  if (parts.length > MAX_PARAMETERS)
    throw new S3Error('InvalidURI', 'The query has too many parameters.');
  const parameters = parts.map((part) => {
    const equals = part.indexOf('=');
    const name = uriDecode((equals < 0 ? part : part.slice(0, equals)).replaceAll('+', ' '));
    const value = equals < 0 ? '' : uriDecode(part.slice(equals + 1).replaceAll('+', ' '));
    if (name === undefined || value === undefined) throw new S3Error('InvalidURI');
    return [name, value] as const;
  });
  return { rawPath, path, parameters };
}
