import type { z } from 'zod';
import type { HeaderList } from '../s3/header-list.js';
import { MAX_DOCUMENT_BYTES } from './api.js';
import { type Misfit, Problem } from './problem.js';
import type { RouteSpec } from './route.js';

/** Most misfits that are told of one request. */
const MOST_MISFITS = 20;

/** What a request sends, as it came. */
export interface RawInput {
  readonly params: Readonly<Record<string, string>>;
  readonly query: readonly (readonly [name: string, value: string])[];
  readonly headers: HeaderList;
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Check what a request sends against the description of its operation.
 *
 * @throws Problem InvalidDocument (all that does not fit), InvalidJson, UnsupportedMediaType,
 * DocumentTooLarge; what the body's stream throws.
 */
export async function readInput(
  { params, query, body }: RouteSpec,
  raw: RawInput,
): Promise<{ params: unknown; query: unknown; body: unknown }> {
  const misfits: Misfit[] = [];
  const values = {
    params: check(params, raw.params, 'path', misfits),
    query: check(query, parametersOf(query, raw.query, misfits), 'query', misfits),
    body: undefined as unknown,
  };
  if (misfits.length === 0 && body !== undefined && body !== 'bytes') {
    values.body = check(body, await readDocument(raw), 'body', misfits);
  }
  if (misfits.length === 0) return values;
  const [{ in: place, at, detail }] = misfits as [Misfit, ...Misfit[]];
  throw Problem.of('InvalidDocument', `In the ${place}, at "${at}": ${detail}`, {
    errors: misfits.slice(0, MOST_MISFITS),
  });
}

function check(
  schema: z.ZodType | undefined,
  value: unknown,
  place: Misfit['in'],
  misfits: Misfit[],
): unknown {
  if (schema === undefined) return undefined;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const { path, message } of result.error.issues) {
    const at = path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`);
    misfits.push({ in: place, at: at.join(''), detail: message });
  }
  return undefined;
}

function parametersOf(
  schema: RouteSpec['query'],
  list: RawInput['query'],
  misfits: Misfit[],
): Record<string, string> {
  // Names come from outside: no prototype to be met.
  const values = Object.create(null) as Record<string, string>;
  for (const [name, value] of list) {
    const at = `/${name.slice(0, 100)}`;
    if (schema === undefined) {
      misfits.push({ in: 'query', at, detail: 'There is no such parameter.' });
    } else if (name in values) misfits.push({ in: 'query', at, detail: 'It is there twice.' });
    else values[name] = value;
  }
  return { ...values };
}

async function readDocument({ headers, body }: RawInput): Promise<unknown> {
  const type = headers.get('content-type')?.split(';')[0]!.trim().toLowerCase();
  if (type !== 'application/json') {
    throw Problem.of(
      'UnsupportedMediaType',
      'Send a JSON document: Content-Type: application/json.',
    );
  }
  const tooLarge = () =>
    Problem.of('DocumentTooLarge', `A document has at most ${MAX_DOCUMENT_BYTES} bytes.`);
  if (Number(headers.get('content-length') ?? 0) > MAX_DOCUMENT_BYTES) throw tooLarge();
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of body) {
    size += part.length;
    if (size > MAX_DOCUMENT_BYTES) throw tooLarge();
    parts.push(Uint8Array.from(part));
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts)));
  } catch (error) {
    throw Problem.of('InvalidJson', undefined, { cause: error });
  }
}
