/** The stable codes of {@link MetadataError}. */
export type MetadataErrorCode =
  /** A user of this name or ID is there already. */
  | 'METADATA_USER_EXISTS'
  | 'METADATA_NO_SUCH_USER'
  /** A user still owns buckets. */
  | 'METADATA_USER_IN_USE'
  | 'METADATA_NO_SUCH_ACCESS_KEY'
  | 'METADATA_ACCESS_KEY_EXISTS'
  /** A bucket of this name is there already. */
  | 'METADATA_BUCKET_EXISTS'
  | 'METADATA_NO_SUCH_BUCKET'
  /** Objects, versions or uploads are in the bucket still. */
  | 'METADATA_BUCKET_NOT_EMPTY'
  /** A setting that a bucket with object lock can't have, or a lock that was never enabled. */
  | 'METADATA_BUCKET_STATE'
  | 'METADATA_NO_SUCH_KEY'
  | 'METADATA_NO_SUCH_VERSION'
  /** A condition of the request does not hold (If-Match, If-None-Match). */
  | 'METADATA_PRECONDITION'
  /** Retention or a legal hold forbids it. */
  | 'METADATA_LOCKED'
  | 'METADATA_NO_SUCH_UPLOAD'
  /** A part that is to be completed is not there, or has another ETag. */
  | 'METADATA_INVALID_PART'
  /** The owner of the bucket would have more than its quota. */
  | 'METADATA_QUOTA'
  /** A content's claim was lost: it took too long, and what was written of it is being deleted. */
  | 'METADATA_CONTENT_LOST'
  /** A lease of a job has passed to another. */
  | 'METADATA_LEASE_LOST'
  /** A name, key or number is malformed. */
  | 'METADATA_BAD_INPUT'
  /** The database can't be reached, or did not take a write; it may do so later. */
  | 'METADATA_UNAVAILABLE'
  /** There is nothing in the network to be restored from. */
  | 'METADATA_NOT_IN_NETWORK'
  /** A record does not open: it is damaged, or sealed by another key. */
  | 'METADATA_DAMAGED'
  /** The database was made by a newer Granary, or belongs to another master key. */
  | 'METADATA_MISMATCH';

/** What the bridge's metadata could not do, and why. */
export class MetadataError extends Error {
  override readonly name = 'MetadataError';

  constructor(
    readonly code: MetadataErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
