import type { Action } from './actions.js';
import { type CannedAcl, aclAllows } from './acl.js';
import { type BucketPolicy, evaluatePolicy } from './bucket-policy.js';
import { type KeyScope, scopeAllows } from './key-scope.js';

/** Who signed a request. */
export interface Caller {
  readonly userId: string;
  readonly userName: string;
  readonly accessKeyId: string;
  /** What the access key is good for; null: all that its user may do. */
  readonly scope: KeyScope | null;
}

/** Everything that a decision depends on. */
export interface AccessQuestion {
  /** Null: not signed. */
  readonly caller: Caller | null;
  readonly action: Action;
  readonly bucket: {
    readonly name: string;
    readonly owner: string;
    readonly acl: CannedAcl;
    readonly policy?: BucketPolicy;
  };
  readonly key?: string;
  /** For a listing, what it is limited to. */
  readonly prefix?: string;
  /** The object, where it is there. */
  readonly object?: { readonly owner: string; readonly acl: CannedAcl };
  /** Condition keys, in lower case. */
  readonly context: Readonly<Record<string, string | undefined>>;
}

/** What an owner can do whatever the policy says, so that nobody locks themselves out. */
const NEVER_LOCKED: ReadonlySet<Action> = new Set<Action>([
  's3:GetBucketPolicy',
  's3:PutBucketPolicy',
  's3:DeleteBucketPolicy',
]);

/** Whether something may be done. Pure; what is not allowed by anything is forbidden. */
export function isAllowed(question: AccessQuestion): boolean {
  const { caller, action, bucket, key, prefix, object, context } = question;
  if (
    caller !== null &&
    !scopeAllows(caller.scope, action, {
      bucket: bucket.name,
      ...(key !== undefined && { key }),
      ...(prefix !== undefined && { prefix }),
    })
  ) {
    return false;
  }
  const owns = caller !== null && caller.userId === bucket.owner;
  if (owns && NEVER_LOCKED.has(action)) return true;
  const verdict =
    bucket.policy === undefined
      ? null
      : evaluatePolicy(bucket.policy, {
          principal: caller,
          action,
          bucket: bucket.name,
          ...(key !== undefined && { key }),
          context,
        });
  if (verdict === 'deny') return false;
  if (owns || verdict === 'allow') return true;
  return aclAllows(
    action,
    { bucket: bucket.acl, ...(object !== undefined && { object: object.acl }) },
    caller !== null,
  );
}
