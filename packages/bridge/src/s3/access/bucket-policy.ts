import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import { S3Error } from '../s3-error.js';
import type { Action } from './actions.js';
import { fitsWildcard } from './wildcard.js';

/** Who asks, as policies see it. */
export interface Principal {
  readonly userId: string;
  readonly userName: string;
}

/** A question put to a policy. */
export interface PolicyQuestion {
  /** Null: not signed. */
  readonly principal: Principal | null;
  readonly action: Action;
  readonly bucket: string;
  readonly key?: string;
  /** Values of condition keys, by name in lower case. */
  readonly context: Readonly<Record<string, string | undefined>>;
}

/** What a policy says: a deny goes before every allow; null: nothing. */
export type PolicyVerdict = 'allow' | 'deny' | null;

const oneOrMore = z
  .union([z.string(), z.array(z.string()).min(1)])
  .transform((value) => (typeof value === 'string' ? [value] : value));
const principalSchema = z
  .union([z.literal('*'), z.strictObject({ AWS: oneOrMore })])
  .transform((value) => (value === '*' ? ['*'] : value.AWS));
const conditionValue = z
  .union([
    z.string(),
    z.boolean(),
    z.number(),
    z.array(z.union([z.string(), z.boolean(), z.number()])),
  ])
  .transform((value) => (Array.isArray(value) ? value : [value]).map(String));
const statementSchema = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Principal: principalSchema.optional(),
  NotPrincipal: principalSchema.optional(),
  Action: oneOrMore.optional(),
  NotAction: oneOrMore.optional(),
  Resource: oneOrMore.optional(),
  NotResource: oneOrMore.optional(),
  Condition: z.record(z.string(), z.record(z.string(), conditionValue)).optional(),
});
const policySchema = z.strictObject({
  Version: z.enum(['2012-10-17', '2008-10-17']).optional(),
  Id: z.string().optional(),
  Statement: z
    .union([statementSchema, z.array(statementSchema).min(1)])
    .transform((value) => (Array.isArray(value) ? value : [value])),
});

type Statement = z.output<typeof statementSchema>;

/** A bucket policy that was checked. */
export type BucketPolicy = z.output<typeof policySchema>;

/** The most bytes of a policy. */
export const MAX_POLICY_BYTES = 20 * 1024;

/** Condition keys that a request has values for; others are refused, so that none is overlooked. */
const KEYS = new Set([
  'aws:currenttime',
  'aws:referer',
  'aws:securetransport',
  'aws:sourceip',
  'aws:useragent',
  'aws:userid',
  'aws:username',
  's3:authtype',
  's3:delimiter',
  's3:max-keys',
  's3:prefix',
  's3:signatureversion',
  's3:versionid',
  's3:x-amz-acl',
  's3:x-amz-content-sha256',
  's3:x-amz-copy-source',
  's3:x-amz-metadata-directive',
  's3:x-amz-server-side-encryption',
  's3:x-amz-server-side-encryption-customer-algorithm',
  's3:x-amz-storage-class',
]);
const TAG_KEYS = ['s3:existingobjecttag/', 's3:requestobjecttag/'];

type Test = (value: string, wanted: string) => boolean;
const equal: Test = (value, wanted) => value === wanted;
const sameLetters: Test = (value, wanted) => value.toLowerCase() === wanted.toLowerCase();
const like: Test = (value, wanted) => fitsWildcard(wanted, value);
const number =
  (test: (a: number, b: number) => boolean): Test =>
  (value, wanted) =>
    value.trim() !== '' && test(Number(value), Number(wanted));
const date =
  (test: (a: number, b: number) => boolean): Test =>
  (value, wanted) =>
    test(timeOf(value), timeOf(wanted));

/** Operators; those that are the opposite of another are told by `negated`. */
const OPERATORS: Readonly<Record<string, { readonly test: Test; readonly negated?: true }>> = {
  StringEquals: { test: equal },
  StringNotEquals: { test: equal, negated: true },
  StringEqualsIgnoreCase: { test: sameLetters },
  StringNotEqualsIgnoreCase: { test: sameLetters, negated: true },
  StringLike: { test: like },
  StringNotLike: { test: like, negated: true },
  NumericEquals: { test: number((a, b) => a === b) },
  NumericNotEquals: { test: number((a, b) => a === b), negated: true },
  NumericLessThan: { test: number((a, b) => a < b) },
  NumericLessThanEquals: { test: number((a, b) => a <= b) },
  NumericGreaterThan: { test: number((a, b) => a > b) },
  NumericGreaterThanEquals: { test: number((a, b) => a >= b) },
  DateEquals: { test: date((a, b) => a === b) },
  DateNotEquals: { test: date((a, b) => a === b), negated: true },
  DateLessThan: { test: date((a, b) => a < b) },
  DateLessThanEquals: { test: date((a, b) => a <= b) },
  DateGreaterThan: { test: date((a, b) => a > b) },
  DateGreaterThanEquals: { test: date((a, b) => a >= b) },
  Bool: { test: sameLetters },
  IpAddress: { test: inNetwork },
  NotIpAddress: { test: inNetwork, negated: true },
};

/**
 * Check a policy document. What this bridge does not understand is refused, since to overlook it
 * would let somebody in or keep somebody out.
 *
 * @throws S3Error MalformedPolicy that says what is wrong.
 */
export function parsePolicy(text: string, bucket: string): BucketPolicy {
  if (Buffer.byteLength(text) > MAX_POLICY_BYTES) {
    throw malformed(`it is larger than ${MAX_POLICY_BYTES} bytes`);
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw malformed('it is not JSON');
  }
  const result = policySchema.safeParse(document);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw malformed(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong'}`);
  }
  for (const statement of result.data.Statement) checkStatement(statement, bucket);
  return result.data;
}

function checkStatement(statement: Statement, bucket: string): void {
  const exactlyOne = (a: unknown, b: unknown, name: string) => {
    if ((a === undefined) === (b === undefined)) {
      throw malformed(`a statement has one of ${name} and Not${name}`);
    }
  };
  exactlyOne(statement.Principal, statement.NotPrincipal, 'Principal');
  exactlyOne(statement.Action, statement.NotAction, 'Action');
  exactlyOne(statement.Resource, statement.NotResource, 'Resource');
  for (const action of [...(statement.Action ?? []), ...(statement.NotAction ?? [])]) {
    if (action !== '*' && !/^s3:[A-Za-z*?]+$/i.test(action)) {
      throw malformed(`"${action.slice(0, 100)}" is not an action of S3`);
    }
  }
  for (const resource of [...(statement.Resource ?? []), ...(statement.NotResource ?? [])]) {
    const name = resourceOf(resource);
    if (name === undefined || !(name === bucket || name.startsWith(`${bucket}/`))) {
      throw malformed('policy has invalid resource: it is not of this bucket');
    }
  }
  for (const [operator, conditions] of Object.entries(statement.Condition ?? {})) {
    if (operatorOf(operator) === undefined) {
      throw malformed(`the condition operator "${operator.slice(0, 50)}" is not supported`);
    }
    for (const [key, wanted] of Object.entries(conditions)) {
      const lower = key.toLowerCase();
      if (!KEYS.has(lower) && !TAG_KEYS.some((begin) => lower.startsWith(begin))) {
        throw malformed(`the condition key "${key.slice(0, 100)}" is not supported`);
      }
      const network = /^(Not)?IpAddress(IfExists)?$/.test(operator);
      const wrong = network ? wanted.find((value) => networkOf(value) === undefined) : undefined;
      if (wrong !== undefined) throw malformed(`"${wrong.slice(0, 50)}" is not a network`);
    }
  }
}

/** What a policy says to a question. Pure. */
export function evaluatePolicy(policy: BucketPolicy, question: PolicyQuestion): PolicyVerdict {
  let verdict: PolicyVerdict = null;
  for (const statement of policy.Statement) {
    if (!applies(statement, question)) continue;
    if (statement.Effect === 'Deny') return 'deny';
    verdict = 'allow';
  }
  return verdict;
}

/** Whether a policy lets everybody do something, whatever the request looks like. */
export function isPublic(policy: BucketPolicy): boolean {
  return policy.Statement.some(
    ({ Effect, Principal, NotPrincipal, Condition }) =>
      Effect === 'Allow' &&
      (Principal?.includes('*') === true || NotPrincipal !== undefined) &&
      (Condition === undefined || Object.keys(Condition).length === 0),
  );
}

function applies(statement: Statement, question: PolicyQuestion): boolean {
  const { principal, action, bucket, key, context } = question;
  const who = (names: readonly string[]) => names.some((name) => isPrincipal(name, principal));
  if (
    statement.Principal !== undefined ? !who(statement.Principal) : who(statement.NotPrincipal!)
  ) {
    return false;
  }
  const what = (patterns: readonly string[]) =>
    patterns.some((pattern) => fitsWildcard(pattern.toLowerCase(), action.toLowerCase()));
  if (statement.Action !== undefined ? !what(statement.Action) : what(statement.NotAction!)) {
    return false;
  }
  const name = key === undefined ? bucket : `${bucket}/${key}`;
  const where = (patterns: readonly string[]) =>
    patterns.some((pattern) => fitsWildcard(resourceOf(pattern)!, name));
  if (
    statement.Resource !== undefined ? !where(statement.Resource) : where(statement.NotResource!)
  ) {
    return false;
  }
  return Object.entries(statement.Condition ?? {}).every(([operator, conditions]) =>
    Object.entries(conditions).every(([condition, wanted]) =>
      holds(operator, context[condition.toLowerCase()], wanted),
    ),
  );
}

function holds(operator: string, value: string | undefined, wanted: readonly string[]): boolean {
  if (operator === 'Null') return wanted.includes(String(value === undefined));
  const { test, negated, ifExists } = operatorOf(operator)!;
  if (value === undefined) return ifExists || negated === true;
  const any = wanted.some((one) => test(value, one));
  return negated === true ? !any : any;
}

function operatorOf(name: string): { test: Test; negated?: true; ifExists: boolean } | undefined {
  if (name === 'Null') return { test: equal, ifExists: false };
  const ifExists = name.endsWith('IfExists');
  const base = ifExists ? name.slice(0, -'IfExists'.length) : name;
  return Object.hasOwn(OPERATORS, base) ? { ...OPERATORS[base]!, ifExists } : undefined;
}

/** A principal is `*`, a user's ID or name, or an ARN that ends in one of them. */
function isPrincipal(name: string, principal: Principal | null): boolean {
  if (name === '*') return true;
  if (principal === null) return false;
  const { userId, userName } = principal;
  const arn = /^arn:aws:iam::([^:]*):(?:user\/(.+)|root)$/.exec(name);
  if (arn === null) return name === userId || name === userName;
  const [, account, user] = arn;
  if (user === undefined) return account === userId;
  return (account === '' || account === userId) && (user === userName || user === userId);
}

function resourceOf(arn: string): string | undefined {
  const prefix = 'arn:aws:s3:::';
  return arn.startsWith(prefix) ? arn.slice(prefix.length) : undefined;
}

function networkOf(text: string): BlockList | undefined {
  const [address, bits, more] = text.split('/');
  const family = isIP(address!);
  const most = family === 4 ? 32 : 128;
  if (family === 0 || more !== undefined) return undefined;
  if (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= most)) return undefined;
  const list = new BlockList();
  list.addSubnet(
    address!,
    bits === undefined ? most : Number(bits),
    family === 4 ? 'ipv4' : 'ipv6',
  );
  return list;
}

function inNetwork(value: string, wanted: string): boolean {
  const address = value.replace(/^::ffff:(?=\d+\.)/i, '');
  const family = isIP(address);
  return family !== 0 && networkOf(wanted)?.check(address, family === 4 ? 'ipv4' : 'ipv6') === true;
}

function timeOf(text: string): number {
  return /^\d{1,12}$/.test(text) ? Number(text) * 1000 : Date.parse(text);
}

function malformed(why: string): S3Error {
  return new S3Error('MalformedPolicy', `This policy can't be used: ${why}.`);
}
