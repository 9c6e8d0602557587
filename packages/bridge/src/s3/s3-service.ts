import { pacedBy } from '../users/rate-limiter.js';
import { type RateLimits, rateLimitsOf } from '../users/rate-limits.js';
import { parseAcl } from './access/acl.js';
import type { Outcome, Service } from '../http/outcome.js';
import { Authenticator } from './authenticator.js';
import { type BodyPlan, planBody } from './body/body-plan.js';
import { type Pace, pacedBody } from './body/paced-body.js';
import { Call } from './call.js';
import { type CorsRule, corsHeaders } from './cors.js';
import { errorResponse, toS3Error } from './error-response.js';
import { operationOf } from './operation.js';
import { handlerOf } from './operations/all-handlers.js';
import { postObject } from './operations/post-object.js';
import { S3Error } from './s3-error.js';
import type { S3Deps } from './s3-deps.js';
import { type RawRequest, type S3Request, parseRequest } from './s3-request.js';
import { type S3Response, emptyResponse } from './s3-response.js';

type Seen = { -readonly [K in keyof Outcome]?: Outcome[K] };

/** Answers requests of S3: everything between HTTP and the stores. */
export class S3Service implements Service {
  private readonly authenticator: Authenticator;

  /**
   * @param domains - base domains of virtual-hosted style
   * @param pace - how slowly clients may send
   */
  constructor(
    private readonly deps: S3Deps,
    private readonly domains: readonly string[],
    private readonly pace: Pace,
  ) {
    this.authenticator = new Authenticator(deps.metadata, deps.region, deps.clock);
  }

  /** Answer a request. Never throws: what goes wrong is an answer, too. */
  async handle(raw: RawRequest): Promise<Outcome> {
    const seen: Seen = {};
    let request: S3Request | undefined;
    let response: S3Response;
    try {
      const body = pacedBody(raw.body, this.pace, this.deps.clock, raw.signal);
      request = parseRequest({ ...raw, body }, this.domains);
      if (request.bucket !== undefined) seen.bucket = request.bucket;
      if (request.key !== undefined) seen.key = request.key;
      response = await this.answer(request, seen);
    } catch (thrown) {
      const error = toS3Error(thrown);
      seen.error = error;
      const [resource] = raw.url.split('?');
      response = errorResponse(error, { id: raw.id, method: raw.method, resource: resource! });
    }
    const cors = request === undefined ? {} : await this.corsOf(request);
    const headers = {
      ...response.headers,
      ...cors,
      'x-amz-request-id': raw.id,
      'x-amz-id-2': raw.id,
    };
    return { ...seen, response: { ...response, headers } };
  }

  refuse(error: S3Error, { id, method }: Pick<RawRequest, 'id' | 'method'>): Outcome {
    return { error, response: errorResponse(error, { id, method, resource: '/' }) };
  }

  private async answer(request: S3Request, seen: Seen): Promise<S3Response> {
    if (request.method === 'OPTIONS') {
      seen.operation = 'Preflight';
      return this.preflight(request);
    }
    const operation = operationOf(request);
    seen.operation = operation;
    const found = await this.authenticator.authenticate(request);
    if (found !== undefined) seen.caller = found.caller;
    const { limiter } = this.deps;
    const limits =
      found === undefined
        ? await this.hostLimits(request)
        : { userId: found.caller.userId, ...found.limits };
    let budget = limits && limiter.admit(limits.userId, limits);
    const body =
      operation === 'PostObject'
        ? pacedBy(request.body, () => budget, request.signal)
        : (budget?.paced(request.body, request.signal) ?? request.body);
    const call = new Call({
      deps: this.deps,
      request: { ...request, body },
      operation,
      caller: found?.caller ?? null,
      signedBy: found?.how ?? null,
      plan: planOf(request, found?.payload),
      ...(found !== undefined && { signer: found.signer }),
    });
    if (operation === 'PostObject') {
      return postObject(call, async (accessKeyId) => {
        const by = await this.authenticator.findCaller(accessKeyId);
        seen.caller = by.caller;
        budget = limiter.admit(by.caller.userId, by.limits);
        return by;
      });
    }
    const response = await handlerOf(operation)(call);
    if (budget === undefined || typeof response.body !== 'object') return response;
    return { ...response, body: budget.paced(response.body, request.signal) };
  }

  /**
   * Whoever does not sign spends what the bucket's owner may: bytes, and requests where the owner lets
   * anybody in, since else everybody could use them up.
   */
  private async hostLimits({
    bucket: name,
  }: S3Request): Promise<(RateLimits & { userId: string }) | undefined> {
    if (name === undefined || name.length > 255) return undefined;
    const bucket = await this.deps.metadata.bucket(name);
    if (bucket === undefined) return undefined;
    const owner = await this.deps.metadata.user(bucket.owner);
    if (owner === undefined) return undefined;
    const { requests, bytes } = rateLimitsOf(owner);
    const { acl, policy } = bucket.documents;
    const closed = policy === undefined && parseAcl(acl) === 'private';
    return { userId: owner.id, requests: closed ? null : requests, bytes };
  }

  private async preflight(request: S3Request): Promise<S3Response> {
    const { headers, bucket } = request;
    const origin = headers.get('origin');
    const method = headers.get('access-control-request-method');
    if (origin === undefined || method === undefined) {
      throw new S3Error('BadRequest', 'Insufficient information. Origin request header needed.');
    }
    const wanted = (headers.get('access-control-request-headers') ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
    const rules = bucket === undefined ? undefined : await this.rulesOf(bucket);
    const answer = rules && corsHeaders(rules, { origin, method, headers: wanted }, true);
    if (answer === undefined) {
      throw new S3Error(
        'AccessDenied',
        rules === undefined
          ? 'CORSResponse: CORS is not enabled for this bucket.'
          : "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
      );
    }
    return emptyResponse(200, answer);
  }

  /** What lets a browser's page have an answer. */
  private async corsOf({ headers, bucket, method }: S3Request): Promise<Record<string, string>> {
    const origin = headers.get('origin');
    if (origin === undefined || bucket === undefined || method === 'OPTIONS') return {};
    try {
      const rules = await this.rulesOf(bucket);
      return (rules && corsHeaders(rules, { origin, method, headers: [] }, false)) ?? {};
    } catch {
      // The answer itself is more than whom a browser may show it to.
      return {};
    }
  }

  private async rulesOf(bucket: string): Promise<readonly CorsRule[] | undefined> {
    if (bucket.length > 255) return undefined;
    const found = await this.deps.metadata.bucket(bucket);
    return (found?.documents['cors'] ?? undefined) as readonly CorsRule[] | undefined;
  }
}

function planOf(request: S3Request, payload: Parameters<typeof planBody>[1]): BodyPlan {
  // Of a form, only its parts are checked.
  if (request.method === 'POST' && request.key === undefined && payload === undefined) {
    return { length: Number.MAX_SAFE_INTEGER, open: true };
  }
  return planBody(request.headers, payload);
}
