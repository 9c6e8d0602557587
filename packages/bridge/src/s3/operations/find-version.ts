import type { ObjectVersion } from '../../metadata/records.js';
import type { Action } from '../access/actions.js';
import type { Call, Place } from '../call.js';
import { S3Error } from '../s3-error.js';

/**
 * The version that a request is about, if the caller may do this with it. Who may not list the bucket
 * does not learn which keys there are.
 *
 * @throws S3Error AccessDenied, NoSuchKey, NoSuchVersion, MethodNotAllowed (a delete marker that was named).
 */
export async function findVersion(
  call: Call,
  action: Action,
  place: { readonly key: string; readonly versionId?: string | undefined } & Pick<Place, 'bucket'>,
): Promise<ObjectVersion> {
  const bucket = place.bucket ?? (await call.bucket());
  const { key, versionId } = place;
  const version = await call.metadata.version(bucket.name, key, versionId);
  const live = version !== undefined && !version.isDeleteMarker ? version : undefined;
  await call.authorize(action, { bucket, key, version: live });
  if (live !== undefined) return live;
  if (version === undefined && versionId !== undefined) {
    throw new S3Error('NoSuchVersion', undefined, { fields: { Key: key, VersionId: versionId } });
  }
  const marker: Record<string, string> =
    version === undefined
      ? {}
      : { 'x-amz-delete-marker': 'true', 'x-amz-version-id': version.versionId };
  if (version !== undefined && versionId !== undefined) {
    throw new S3Error('MethodNotAllowed', undefined, {
      headers: { ...marker, allow: 'DELETE' },
      fields: { Method: call.request.method, ResourceType: 'DeleteMarker' },
    });
  }
  if (!(await call.may('s3:ListBucket', { bucket }))) throw new S3Error('AccessDenied');
  throw new S3Error('NoSuchKey', undefined, { fields: { Key: key }, headers: marker });
}
