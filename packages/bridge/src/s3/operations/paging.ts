import { S3Error, invalidArgument } from '../s3-error.js';
import type { Parameters } from '../s3-request.js';
import { uriEncode } from '../uri-encoding.js';

/** The most entries of a page. */
export const MAX_PAGE = 1000;

/**
 * A parameter that says how many entries a page may have; more than `most` means `most`.
 *
 * @throws S3Error InvalidArgument.
 */
export function parseLimit(
  parameters: Parameters,
  name: string,
  most = MAX_PAGE,
): number | undefined {
  return limitOf(name, parameters.get(name), most);
}

/** As {@link parseLimit}, from a text. @throws S3Error InvalidArgument. */
export function limitOf(
  name: string,
  text: string | undefined,
  most = MAX_PAGE,
): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,10}$/.test(text)) {
    throw invalidArgument(
      name,
      text.slice(0, 50),
      `Provided ${name} not an integer or within integer range`,
    );
  }
  return Math.min(Number(text), most);
}

/** How names are written in a listing: as they are, or percent-encoded. */
export function nameEncoder(parameters: Parameters): {
  readonly type?: 'url';
  readonly encode: (name: string) => string;
} {
  const type = parameters.get('encoding-type');
  if (type === undefined || type === '') return { encode: (name) => name };
  if (type !== 'url') {
    throw invalidArgument(
      'encoding-type',
      type.slice(0, 50),
      'Invalid Encoding Method specified in Request',
    );
  }
  return { type, encode: (name) => uriEncode(name, true) };
}

/** A continuation token for a name that a listing goes on behind. */
export function makeToken(after: string): string {
  return Buffer.from(after, 'utf8').toString('base64url');
}

/** Undo {@link makeToken}. @throws S3Error InvalidArgument. */
export function parseToken(token: string): string {
  const bytes = Buffer.from(token, 'base64url');
  const text = bytes.toString('utf8');
  if (token === '' || token.length > 4096 || makeToken(text) !== token) {
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect', {
      fields: { ArgumentName: 'continuation-token' },
    });
  }
  return text;
}
