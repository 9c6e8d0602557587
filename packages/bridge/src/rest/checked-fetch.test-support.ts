import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

interface Content {
  readonly schema: object;
}
interface Answer {
  readonly $ref?: string;
  readonly content?: Readonly<Record<string, Content>>;
  readonly headers?: Readonly<Record<string, { readonly required?: boolean }>>;
}
interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, Answer>>;
}

/** The description as it is committed and served. */
export const description = JSON.parse(
  readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8'),
) as {
  readonly servers: readonly [{ readonly url: string }];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly responses: Readonly<Record<string, Answer>> };
};

const ajv = new Ajv2020({ strict: false, allErrors: true });
(addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
ajv.addSchema(description, 'api');

const prefix = description.servers[0].url;
const patterns = Object.keys(description.paths).map((path) => ({
  path,
  pattern: new RegExp(`^${prefix}${path.replace(/\{\w+\}/g, '[^/]+')}$`),
}));
const validators = new Map<string, ValidateFunction>();

/**
 * `fetch` that throws where an answer is not as the description says: status, type, header fields,
 * document. Another validator than the bridge's own looks at it.
 */
export async function checkedFetch(request: Request): Promise<Response> {
  const response = await fetch(request);
  const { pathname } = new URL(request.url);
  const { path } = patterns.find(({ pattern }) => pattern.test(pathname)) ?? {};
  const method = request.method.toLowerCase();
  const operation = path === undefined ? undefined : description.paths[path]![method];
  if (path === undefined || operation === undefined) return response;
  const wrong = (what: string) =>
    new Error(`${operation.operationId} answered ${response.status}: ${what}`);
  const given = operation.responses[response.status];
  if (given === undefined) throw wrong(`not described; ${await response.text()}`);
  if (!response.headers.has('x-granary-request-id')) throw wrong('without its ID');
  const where = given.$ref?.split('/').at(-1);
  const answer = where === undefined ? given : description.components.responses[where]!;
  for (const [name, { required }] of Object.entries(answer.headers ?? {})) {
    if (required === true && !response.headers.has(name)) throw wrong(`without ${name}`);
  }
  if (answer.content === undefined) {
    const text = await response.clone().text();
    if (text !== '') throw wrong(`with a body: ${text}`);
    return response;
  }
  const type = response.headers.get('content-type') ?? '';
  if ('application/octet-stream' in answer.content) return response;
  if (!(type in answer.content)) throw wrong(`of type ${type}`);
  const pointer =
    where === undefined
      ? ['paths', path, method, 'responses', `${response.status}`]
      : ['components', 'responses', where];
  const steps = [...pointer, 'content', type, 'schema'];
  const ref = `api#/${steps.map((step) => encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
  const validate = validators.get(ref) ?? ajv.compile({ $ref: ref });
  validators.set(ref, validate);
  const document: unknown = await response.clone().json();
  if (!validate(document)) throw wrong(ajv.errorsText(validate.errors));
  return response;
}
