import { z } from 'zod';
import { S3Error } from '../s3-error.js';
import { parseAmzDate } from './amz-date.js';
import { ALGORITHM, type SigningScope, sameSignature, sign, signingKey } from './signing-key.js';

/** What a form claims to be signed by. */
export interface FormClaim {
  readonly accessKeyId: string;
  readonly scope: SigningScope;
  readonly signature: string;
  /** The policy as it was signed, in base64. */
  readonly policy: string;
}

const condition = z.union([
  z.record(z.string(), z.string()),
  z.tuple([z.enum(['eq', 'starts-with']), z.string(), z.string()]),
  z.tuple([
    z.literal('content-length-range'),
    z.coerce.number().int().min(0),
    z.coerce.number().int(),
  ]),
]);
const policySchema = z.strictObject({
  expiration: z.string(),
  conditions: z.array(condition).max(200),
});

/** Fields that a policy need not name. */
const FREE = new Set([
  'policy',
  'x-amz-signature',
  'file',
  'submit',
  'x-amz-checksum-crc32',
  'x-amz-checksum-crc32c',
  'x-amz-checksum-crc64nvme',
  'x-amz-checksum-sha1',
  'x-amz-checksum-sha256',
]);

/**
 * Find out what a form claims to be signed by.
 *
 * @param fields - by name in lower case
 * @returns undefined for an anonymous form
 * @throws S3Error InvalidArgument, InvalidRequest.
 */
export function parseFormClaim(fields: ReadonlyMap<string, string>): FormClaim | undefined {
  if (fields.has('awsaccesskeyid') || fields.has('signature')) {
    throw new S3Error(
      'InvalidRequest',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    );
  }
  const policy = fields.get('policy');
  const signature = fields.get('x-amz-signature');
  if (policy === undefined && signature === undefined) return undefined;
  const field = (name: string) => {
    const value = fields.get(name);
    if (value === undefined || value === '') {
      throw new S3Error('InvalidArgument', `Bucket POST must contain a field named '${name}'.`, {
        fields: { ArgumentName: name },
      });
    }
    return value;
  };
  if (field('x-amz-algorithm') !== ALGORITHM) {
    throw new S3Error(
      'InvalidRequest',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    );
  }
  const parts = field('x-amz-credential').split('/');
  const [day, region, service, end] = parts.slice(-4);
  const date = field('x-amz-date');
  const wrong =
    parts.length < 5 ||
    end !== 'aws4_request' ||
    service !== 's3' ||
    parseAmzDate(date) === undefined ||
    date.slice(0, 8) !== day;
  if (wrong) {
    throw new S3Error('InvalidArgument', 'x-amz-credential or x-amz-date is malformed.', {
      fields: { ArgumentName: 'x-amz-credential' },
    });
  }
  return {
    accessKeyId: parts.slice(0, -4).join('/'),
    scope: { day: day!, region: region!, service: service! },
    signature: field('x-amz-signature'),
    policy: field('policy'),
  };
}

/** Verify a form's signature, which is over its policy. @throws S3Error SignatureDoesNotMatch, AccessDenied. */
export function verifyForm(
  { scope, signature, policy }: FormClaim,
  secret: string,
  region: string,
): void {
  if (scope.region !== region) {
    throw new S3Error(
      'AccessDenied',
      `The form is signed for the region ${scope.region}; this is ${region}.`,
    );
  }
  const ours = sign(signingKey(secret, scope), policy);
  if (!sameSignature(ours, signature)) throw new S3Error('SignatureDoesNotMatch');
}

/** The bounds that a form's policy sets on its file. */
export interface FormLimits {
  /** Bytes. */
  readonly least: number;
  readonly most: number;
}

/**
 * Check a form against its policy: every condition holds, and every field is named by one.
 *
 * @param fields - by name in lower case, `bucket` and `key` (with the file's name in it) among them
 * @param now - milliseconds since the epoch
 * @throws S3Error AccessDenied, InvalidPolicyDocument.
 */
export function checkPostPolicy(
  policy: string,
  fields: ReadonlyMap<string, string>,
  now: number,
): FormLimits {
  const parsed = parsePostPolicy(policy);
  const end = Date.parse(parsed.expiration);
  if (Number.isNaN(end))
    throw new S3Error('InvalidPolicyDocument', 'Invalid Policy: Invalid expiration.');
  if (now >= end) throw new S3Error('AccessDenied', 'Invalid according to Policy: Policy expired.');
  const named = new Set<string>();
  let [least, most] = [0, Number.MAX_SAFE_INTEGER];
  const refuse = (what: unknown): never => {
    throw new S3Error(
      'AccessDenied',
      `Invalid according to Policy: Policy Condition failed: ${JSON.stringify(what).slice(0, 200)}`,
    );
  };
  for (const one of parsed.conditions) {
    if (Array.isArray(one) && one[0] === 'content-length-range') {
      least = Math.max(least, one[1]);
      most = Math.min(most, one[2]);
      continue;
    }
    const tests = Array.isArray(one)
      ? [[one[0], one[1].replace(/^\$/, ''), one[2]] as const]
      : Object.entries(one).map(([name, value]) => ['eq', name, value] as const);
    for (const [kind, field, wanted] of tests as readonly (readonly [string, string, string])[]) {
      const name = field.toLowerCase();
      named.add(name);
      const value = fields.get(name) ?? '';
      // Of a list each value has to begin so.
      const values = kind === 'starts-with' && name === 'content-type' ? value.split(',') : [value];
      if (!values.every((v) => (kind === 'eq' ? v === wanted : v.startsWith(wanted)))) refuse(one);
    }
  }
  for (const name of fields.keys()) {
    if (!named.has(name) && !FREE.has(name) && !name.startsWith('x-ignore-') && name !== 'bucket') {
      throw new S3Error(
        'AccessDenied',
        `Invalid according to Policy: Extra input fields: ${name.slice(0, 100)}`,
      );
    }
  }
  return { least, most };
}

function parsePostPolicy(policy: string): z.output<typeof policySchema> {
  const bytes = Buffer.from(policy, 'base64');
  let document: unknown;
  try {
    document = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new S3Error('InvalidPolicyDocument', 'Invalid Policy: Invalid JSON.');
  }
  const result = policySchema.safeParse(document);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new S3Error(
    'InvalidPolicyDocument',
    `Invalid Policy: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
  );
}
