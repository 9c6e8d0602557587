import { readFileSync } from 'node:fs';
import type { Clock, Logger } from '@granary/kad';
import type { Outcome, Service } from '../http/outcome.js';
import type { MetadataStore } from '../metadata/metadata-store.js';
import { type Pace, pacedBody } from '../s3/body/paced-body.js';
import type { S3Error } from '../s3/s3-error.js';
import { type RawRequest, parseHead } from '../s3/s3-request.js';
import type { S3Response } from '../s3/s3-response.js';
import type { Budget, RateLimiter } from '../users/rate-limiter.js';
import { rateLimitsOf } from '../users/rate-limits.js';
import type { OperationId } from './api.js';
import { Problem, toProblem } from './problem.js';
import { readInput } from './read-input.js';
import { type RestCaller, findCaller } from './rest-caller.js';
import type { RestContext, RestHandlers } from './rest-context.js';
import { API_PREFIX, type RawAnswer, type RouteSpec } from './route.js';
import { route, specOf } from './router.js';

/** What a {@link RestService} is made of. */
export interface RestServiceParts {
  readonly handlers: RestHandlers;
  readonly metadata: MetadataStore;
  readonly limiter: RateLimiter;
  /** Set where whoever asks runs the bridge, and needs no credentials. */
  readonly operator?: true;
  readonly pace: Pace;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Header fields of every answer. */
const ALWAYS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
const DOCUMENT_FILE = new URL('../../openapi.json', import.meta.url);

/** The request's ID, as it is in the log. */
const REQUEST_ID = 'x-granary-request-id';

type Seen = { -readonly [K in keyof Outcome]?: Outcome[K] };
type AnyHandler = (context: RestContext, input: unknown) => Promise<unknown>;

/** Answers requests of the REST API: everything between HTTP and the handlers. */
export class RestService implements Service {
  private document: string | undefined;

  constructor(private readonly parts: RestServiceParts) {}

  async handle(raw: RawRequest): Promise<Outcome> {
    const seen: Seen = {};
    try {
      const { headers, ...rest } = await this.answer(raw, seen);
      return { ...seen, response: { ...rest, headers: { ...headers, [REQUEST_ID]: raw.id } } };
    } catch (thrown) {
      return { ...seen, ...problemOutcome(toProblem(thrown), raw) };
    }
  }

  refuse(error: S3Error, about: Pick<RawRequest, 'id' | 'method'>): Outcome {
    return problemOutcome(toProblem(error), about);
  }

  private async answer(raw: RawRequest, seen: Seen): Promise<S3Response> {
    const { metadata, limiter, clock, operator, pace } = this.parts;
    const { headers, target } = parseHead(raw);
    const { method, rawPath } = { method: raw.method, rawPath: target.rawPath };
    if (method === 'GET' && rawPath === `${API_PREFIX}/openapi.json`) {
      seen.operation = 'rest.getDescription';
      return this.describe();
    }
    const { operation, params } = route(method, rawPath);
    const spec: RouteSpec = specOf(operation);
    seen.operation = `rest.${operation}`;
    if (params['bucket'] !== undefined) seen.bucket = params['bucket'];
    const key = target.parameters.find(([name]) => name === 'key')?.[1];
    if (key !== undefined && spec.tag === 'objects') seen.key = key;

    let caller: RestContext['caller'] = operator === true ? 'operator' : null;
    let budget: Budget | undefined;
    if (caller === null && spec.for !== 'anybody') {
      const found: RestCaller = await findCaller(headers, metadata, clock);
      seen.caller = found.caller;
      if (spec.for === 'admin' && !found.admin) {
        throw Problem.of('Forbidden', 'This is for admins.');
      }
      budget = limiter.admit(found.user.id, rateLimitsOf(found.user));
      caller = found;
    }
    const came = pacedBody(raw.body, pace, clock, raw.signal);
    const body = budget?.paced(came, raw.signal) ?? came;
    const input = await readInput(spec, { params, query: target.parameters, headers, body });
    const handler = this.parts.handlers[operation] as AnyHandler | undefined;
    if (handler === undefined) throw Problem.of('NoSuchOperation');
    const { id, remoteAddress, secure, signal } = raw;
    const context = { id, headers, remoteAddress, secure, body, signal, caller };
    return this.checked(operation, await handler(context, input), budget, signal);
  }

  /** What a handler answers with, if it is as described. */
  private checked(
    operation: OperationId,
    answered: unknown,
    budget: Budget | undefined,
    signal: AbortSignal,
  ): S3Response {
    const { status, answer, answerHeaders }: RouteSpec = specOf(operation);
    if (answer !== undefined && answer !== 'bytes') {
      const result = answer.safeParse(answered);
      if (!result.success) {
        throw new Error(`${operation} would answer with what is not described`, {
          cause: result.error,
        });
      }
      return {
        status,
        headers: { ...ALWAYS, 'content-type': 'application/json' },
        body: `${JSON.stringify(result.data)}\n`,
      };
    }
    if (answer === undefined && answerHeaders === undefined) return { status, headers: ALWAYS };
    const { status: own, headers, body } = answered as RawAnswer;
    return {
      status: own,
      headers: { ...ALWAYS, ...headers },
      ...(body !== undefined && { body: budget?.paced(body, signal) ?? body }),
    };
  }

  private describe(): S3Response {
    this.document ??= readFileSync(DOCUMENT_FILE, 'utf8');
    return {
      status: 200,
      headers: { ...ALWAYS, 'cache-control': 'no-cache', 'content-type': 'application/json' },
      body: this.document,
    };
  }
}

/** A problem as an answer. */
function problemOutcome(
  problem: Problem,
  { id, method }: Pick<RawRequest, 'id' | 'method'>,
): Outcome {
  const { status, code, title, message, headers, errors } = problem;
  const about = { ...ALWAYS, ...headers, [REQUEST_ID]: id };
  if (status === 304 || method === 'HEAD') {
    return { error: problem, response: { status, headers: about } };
  }
  const body = {
    type: `urn:problem-type:granary:${code}`,
    title,
    status,
    detail: message,
    code,
    requestId: id,
    ...(errors !== undefined && { errors }),
  };
  return {
    error: problem,
    response: {
      status,
      headers: { ...about, 'content-type': 'application/problem+json' },
      body: `${JSON.stringify(body)}\n`,
    },
  };
}
