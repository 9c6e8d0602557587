import { z } from 'zod';
import {
  type ZodOpenApiOperationObject,
  type ZodOpenApiResponseObject,
  createDocument,
} from 'zod-openapi';
import { api } from './api.js';
import { API_PREFIX, type RouteSpec } from './route.js';
import { problemSchema } from './schemas.js';

const BYTES = { schema: { type: 'string', format: 'binary' } } as const;
const PROBLEM = { 'application/problem+json': { schema: problemSchema } };
/** What everything may answer with, by who may ask. */
const ERRORS: Readonly<Record<RouteSpec['for'], readonly number[]>> = {
  anybody: [400, 500, 503],
  user: [400, 401, 403, 429, 500, 503],
  admin: [400, 401, 403, 429, 500, 503],
};
const MEANING: Readonly<Record<number, string>> = {
  400: 'The request is not as described',
  401: 'No credentials, or none that are good',
  403: 'These credentials may not do this, or a quota is used up',
  404: 'There is none',
  405: 'A delete marker has no bytes',
  408: 'The client was too slow',
  409: 'It is in the way of what is there',
  412: 'A condition does not hold',
  413: 'The body is too large',
  415: 'The body is of another type',
  416: 'The object has no such bytes',
  429: 'Too much was asked for of late: Retry-After says when to come back',
  500: 'Something went wrong that should not have',
  503: 'Not now: the network or the database is away, or too much is under way',
};

const RETRY_AFTER = z.object({
  'retry-after': z.string().meta({ description: 'Seconds' }),
});
/** Each is described once. */
const ERROR_ANSWERS: Readonly<Record<string, ZodOpenApiResponseObject>> = Object.fromEntries(
  Object.entries(MEANING).map(([code, description]) => [
    code,
    {
      id: `Problem${code}`,
      description,
      ...(code === '429' && { headers: RETRY_AFTER }),
      content: PROBLEM,
    },
  ]),
);

/** The OpenAPI 3.1 description of the REST API. */
export function openApiDocument(): ReturnType<typeof createDocument> {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const [operationId, spec] of Object.entries(api) as [string, RouteSpec][]) {
    (paths[spec.path] ??= {})[spec.method.toLowerCase()] = operationOf(operationId, spec);
  }
  return createDocument({
    openapi: '3.1.1',
    info: {
      title: 'Granary bridge',
      version: '1',
      description:
        'Objects, buckets, users and access keys of a Granary bridge. S3 is beside it at the same address.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: API_PREFIX }],
    security: [{ accessKey: [] }, { token: [] }],
    tags: ['objects', 'buckets', 'session', 'users', 'access keys', 'status'].map((name) => ({
      name,
    })),
    paths,
    components: {
      securitySchemes: {
        accessKey: {
          type: 'http',
          scheme: 'basic',
          description: 'An access key: its ID as the name, its secret as the password',
        },
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'The token of a session, or ID.SECRET of an access key',
        },
      },
    },
  });
}

function operationOf(operationId: string, spec: RouteSpec): ZodOpenApiOperationObject {
  const { params, query, headers, body, status, answer, answerHeaders, also = {} } = spec;
  const asHeaders = answerHeaders === undefined ? {} : { headers: answerHeaders };
  const content =
    answer === undefined
      ? {}
      : {
          content:
            answer === 'bytes'
              ? { 'application/octet-stream': BYTES }
              : { 'application/json': { schema: answer } },
        };
  const ofBody = body === undefined ? [] : body === 'bytes' ? [408, 413] : [408, 413, 415];
  const statuses = new Set([...ERRORS[spec.for], ...ofBody, ...spec.errors]);
  return {
    operationId,
    tags: [spec.tag],
    summary: spec.summary,
    ...(spec.description !== undefined && { description: spec.description }),
    ...(spec.for === 'anybody' && { security: [] }),
    requestParams: {
      ...(params !== undefined && { path: params }),
      ...(query !== undefined && { query }),
      ...(headers !== undefined && { header: headers }),
    },
    ...(body !== undefined && {
      requestBody: {
        required: true,
        content:
          body === 'bytes'
            ? { 'application/octet-stream': BYTES }
            : { 'application/json': { schema: body } },
      },
    }),
    responses: {
      [`${status}`]: { description: meaningOf(status), ...asHeaders, ...content },
      ...Object.fromEntries(
        Object.entries(also).map(([code, description]) => [
          code,
          code === '206' ? { description, ...asHeaders, ...content } : { description },
        ]),
      ),
      ...Object.fromEntries(
        [...statuses]
          .sort()
          .map((code) => [
            `${code}`,
            spec.method === 'HEAD' ? { description: MEANING[code]! } : ERROR_ANSWERS[code]!,
          ]),
      ),
    },
  } as ZodOpenApiOperationObject;
}

function meaningOf(status: RouteSpec['status']): string {
  return { 200: 'It is this', 201: 'Made', 204: 'Done' }[status];
}
