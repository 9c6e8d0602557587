import { HeaderList } from './header-list.js';
import { type RequestTarget, parseTarget } from './request-target.js';
import { S3Error } from './s3-error.js';
import { uriDecode } from './uri-encoding.js';

/** Parameters of a query, by name. */
export class Parameters {
  private readonly values: ReadonlyMap<string, string>;

  constructor(readonly list: readonly (readonly [name: string, value: string])[]) {
    // The first of a name counts; signatures are over all of them.
    this.values = new Map([...list].reverse());
  }

  has(name: string): boolean {
    return this.values.has(name);
  }

  get(name: string): string | undefined {
    return this.values.get(name);
  }
}

/** A request, parsed as far as every operation needs it. Nothing of it has been verified. */
export interface S3Request {
  /** The bridge's own ID of the request; in answers and logs. */
  readonly id: string;
  readonly method: string;
  readonly target: RequestTarget;
  readonly parameters: Parameters;
  readonly headers: HeaderList;
  readonly bucket?: string;
  readonly key?: string;
  /** Whether the bucket was named by the host (virtual-hosted style). */
  readonly virtualHost: boolean;
  /** The client's address. */
  readonly remoteAddress: string;
  /** Whether it came over TLS. */
  readonly secure: boolean;
  /** The bytes of the body as they come; to be read once. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Aborted when the client goes away or the server ends. */
  readonly signal: AbortSignal;
}

/** What comes from the HTTP server. */
export interface RawRequest extends Pick<
  S3Request,
  'id' | 'method' | 'remoteAddress' | 'secure' | 'body' | 'signal'
> {
  /** The request target as it stands in the request line. */
  readonly url: string;
  readonly rawHeaders: readonly string[];
}

/** The most header fields of a request. */
const MAX_FIELDS = 200;

/** Fields that decide where a request ends, whom it is for or who sent it: twice is an attack. */
const ONCE = [
  'host',
  'content-length',
  'transfer-encoding',
  'authorization',
  'content-type',
  'expect',
];

/** The head of a request. */
export interface RequestHead {
  readonly headers: HeaderList;
  readonly target: RequestTarget;
}

/** Parse the head of a request. @throws S3Error InvalidURI, InvalidRequest. */
export function parseHead(raw: Pick<RawRequest, 'url' | 'rawHeaders'>): RequestHead {
  const headers = HeaderList.fromRaw(raw.rawHeaders);
  if (raw.rawHeaders.length / 2 > MAX_FIELDS) {
    throw new S3Error('InvalidRequest', `The request has more than ${MAX_FIELDS} header fields.`);
  }
  for (const name of ONCE) {
    if (headers.all(name).length > 1) {
      throw new S3Error('InvalidRequest', `The header ${name} is there twice.`);
    }
  }
  if (headers.has('content-length') && headers.has('transfer-encoding')) {
    throw new S3Error(
      'InvalidRequest',
      'The request has both Content-Length and Transfer-Encoding.',
    );
  }
  return { headers, target: parseTarget(raw.url) };
}

/**
 * Parse a request.
 *
 * @param domains - base domains of virtual-hosted style: `BUCKET.DOMAIN`, in lower case
 * @throws S3Error InvalidURI, InvalidRequest, KeyTooLongError.
 */
export function parseRequest(raw: RawRequest, domains: readonly string[]): S3Request {
  const { headers, target } = parseHead(raw);
  const hosted = bucketOfHost(headers.get('host'), domains);
  const place = hosted === undefined ? pathPlace(target.rawPath) : hostPlace(hosted, target.path);
  if (place.key !== undefined) checkKey(place.key);
  const { id, method, remoteAddress, secure, body, signal } = raw;
  return {
    id,
    method,
    remoteAddress,
    secure,
    body,
    signal,
    target,
    parameters: new Parameters(target.parameters),
    headers,
    ...place,
    virtualHost: hosted !== undefined,
  };
}

/** The bucket that a host name stands for, or undefined where it is the endpoint itself. */
export function bucketOfHost(
  host: string | undefined,
  domains: readonly string[],
): string | undefined {
  if (host === undefined) return undefined;
  const name = host.replace(/:\d*$/, '').toLowerCase();
  for (const domain of domains) {
    if (name.endsWith(`.${domain}`)) return name.slice(0, -domain.length - 1);
  }
  return undefined;
}

/** The most bytes of a key in UTF-8. */
export const MAX_KEY_BYTES = 1024;

/**
 * Check a key: 1 to 1,024 bytes of any Unicode but NUL. Dots, slashes and empty segments mean nothing
 * special: a key is a name, not a path.
 *
 * @throws S3Error KeyTooLongError, InvalidURI.
 */
export function checkKey(key: string): string {
  const size = Buffer.byteLength(key);
  if (size > MAX_KEY_BYTES) {
    throw new S3Error('KeyTooLongError', undefined, {
      fields: { Size: String(size), MaxSizeAllowed: String(MAX_KEY_BYTES) },
    });
  }
  if (key === '' || key.includes('\0') || Buffer.from(key, 'utf8').toString('utf8') !== key) {
    throw new S3Error('InvalidURI', 'A key has 1 to 1,024 bytes of UTF-8, without NUL.');
  }
  return key;
}

function pathPlace(rawPath: string): { bucket?: string; key?: string } {
  const slash = rawPath.indexOf('/', 1);
  const bucket = uriDecode(slash < 0 ? rawPath.slice(1) : rawPath.slice(1, slash));
  const key = slash < 0 ? '' : uriDecode(rawPath.slice(slash + 1));
  if (bucket === undefined || key === undefined) throw new S3Error('InvalidURI');
  if (bucket === '') {
    if (key !== '')
      throw new S3Error('InvalidBucketName', undefined, { fields: { BucketName: '' } });
    return {};
  }
  return key === '' ? { bucket } : { bucket, key };
}

function hostPlace(bucket: string, path: string): { bucket: string; key?: string } {
  return path === '/' ? { bucket } : { bucket, key: path.slice(1) };
}
