import { uriDecode } from '../s3/uri-encoding.js';
import { type Api, type OperationId, api } from './api.js';
import { Problem } from './problem.js';
import { API_PREFIX } from './route.js';

/** An operation that a request asks for, and the parameters of its path. */
export interface Routed {
  readonly operation: OperationId;
  readonly params: Readonly<Record<string, string>>;
}

const ROUTES = (Object.keys(api) as OperationId[]).map((operation) => ({
  operation,
  method: api[operation].method as string,
  segments: api[operation].path.split('/').slice(1),
}));

/** Whether a path is the REST API's. */
export function isApiPath(rawPath: string): boolean {
  return rawPath === API_PREFIX || rawPath.startsWith(`${API_PREFIX}/`);
}

/**
 * Find the operation of a request. Nothing is normalised: a path that is not written as it is described
 * is none.
 *
 * @param rawPath - still encoded
 * @throws Problem NoSuchOperation, MethodNotAllowed.
 */
export function route(method: string, rawPath: string): Routed {
  const segments = rawPath.slice(API_PREFIX.length).split('/').slice(1);
  const allowed: string[] = [];
  for (const candidate of ROUTES) {
    const params = match(candidate.segments, segments);
    if (params === undefined) continue;
    if (candidate.method === method) return { operation: candidate.operation, params };
    allowed.push(candidate.method);
  }
  if (allowed.length === 0) {
    throw Problem.of('NoSuchOperation', `What there is, is at ${API_PREFIX}/openapi.json.`);
  }
  throw Problem.of('MethodNotAllowed', `There are ${allowed.join(', ')}.`, {
    headers: { allow: allowed.join(', ') },
  });
}

function match(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, part] of pattern.entries()) {
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    const segment = segments[i]!;
    if (name === undefined) {
      if (segment !== part) return undefined;
      continue;
    }
    const value = uriDecode(segment);
    if (value === undefined || value === '') return undefined;
    params[name] = value;
  }
  return params;
}

/** The description of an operation. */
export function specOf<K extends OperationId>(operation: K): Api[K] {
  return api[operation];
}
