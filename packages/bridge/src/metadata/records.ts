/** Who may have buckets and access keys. */
export interface User {
  /** 32 hex digits. */
  readonly id: string;
  /** Unique among users; 1 to 128 characters. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly disabled: boolean;
  /** May manage other users. */
  readonly admin: boolean;
  /** Hash of the password in the form of its maker, or null: no password, only access keys. */
  readonly passwordHash: string | null;
  readonly quota: Quota;
  /** What else the caller keeps about a user: rate limits and the like. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** The most that a user's buckets may hold together; null: as much as there is. */
export interface Quota {
  /** Bytes of all versions and of parts of unfinished uploads. */
  readonly bytes: number | null;
  /** Versions, delete markers not counted. */
  readonly objects: number | null;
  readonly buckets: number | null;
}

/** What is to be counted against a {@link Quota}, or shown. */
export interface Usage {
  readonly bytes: number;
  readonly objects: number;
}

/** A pair of access key ID and secret. */
export interface AccessKey {
  /** As in S3: 3 to 128 of A-Z, a-z, 0-9, "_" and "-". */
  readonly id: string;
  readonly userId: string;
  /** Sealed in the database; in the clear here, since Signature V4 needs it. */
  readonly secret: string;
  readonly created: number;
  /** Milliseconds since the epoch from which on it is not good any more; null: never. */
  readonly expires: number | null;
  readonly disabled: boolean;
  readonly description: string;
  /** What it is good for, in the caller's own form; null: for all that its user may do. */
  readonly scope: unknown;
}

/** What somebody holds who has shown a password: good for all that its user may do, for a while. */
export interface Session {
  /** SHA-256 of its token, in hex: the token itself is kept by its holder only. */
  readonly id: string;
  readonly userId: string;
  readonly created: number;
  /** Milliseconds since the epoch from which on it is not good any more. */
  readonly expires: number;
}

/** Whether a bucket keeps old versions. */
export type Versioning = 'off' | 'enabled' | 'suspended';

/** A bucket and its settings. */
export interface Bucket {
  /** 32 hex digits; another bucket of the same name later has another ID. */
  readonly id: string;
  readonly name: string;
  /** The owner's user ID. */
  readonly owner: string;
  readonly created: number;
  readonly versioning: Versioning;
  /** Whether its versions can be locked. Never taken back; versioning stays enabled. */
  readonly objectLock: boolean;
  /**
   * Documents of the bucket by name (`cors`, `policy`, `lifecycle`, `tagging`, `acl`, `encryption`,
   * `object-lock`, …) in the caller's own form. Sealed in the database.
   */
  readonly documents: Readonly<Record<string, unknown>>;
}

/** A run of plaintext bytes of a stored content (an object of the renter). */
export interface Extent {
  readonly contentId: string;
  /** First byte in the content. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

/** Where the bytes of a version or part are. */
export type Body =
  /** In the database itself (sealed there). At most {@link MAX_INLINE_BYTES}. */
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  /** In the network, one after another. */
  | { readonly kind: 'extents'; readonly extents: readonly Extent[] }
  /** In parts, which `MetadataStore.versionParts` lists by this ID. */
  | { readonly kind: 'parts'; readonly partsId: string; readonly count: number };

/** How a body is encrypted under a key that only the client has (SSE-C). */
export interface Sealing {
  /** What the body's key is made with, besides the client's: hex. */
  readonly salt: string;
  /** Bytes of the body as it is stored; its plaintext has as many as the version or part. */
  readonly stored: number;
}

/** The body of something new. */
export type NewBody =
  | Extract<Body, { kind: 'inline' | 'extents' }>
  /**
   * The same bytes as another version: nothing moves, contents are shared and go when the last version
   * goes. Parts stay parts.
   */
  | {
      readonly kind: 'copy';
      readonly bucket: string;
      readonly key: string;
      readonly versionId: string;
    };

/** The most bytes of an inline body. */
export const MAX_INLINE_BYTES = 256 * 1024;

/** A checksum as S3 has it. */
export interface Checksum {
  readonly algorithm: 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256';
  /** Base64; with `-N` behind it where it is a composite of N parts. */
  readonly value: string;
  readonly type: 'FULL_OBJECT' | 'COMPOSITE';
}

/** What a listing does not need to know of a version. Sealed in the database. */
export interface VersionDetails {
  /** Content headers as they came, names in lower case: `content-type`, `cache-control`, `expires`, … */
  readonly headers: Readonly<Record<string, string>>;
  /** User metadata, names in lower case without `x-amz-meta-`. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  /** The ACL in the caller's own form, or null. */
  readonly acl: unknown;
  /** What proves a key of the client's (SSE-C) to be the right one, never the key; or null. */
  readonly encryption: unknown;
}

/** How long a version must stay. */
export interface Retention {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE';
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/** What a listing says of a version. */
export interface VersionSummary {
  readonly bucket: string;
  readonly key: string;
  /** `null` (as a string) for a version that was written while versioning was not enabled. */
  readonly versionId: string;
  /** Whether it is the newest of its key. */
  readonly isLatest: boolean;
  readonly isDeleteMarker: boolean;
  /** Milliseconds since the epoch. */
  readonly modified: number;
  /** Bytes; 0 for a delete marker. */
  readonly size: number;
  /** Without quotes; '' for a delete marker. */
  readonly etag: string;
  /** User ID of who wrote it. */
  readonly owner: string;
  readonly storageClass: string;
  readonly checksums: readonly Checksum[];
}

/** A version of an object, or a delete marker. */
export interface ObjectVersion extends VersionSummary {
  readonly details: VersionDetails;
  readonly retention: Retention | null;
  readonly legalHold: boolean;
  /** Empty and inline for a delete marker. */
  readonly body: Body;
  /** Where the body is encrypted by a key of the client; of parts, each says so itself. */
  readonly sealing?: Sealing;
}

/** A multipart upload under way. */
export interface Upload {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
  /** User ID of who began it. */
  readonly owner: string;
  readonly initiated: number;
  readonly storageClass: string;
  readonly details: VersionDetails;
  readonly retention: Retention | null;
  readonly legalHold: boolean;
  /** What else the caller must know when it is completed: checksum algorithm and type. Sealed. */
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A part of an upload, or of a version that was made by one. */
export interface Part {
  readonly partNumber: number;
  readonly size: number;
  readonly etag: string;
  readonly modified: number;
  readonly checksums: readonly Checksum[];
  /** First byte in the object; 0 as long as the upload is under way. */
  readonly start: number;
  readonly body: Extract<Body, { kind: 'inline' | 'extents' }>;
  readonly sealing?: Sealing;
}

/** A job that was leased. */
export interface Job {
  readonly queue: string;
  /** Unique in its queue. */
  readonly id: string;
  /** In the caller's own form. Sealed in the database. */
  readonly payload: unknown;
  /** How often it has been leased before. */
  readonly attempts: number;
  /** Why the last attempt failed, or null. */
  readonly lastError: string | null;
  /** Proves the lease. */
  readonly token: string;
  /** Milliseconds since the epoch; others may take the job from then on. */
  readonly expires: number;
}
