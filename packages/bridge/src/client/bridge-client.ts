import createClient, { type Client, type Middleware } from 'openapi-fetch';
import { BridgeProblem, type ProblemDocument } from './bridge-problem.js';
import type { paths } from './generated/api-types.js';

/** Where the REST API of a bridge begins. */
const API_PREFIX = '/_granary/v1';

/** What proves who asks. */
export type BridgeCredentials =
  | { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** From `POST /session`. */
  | { readonly token: string };

/** What a client is made of. */
export interface BridgeClientOptions {
  /** The address of the bridge, such as `http://127.0.0.1:9000`. */
  readonly url: string;
  /** Without them, only what is for anybody can be asked. */
  readonly credentials?: BridgeCredentials;
  /** The platform's `fetch` when not given. */
  readonly fetch?: (request: Request) => Promise<Response>;
}

/** A client of the REST API, with the types of its description. */
export type BridgeClient = Client<paths>;

/**
 * Make a client of a bridge's REST API.
 *
 * @throws TypeError when the URL is none. What requests throw is the platform's; what the bridge
 * refuses is in the result: see {@link answerOf}.
 */
export function createBridgeClient({ url, credentials, fetch }: BridgeClientOptions): BridgeClient {
  const client = createClient<paths>({
    baseUrl: new URL(API_PREFIX, url).href,
    bodySerializer: (body) => (isBytes(body) ? body : JSON.stringify(body)),
    // Bodies may be streams.
    ...({ duplex: 'half' } as object),
    ...(fetch !== undefined && { fetch }),
  });
  if (credentials !== undefined) client.use(signing(credentials));
  return client;
}

/**
 * What the bridge answered with.
 *
 * @throws BridgeProblem when it refused.
 * @example
 * const user = answerOf(await client.GET('/users/{user}', { params: { path: { user: 'me' } } }));
 */
export function answerOf<D>(result: {
  readonly data?: D;
  readonly error?: unknown;
  readonly response: Response;
}): D {
  const { data, error, response } = result;
  if (response.ok) return data as D;
  throw new BridgeProblem(response.status, error as ProblemDocument | undefined);
}

function signing(credentials: BridgeCredentials): Middleware {
  const field =
    'token' in credentials
      ? `Bearer ${credentials.token}`
      : `Basic ${btoa(`${credentials.accessKeyId}:${credentials.secretAccessKey}`)}`;
  return {
    onRequest({ request }) {
      request.headers.set('authorization', field);
      return request;
    },
  };
}

function isBytes(body: unknown): body is Uint8Array {
  return body instanceof Uint8Array || body instanceof ReadableStream || body instanceof Blob;
}
