import { z } from 'zod';
import type { Action } from './actions.js';
import { fitsWildcard } from './wildcard.js';

/** What a right of an access key lets one do. */
export const RIGHTS = ['list', 'read', 'write', 'delete', 'manage', 'admin'] as const;

/**
 * One of {@link RIGHTS}: `manage` is buckets themselves, their settings, ACLs and locks; `admin`, for keys
 * of admins, users.
 */
export type Right = (typeof RIGHTS)[number];

/** The form in which an access key's scope is kept. What is left out is not limited. */
export const keyScopeSchema = z.strictObject({
  /** Names of buckets, with `*` and `?`. */
  buckets: z.array(z.string().min(1).max(255)).max(100).optional(),
  /** What keys must begin with; one of them. */
  prefixes: z.array(z.string().max(1024)).max(100).optional(),
  rights: z.array(z.enum(RIGHTS)).optional(),
});

/** What an access key is good for, within what its user may do. */
export type KeyScope = z.infer<typeof keyScopeSchema>;

/**
 * Whether a scope lets a key do something.
 *
 * @param prefix - for a listing, the prefix that it is limited to
 */
export function scopeAllows(
  scope: KeyScope | null,
  action: Action,
  place: { readonly bucket?: string; readonly key?: string; readonly prefix?: string },
): boolean {
  if (scope === null) return true;
  if (scope.rights !== undefined && !scope.rights.includes(rightOf(action))) return false;
  // Which buckets are shown is decided for each of them.
  if (action === 's3:ListAllMyBuckets') return true;
  const { bucket, key, prefix } = place;
  if (scope.buckets !== undefined) {
    if (bucket === undefined) return false;
    if (!scope.buckets.some((pattern) => fitsWildcard(pattern, bucket))) return false;
  }
  if (scope.prefixes === undefined) return true;
  const name = key ?? prefix;
  if (name !== undefined) return scope.prefixes.some((begin) => name.startsWith(begin));
  // To know the bucket does no harm; to change it concerns more than the prefix.
  return action === 's3:GetBucketLocation';
}

function rightOf(action: Action): Right {
  switch (action) {
    case 's3:ListAllMyBuckets':
    case 's3:ListBucket':
    case 's3:ListBucketVersions':
    case 's3:ListBucketMultipartUploads':
    case 's3:GetBucketLocation':
      return 'list';
    case 's3:GetObject':
    case 's3:GetObjectVersion':
    case 's3:GetObjectAttributes':
    case 's3:GetObjectVersionAttributes':
    case 's3:GetObjectTagging':
    case 's3:GetObjectVersionTagging':
      return 'read';
    case 's3:PutObject':
    case 's3:PutObjectTagging':
    case 's3:PutObjectVersionTagging':
    case 's3:DeleteObjectTagging':
    case 's3:DeleteObjectVersionTagging':
    case 's3:AbortMultipartUpload':
    case 's3:ListMultipartUploadParts':
      return 'write';
    case 's3:DeleteObject':
    case 's3:DeleteObjectVersion':
      return 'delete';
    default:
      return 'manage';
  }
}
