import { MetadataError } from './metadata-error.js';
import type { VersionSummary } from './records.js';
import type { Deletion, Precondition } from './requests.js';

/**
 * Check what must hold of a key's current version.
 *
 * @throws MetadataError METADATA_PRECONDITION; METADATA_NO_SUCH_KEY where one must match that is not there.
 */
export function checkPrecondition(
  precondition: (Precondition & Deletion['precondition']) | undefined,
  latest: VersionSummary | undefined,
): void {
  if (precondition === undefined) return;
  const current = latest?.isDeleteMarker === true ? undefined : latest;
  const { ifMatch, ifNoneMatch, modified, size } = precondition;
  if (ifNoneMatch !== undefined && current !== undefined) {
    throw new MetadataError('METADATA_PRECONDITION', 'an object of this key is there already');
  }
  if (ifMatch === undefined && modified === undefined && size === undefined) return;
  if (current === undefined) {
    throw new MetadataError('METADATA_NO_SUCH_KEY', 'there is no object of this key to match');
  }
  const matches =
    (ifMatch === undefined || ifMatch === '*' || ifMatch === current.etag) &&
    (modified === undefined || modified === current.modified) &&
    (size === undefined || size === current.size);
  if (!matches) {
    throw new MetadataError('METADATA_PRECONDITION', 'the object was changed meanwhile');
  }
}
