import { S3Error } from './s3-error.js';
import { readXml } from './xml-reader.js';
import { S3_NAMESPACE, optional, writeXml, xml } from './xml-writer.js';

/** A rule of a CORS configuration. Origins and headers may have one `*` each. */
export interface CorsRule {
  readonly id?: string;
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  readonly headers: readonly string[];
  readonly expose: readonly string[];
  readonly maxAge?: number;
}

const METHODS = new Set(['GET', 'PUT', 'HEAD', 'POST', 'DELETE']);
const MAX_RULES = 100;

/** Read a `CORSConfiguration`. @throws S3Error MalformedXML, InvalidRequest. */
export function readCors(bytes: Uint8Array): CorsRule[] {
  const rules = readXml(bytes, 'CORSConfiguration').all('CORSRule');
  if (rules.length === 0 || rules.length > MAX_RULES) {
    throw new S3Error('MalformedXML', `A CORSConfiguration has 1 to ${MAX_RULES} rules.`);
  }
  return rules.map((rule) => {
    const texts = (name: string) => rule.all(name).map(({ text }) => text.trim());
    const [origins, methods, headers] = ['AllowedOrigin', 'AllowedMethod', 'AllowedHeader'].map(
      texts,
    );
    if (origins!.length === 0 || methods!.length === 0) throw new S3Error('MalformedXML');
    const wrong = methods!.find((method) => !METHODS.has(method));
    if (wrong !== undefined) {
      throw new S3Error(
        'InvalidRequest',
        `Found unsupported HTTP method in CORS config. Unsupported method is ${wrong.slice(0, 20)}`,
      );
    }
    for (const pattern of [...origins!, ...headers!]) {
      if (pattern.split('*').length > 2) {
        throw new S3Error(
          'InvalidRequest',
          `"${pattern.slice(0, 100)}" can not have more than one wildcard.`,
        );
      }
    }
    const id = rule.textOf('ID');
    const maxAge = rule.textOf('MaxAgeSeconds');
    if (maxAge !== undefined && !/^\d{1,9}$/.test(maxAge)) throw new S3Error('MalformedXML');
    return {
      ...(id !== undefined && { id }),
      origins: origins!,
      methods: methods!,
      headers: headers!,
      expose: texts('ExposeHeader'),
      ...(maxAge !== undefined && { maxAge: Number(maxAge) }),
    };
  });
}

/** Write a `CORSConfiguration`. */
export function writeCors(rules: readonly CorsRule[]): string {
  return writeXml(
    xml(
      'CORSConfiguration',
      rules.map((rule) =>
        xml('CORSRule', [
          optional('ID', rule.id),
          rule.headers.map((header) => xml('AllowedHeader', header)),
          rule.methods.map((method) => xml('AllowedMethod', method)),
          rule.origins.map((origin) => xml('AllowedOrigin', origin)),
          rule.expose.map((header) => xml('ExposeHeader', header)),
          optional('MaxAgeSeconds', rule.maxAge),
        ]),
      ),
      { xmlns: S3_NAMESPACE },
    ),
  );
}

/** What a browser asks. */
export interface CorsQuestion {
  readonly origin: string;
  readonly method: string;
  /** Header fields that it wants to send; none for a request that is not a preflight. */
  readonly headers: readonly string[];
}

/**
 * Header fields that let a browser have the answer, by the first rule that fits; undefined where none
 * does.
 */
export function corsHeaders(
  rules: readonly CorsRule[],
  { origin, method, headers }: CorsQuestion,
  preflight: boolean,
): Record<string, string> | undefined {
  for (const rule of rules) {
    const allowed = rule.origins.find((pattern) => fits(pattern, origin));
    if (allowed === undefined || !rule.methods.includes(method)) continue;
    const all = headers.every((header) =>
      rule.headers.some((pattern) => fits(pattern.toLowerCase(), header.toLowerCase())),
    );
    if (!all) continue;
    const any = allowed === '*';
    return {
      'access-control-allow-origin': any ? '*' : origin,
      ...(!any && { 'access-control-allow-credentials': 'true' }),
      'access-control-allow-methods': rule.methods.join(', '),
      ...(rule.expose.length > 0 && { 'access-control-expose-headers': rule.expose.join(', ') }),
      ...(preflight &&
        headers.length > 0 && { 'access-control-allow-headers': headers.join(', ').toLowerCase() }),
      ...(preflight &&
        rule.maxAge !== undefined && { 'access-control-max-age': String(rule.maxAge) }),
      vary: 'Origin, Access-Control-Request-Headers, Access-Control-Request-Method',
    };
  }
  return undefined;
}

function fits(pattern: string, text: string): boolean {
  const star = pattern.indexOf('*');
  if (star < 0) return pattern === text;
  const [head, tail] = [pattern.slice(0, star), pattern.slice(star + 1)];
  return text.length >= head.length + tail.length && text.startsWith(head) && text.endsWith(tail);
}
