import { S3Error, invalidArgument } from '../s3-error.js';
import { formatAmzDate, parseAmzDate } from './amz-date.js';
import type { SignableRequest } from './canonical-request.js';
import { ALGORITHM, type SigningScope } from './signing-key.js';

/** How the body of a request is signed: by its hash, not at all, or chunk by chunk. */
export type PayloadSigning =
  | { readonly kind: 'hash'; readonly sha256: string }
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'chunks'; readonly signed: boolean; readonly trailer: boolean };

/** A signature that a request claims to have, parsed and not yet verified. */
export interface SignatureClaim {
  readonly how: 'header' | 'query';
  readonly accessKeyId: string;
  readonly scope: SigningScope;
  /** When it was signed, as it was written. */
  readonly date: string;
  /** The same in milliseconds since the epoch. */
  readonly time: number;
  /** For a presigned URL, how long it is good, in seconds. */
  readonly expires?: number;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** The last line of the canonical request. */
  readonly payloadText: string;
  readonly payload: PayloadSigning;
}

/** The longest life of a presigned URL, in seconds: seven days. */
const MAX_EXPIRES = 604_800;

/**
 * Find out what signature a request claims to have.
 *
 * @returns undefined for an anonymous request
 * @throws S3Error for what is malformed, of another scheme, or said twice.
 */
export function parseClaim(request: SignableRequest): SignatureClaim | undefined {
  const authorization = request.headers.all('authorization');
  const query = new Map(request.parameters);
  const presigned = query.has('X-Amz-Algorithm') || query.has('X-Amz-Signature');
  if (authorization.length > 1 || (authorization.length > 0 && presigned)) {
    throw new S3Error(
      'InvalidArgument',
      'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
    );
  }
  if (query.has('Signature') && query.has('AWSAccessKeyId')) throw unsupported();
  if (authorization.length === 1) return fromHeader(request, authorization[0]!);
  if (presigned) return fromQuery(request, query);
  return undefined;
}

function unsupported(): S3Error {
  return new S3Error(
    'InvalidRequest',
    'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
  );
}

function fromHeader(request: SignableRequest, authorization: string): SignatureClaim {
  const malformed = (why: string) =>
    new S3Error('AuthorizationHeaderMalformed', `The authorization header is malformed; ${why}.`);
  const space = authorization.indexOf(' ');
  if (authorization.slice(0, space) !== ALGORITHM) throw unsupported();
  const fields = new Map<string, string>();
  for (const part of authorization.slice(space + 1).split(',')) {
    const equals = part.indexOf('=');
    if (equals < 0) throw malformed('a part has no "="');
    const name = part.slice(0, equals).trim();
    if (fields.has(name)) throw malformed(`${name} is there twice`);
    fields.set(name, part.slice(equals + 1).trim());
  }
  const field = (name: string): string => {
    const value = fields.get(name);
    if (value === undefined || value === '') throw malformed(`it lacks ${name}`);
    return value;
  };
  const { accessKeyId, scope } = parseCredential(field('Credential'), malformed);
  const date = dateOf(request);
  if (date === undefined) {
    throw new S3Error(
      'AccessDenied',
      'AWS authentication requires a valid Date or x-amz-date header',
    );
  }
  checkDay(date.text, scope, malformed);
  const hash = request.headers.get('x-amz-content-sha256');
  if (hash === undefined) {
    throw new S3Error(
      'InvalidRequest',
      'Missing required header for this request: x-amz-content-sha256',
    );
  }
  return {
    how: 'header',
    accessKeyId,
    scope,
    date: date.text,
    time: date.time,
    signedHeaders: parseSignedHeaders(field('SignedHeaders'), malformed),
    signature: parseSignature(field('Signature'), malformed),
    payloadText: hash,
    payload: parsePayload(hash),
  };
}

function fromQuery(request: SignableRequest, query: ReadonlyMap<string, string>): SignatureClaim {
  const malformed = (why: string) =>
    new S3Error(
      'AuthorizationQueryParametersError',
      `Error parsing the X-Amz-… parameters of the query: ${why}.`,
    );
  const names = request.parameters.map(([name]) => name).filter((name) => /^X-Amz-/i.test(name));
  if (new Set(names).size < names.length) throw malformed('one is there twice');
  const field = (name: string): string => {
    const value = query.get(name);
    if (value === undefined || value === '') {
      throw malformed(
        'query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters',
      );
    }
    return value;
  };
  if (field('X-Amz-Algorithm') !== ALGORITHM) throw unsupported();
  const { accessKeyId, scope } = parseCredential(field('X-Amz-Credential'), malformed);
  const date = field('X-Amz-Date');
  const time = parseAmzDate(date);
  if (time === undefined) throw malformed('X-Amz-Date must be in the format "yyyyMMddTHHmmssZ"');
  checkDay(date, scope, malformed);
  const expires = field('X-Amz-Expires');
  if (!/^\d{1,9}$/.test(expires)) throw malformed('X-Amz-Expires should be a number');
  const seconds = Number(expires);
  if (seconds > MAX_EXPIRES || seconds < 1) {
    throw malformed('X-Amz-Expires must be from 1 to 604800 seconds, which is a week');
  }
  const hash =
    query.get('X-Amz-Content-Sha256') ??
    request.headers.get('x-amz-content-sha256') ??
    'UNSIGNED-PAYLOAD';
  return {
    how: 'query',
    accessKeyId,
    scope,
    date,
    time,
    expires: seconds,
    signedHeaders: parseSignedHeaders(field('X-Amz-SignedHeaders'), malformed),
    signature: parseSignature(field('X-Amz-Signature'), malformed),
    payloadText: hash,
    payload: parsePayload(hash),
  };
}

type Malformed = (why: string) => S3Error;

function parseCredential(
  credential: string,
  malformed: Malformed,
): { accessKeyId: string; scope: SigningScope } {
  // An access key ID may hold slashes; the four parts behind it can't.
  const parts = credential.split('/');
  const [day, region, service, end] = parts.slice(-4);
  const accessKeyId = parts.slice(0, -4).join('/');
  if (parts.length < 5 || accessKeyId === '' || !/^\d{8}$/.test(day!) || end !== 'aws4_request') {
    throw malformed(
      'the Credential is not of the form "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"',
    );
  }
  if (service !== 's3')
    throw malformed(`incorrect service "${service}"; this endpoint belongs to "s3"`);
  return { accessKeyId, scope: { day: day!, region: region!, service } };
}

function parseSignedHeaders(text: string, malformed: Malformed): string[] {
  const names = text.split(';');
  const sorted = names.every((name, i) => i === 0 || names[i - 1]! < name);
  if (!names.every((name) => /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) || !sorted) {
    throw malformed('SignedHeaders is not a sorted list of names in lower case');
  }
  return names;
}

function parseSignature(text: string, malformed: Malformed): string {
  if (!/^[0-9a-f]{64}$/.test(text))
    throw malformed('the signature is not 64 digits of lower-case hex');
  return text;
}

function checkDay(date: string, { day }: SigningScope, malformed: Malformed): void {
  if (date.slice(0, 8) !== day) {
    throw malformed(`Invalid credential date "${day}". This date is not the same as X-Amz-Date`);
  }
}

function dateOf({ headers }: SignableRequest): { text: string; time: number } | undefined {
  const amz = headers.get('x-amz-date');
  if (amz !== undefined) {
    const time = parseAmzDate(amz);
    if (time !== undefined) return { text: amz, time };
  }
  const text = amz ?? headers.get('date');
  if (text === undefined || !/\bGMT$|\bUTC$|Z$|\+0000$/.test(text)) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : { text: formatAmzDate(time), time };
}

function parsePayload(text: string): PayloadSigning {
  switch (text) {
    case 'UNSIGNED-PAYLOAD':
      return { kind: 'unsigned' };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { kind: 'chunks', signed: true, trailer: false };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { kind: 'chunks', signed: true, trailer: true };
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'chunks', signed: false, trailer: true };
  }
  if (!/^[0-9a-f]{64}$/i.test(text)) {
    throw invalidArgument(
      'x-amz-content-sha256',
      text.slice(0, 100),
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.',
    );
  }
  return { kind: 'hash', sha256: text.toLowerCase() };
}
