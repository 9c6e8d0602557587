import type {
  Checksum,
  NewBody,
  Retention,
  Sealing,
  VersionDetails,
  VersionSummary,
} from './records.js';

/** What must hold of the current version of a key for a write to happen. */
export interface Precondition {
  /** ETag that the current version must have. */
  readonly ifMatch?: string;
  /** `*`: there must be no current version (a delete marker is none). */
  readonly ifNoneMatch?: '*';
}

/** A version to be written. */
export interface NewVersion {
  readonly bucket: string;
  /** 1 to 1,024 bytes in UTF-8, well-formed. */
  readonly key: string;
  readonly body: NewBody;
  /** How it is encrypted by a key of the client; a copy is as its source. */
  readonly sealing?: Sealing;
  /** Bytes, as the client sees them. */
  readonly size: number;
  readonly etag: string;
  readonly checksums: readonly Checksum[];
  /** User ID of who writes it. */
  readonly owner: string;
  readonly storageClass: string;
  readonly details: VersionDetails;
  /** @throws METADATA_BUCKET_STATE where the bucket has no object lock. */
  readonly retention?: Retention | null;
  readonly legalHold?: boolean;
  readonly precondition?: Precondition;
}

/** What a deletion did. */
export interface DeleteOutcome {
  /** The version that is gone, or the delete marker that was made; null when nothing was there. */
  readonly versionId: string | null;
  /** Whether a delete marker was made, or a delete marker was deleted. */
  readonly deleteMarker: boolean;
}

/** What to delete. */
export interface Deletion {
  readonly bucket: string;
  readonly key: string;
  /** A version to be deleted for good; without it the object is deleted as its bucket's versioning says. */
  readonly versionId?: string;
  /** Delete although a retention of mode GOVERNANCE has not ended. */
  readonly bypassGovernance?: boolean;
  readonly precondition?: Pick<Precondition, 'ifMatch'> & {
    /** Last change, in milliseconds, and size that the version must have. */
    readonly modified?: number;
    readonly size?: number;
  };
}

/** Changes to a version that is there. What is left out stays. */
export interface VersionChange {
  readonly tags?: Readonly<Record<string, string>>;
  readonly acl?: unknown;
  /** Null takes it away. Shortening or taking away needs `bypassGovernance`; COMPLIANCE only grows. */
  readonly retention?: Retention | null;
  readonly legalHold?: boolean;
  readonly bypassGovernance?: boolean;
}

/** A page of a bucket's objects. */
export interface ListObjectsRequest {
  readonly bucket: string;
  readonly prefix?: string;
  /** Keys with this text behind the prefix are rolled up into common prefixes. */
  readonly delimiter?: string;
  /**
   * Begin behind this key or common prefix: the marker of listing V1, StartAfter and what a
   * continuation token stands for in V2. A common prefix that it begins with is not listed again.
   */
  readonly after?: string;
  /** 0 to 1,000 objects and common prefixes together. */
  readonly limit: number;
}

/** Objects of a page in UTF-8 binary order of key; common prefixes likewise. */
export interface ListObjectsPage {
  readonly objects: readonly VersionSummary[];
  readonly commonPrefixes: readonly string[];
  /** The last key or common prefix of the page when more follows, for `after`; else null. */
  readonly next: string | null;
}

/** A page of a bucket's versions. */
export interface ListVersionsRequest extends Omit<ListObjectsRequest, 'after'> {
  /** Begin behind this key or common prefix, or with `versionIdMarker` behind that version of the key. */
  readonly keyMarker?: string;
  readonly versionIdMarker?: string;
}

/** Versions in order of key, of a key newest first. */
export interface ListVersionsPage {
  readonly versions: readonly VersionSummary[];
  readonly commonPrefixes: readonly string[];
  readonly next: { readonly keyMarker: string; readonly versionIdMarker: string | null } | null;
}

/** A page of the uploads under way. */
export interface ListUploadsRequest extends Omit<ListObjectsRequest, 'after'> {
  readonly keyMarker?: string;
  readonly uploadIdMarker?: string;
}

/** A page of a list of names or IDs. */
export interface PageRequest {
  /** Begin behind this one. */
  readonly after?: string;
  /** 1 to 1,000. */
  readonly limit: number;
}

/** A part that a complete names. */
export interface CompletedPart {
  readonly partNumber: number;
  readonly etag: string;
}
