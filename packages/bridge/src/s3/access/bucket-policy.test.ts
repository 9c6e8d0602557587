import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PolicyQuestion, evaluatePolicy, isPublic, parsePolicy } from './bucket-policy.js';
import { isAllowed } from './decision.js';
import { fitsWildcard } from './wildcard.js';

const anna = { userId: 'a'.repeat(32), userName: 'anna' };

function policy(...statements: object[]) {
  return parsePolicy(
    JSON.stringify({
      Version: '2012-10-17',
      Statement: statements.map((statement) => ({
        Effect: 'Allow',
        Principal: '*',
        Action: 's3:GetObject',
        Resource: 'arn:aws:s3:::box/*',
        ...statement,
      })),
    }),
    'box',
  );
}

const ask = (question: Partial<PolicyQuestion> = {}): PolicyQuestion => ({
  principal: anna,
  action: 's3:GetObject',
  bucket: 'box',
  key: 'a/b',
  context: {},
  ...question,
});

describe('a statement', () => {
  it.each([
    ['*', true],
    [{ AWS: '*' }, true],
    [{ AWS: 'anna' }, true],
    [{ AWS: [anna.userId] }, true],
    [{ AWS: 'arn:aws:iam:::user/anna' }, true],
    [{ AWS: `arn:aws:iam::${anna.userId}:root` }, true],
    [{ AWS: `arn:aws:iam::${'b'.repeat(32)}:user/anna` }, false],
    [{ AWS: 'ann' }, false],
    [{ AWS: 'anna*' }, false],
  ])('names %j', (Principal, allowed) => {
    expect(evaluatePolicy(policy({ Principal }), ask())).toBe(allowed ? 'allow' : null);
  });

  it('names actions and resources by wildcards, or by what they are not', () => {
    const of = (statement: object, question = ask()) => evaluatePolicy(policy(statement), question);
    expect(of({ Action: 's3:Get*' })).toBe('allow');
    expect(of({ Action: 'S3:getobject' })).toBe('allow');
    expect(of({ Action: 's3:PutObject' })).toBeNull();
    expect(of({ Action: undefined, NotAction: 's3:PutObject' })).toBe('allow');
    expect(of({ Resource: 'arn:aws:s3:::box/a/?' })).toBe('allow');
    expect(of({ Resource: 'arn:aws:s3:::box/A/b' })).toBeNull();
    expect(of({ Resource: 'arn:aws:s3:::box' })).toBeNull();
    expect(of({ Resource: undefined, NotResource: 'arn:aws:s3:::box/a/*' })).toBeNull();
    expect(of({ Principal: undefined, NotPrincipal: { AWS: 'anna' } })).toBeNull();
    expect(of({}, ask({ principal: null }))).toBe('allow');
  });

  it('that denies goes before all that allow', () => {
    const both = policy({}, { Effect: 'Deny', Resource: 'arn:aws:s3:::box/a/*' });
    expect(evaluatePolicy(both, ask())).toBe('deny');
    expect(evaluatePolicy(both, ask({ key: 'b' }))).toBe('allow');
  });

  it.each([
    [{ IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }, { 'aws:sourceip': '10.1.2.3' }, true],
    [{ IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }, { 'aws:sourceip': '::ffff:10.1.2.3' }, true],
    [{ IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }, { 'aws:sourceip': '11.1.2.3' }, false],
    [{ IpAddress: { 'aws:SourceIp': ['::1/128', '1.2.3.4'] } }, { 'aws:sourceip': '::1' }, true],
    [{ NotIpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }, { 'aws:sourceip': '10.1.2.3' }, false],
    [{ Bool: { 'aws:SecureTransport': false } }, { 'aws:securetransport': 'false' }, true],
    [{ Bool: { 'aws:SecureTransport': 'true' } }, { 'aws:securetransport': 'false' }, false],
    [{ StringEquals: { 's3:prefix': ['', 'a/'] } }, { 's3:prefix': 'a/' }, true],
    [{ StringEquals: { 's3:prefix': 'a/' } }, {}, false],
    [{ StringEqualsIfExists: { 's3:prefix': 'a/' } }, {}, true],
    [{ StringNotEquals: { 's3:prefix': 'a/' } }, {}, true],
    [
      { StringLike: { 'aws:Referer': 'https://*.example.org/*' } },
      { 'aws:referer': 'https://x.example.org/' },
      true,
    ],
    [{ NumericLessThanEquals: { 's3:max-keys': 10 } }, { 's3:max-keys': '10' }, true],
    [{ NumericLessThanEquals: { 's3:max-keys': '10' } }, { 's3:max-keys': '11' }, false],
    [
      { DateLessThan: { 'aws:CurrentTime': '2030-01-01T00:00:00Z' } },
      { 'aws:currenttime': '2029-01-01T00:00:00Z' },
      true,
    ],
    [
      { DateLessThan: { 'aws:CurrentTime': '2030-01-01T00:00:00Z' } },
      { 'aws:currenttime': '2031-01-01T00:00:00Z' },
      false,
    ],
    [{ Null: { 's3:prefix': 'true' } }, {}, true],
    [{ Null: { 's3:prefix': true } }, { 's3:prefix': '' }, false],
    [
      { StringEquals: { 's3:ExistingObjectTag/team': 'x' } },
      { 's3:existingobjecttag/team': 'x' },
      true,
    ],
  ])('on condition of %j', (Condition, context, holds) => {
    const question = ask({ context: context as Record<string, string> });
    expect(evaluatePolicy(policy({ Condition }), question)).toBe(holds ? 'allow' : null);
  });

  it.each([
    [{ Condition: { ArnLike: { 'aws:SourceArn': 'x' } } }],
    [{ Condition: { 'ForAllValues:StringEquals': { 's3:prefix': 'x' } } }],
    [{ Condition: { StringEquals: { 'aws:PrincipalOrgID': 'x' } } }],
    [{ Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/33' } } }],
    [{ Condition: { constructor: { 's3:prefix': 'x' } } }],
    [{ Resource: 'arn:aws:s3:::boxes/*' }],
    [{ Resource: '*' }],
    [{ Action: 'iam:*' }],
    [{ Principal: { Service: 'x' } }],
    [{ NotAction: 's3:*' }],
    [{ Effect: 'allow' }],
    [{ Extra: 1 }],
  ])('with what is not understood is refused: %j', (statement) => {
    expect(() => policy(statement)).toThrow(/This policy can't be used/);
  });
});

it('is public when everybody is let in without a condition', () => {
  expect(isPublic(policy({}))).toBe(true);
  expect(isPublic(policy({ Effect: 'Deny' }))).toBe(false);
  expect(isPublic(policy({ Principal: { AWS: 'anna' } }))).toBe(false);
  expect(isPublic(policy({ Condition: { Bool: { 'aws:SecureTransport': true } } }))).toBe(false);
});

it('whoever neither owns a bucket nor is let in may do nothing', () =>
  fc.assert(
    fc.property(
      fc.constantFrom(
        's3:GetObject',
        's3:PutObject',
        's3:ListBucket',
        's3:DeleteBucket',
        's3:PutBucketPolicy',
      ),
      fc.boolean(),
      fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
      (action, signed, key) => {
        const allowed = isAllowed({
          caller: signed ? { ...anna, accessKeyId: 'x', scope: null } : null,
          action: action as PolicyQuestion['action'],
          bucket: { name: 'box', owner: 'somebody', acl: 'private' },
          ...(key !== undefined && { key }),
          context: {},
        });
        expect(allowed).toBe(false);
      },
    ),
  ));

it('wildcards fit as regular expressions would', () =>
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '/'), maxLength: 12 }),
      fc.string({ unit: fc.constantFrom('a', 'b', '/', '*'), maxLength: 12 }),
      (pattern, text) => {
        const expression = pattern.replace(/[.*?/\\]/g, (c) =>
          c === '*' ? '.*' : c === '?' ? '.' : `\\${c}`,
        );
        expect(fitsWildcard(pattern, text)).toBe(new RegExp(`^${expression}$`, 's').test(text));
      },
    ),
  ));
