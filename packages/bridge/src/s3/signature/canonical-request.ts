import type { HeaderList } from '../header-list.js';
import { uriEncode } from '../uri-encoding.js';
import { ALGORITHM, sha256Hex } from './signing-key.js';

/** What of a request is signed. */
export interface SignableRequest {
  readonly method: string;
  /** The path, decoded and not normalised: S3 signs `..` and `//` as they are. */
  readonly path: string;
  /** Parameters of the query, decoded. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
  readonly headers: HeaderList;
}

/**
 * The canonical request of Signature V4, as S3 makes it (the path is encoded once).
 *
 * @param signedHeaders - names in lower case, in the order in which they were declared
 * @param payload - the hash of the body in hex, or the word that stands for it
 * @returns a string of which each character is one byte
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
export function canonicalRequest(
  { method, path, parameters, headers }: SignableRequest,
  signedHeaders: readonly string[],
  payload: string,
): string {
  const query = parameters
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [uriEncode(name), uriEncode(value)] as const)
    .sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
  const fields = signedHeaders.map((name) => {
    const values = headers.all(name).map((value) => value.trim().replace(/ +/g, ' '));
    return `${name}:${values.join(',')}\n`;
  });
  return [
    method,
    uriEncode(path, true),
    query,
    fields.join(''),
    signedHeaders.join(';'),
    payload,
  ].join('\n');
}

/** The string to sign of a canonical request. */
export function stringToSign(time: string, scope: string, canonical: string): string {
  return [ALGORITHM, time, scope, sha256Hex(canonical)].join('\n');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
