import { Call } from '../s3/call.js';
import { type BodyPlan, MAX_PUT_BYTES, planBody } from '../s3/body/body-plan.js';
import { HeaderList } from '../s3/header-list.js';
import type { OperationName } from '../s3/operation.js';
import type { S3Deps } from '../s3/s3-deps.js';
import { Parameters, checkKey } from '../s3/s3-request.js';
import { Problem } from './problem.js';
import { type RestContext, callerIn } from './rest-context.js';

/** Header fields of a request that mean to S3's operations what they mean here. */
const TAKEN = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-type',
  'expires',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
  'referer',
  'transfer-encoding',
  'user-agent',
];
/** Header fields of an answer that mean here what they mean there. */
const GIVEN = [
  'accept-ranges',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-length',
  'content-range',
  'content-type',
  'etag',
  'expires',
  'last-modified',
];
const META = { here: 'x-granary-meta-', there: 'x-amz-meta-' };

/** What of S3 a call is about. */
export interface S3Place {
  readonly bucket?: string;
  readonly key?: string;
  readonly parameters?: Readonly<Record<string, string | undefined>>;
}

/**
 * A request as S3's operations see it, so that one code decides who may do what, and does it.
 *
 * @throws Problem, S3Error KeyTooLongError, InvalidURI.
 */
export function s3Call(
  deps: S3Deps,
  context: RestContext,
  operation: OperationName,
  { bucket, key, parameters = {} }: S3Place,
): Call {
  const { id, remoteAddress, secure, signal, body } = context;
  const given = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  const headers = takenHeaders(context.headers);
  return new Call({
    deps,
    request: {
      id,
      method: 'GET',
      target: { rawPath: '/', path: '/', parameters: given },
      parameters: new Parameters(given),
      headers,
      ...(bucket !== undefined && { bucket }),
      ...(key !== undefined && { key: checkKey(key) }),
      virtualHost: false,
      remoteAddress,
      secure,
      body,
      signal,
    },
    operation,
    caller: callerIn(context).caller,
    signedBy: 'rest',
    plan: planOf(headers),
  });
}

/** The header fields of an answer of S3 as they are here. */
export function givenHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const given: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (GIVEN.includes(name)) given[name] = value;
    else if (name === 'x-amz-version-id') given['x-granary-version-id'] = value;
    else if (name.startsWith(META.there)) given[META.here + name.slice(META.there.length)] = value;
  }
  return given;
}

function takenHeaders(headers: HeaderList): HeaderList {
  const taken: Record<string, readonly string[]> = {};
  for (const name of headers.names()) {
    if (TAKEN.includes(name)) taken[name] = headers.all(name);
    else if (name.startsWith(META.here)) {
      taken[META.there + name.slice(META.here.length)] = headers.all(name);
    }
  }
  const digest = headers.get('content-digest');
  if (digest !== undefined) taken['x-amz-checksum-sha256'] = [sha256From(digest)];
  return HeaderList.from(taken);
}

/** The SHA-256 of a `Content-Digest` (RFC 9530) in base64. @throws Problem InvalidDigest. */
function sha256From(field: string): string {
  const found = field
    .split(',')
    .map((item) => /^\s*sha-256=:([A-Za-z0-9+/]{43}=):\s*$/.exec(item)?.[1])
    .find((value) => value !== undefined);
  if (found !== undefined) return found;
  throw new Problem('InvalidDigest', 'Content-Digest has no sha-256=:BASE64: of 32 bytes.', {
    status: 400,
    title: 'Invalid digest',
  });
}

/** Of a stream whose length was not announced, HTTP's own framing tells the end. */
function planOf(headers: HeaderList): BodyPlan {
  if (!headers.has('transfer-encoding')) return planBody(headers, undefined);
  const known = [...headers.names()]
    .filter((name) => name !== 'transfer-encoding')
    .map((name) => [name, headers.all(name)] as const);
  const length = ['content-length', [String(MAX_PUT_BYTES)]] as const;
  return {
    ...planBody(HeaderList.from(Object.fromEntries([...known, length])), undefined),
    open: true,
  };
}
