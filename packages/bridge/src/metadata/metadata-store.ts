import type { JournalStore } from './journal-store.js';
import type {
  AccessKey,
  Body,
  Bucket,
  Extent,
  Job,
  ObjectVersion,
  Part,
  Session,
  Upload,
  Usage,
  User,
} from './records.js';
import type {
  CompletedPart,
  DeleteOutcome,
  Deletion,
  ListObjectsPage,
  ListObjectsRequest,
  ListUploadsRequest,
  ListVersionsPage,
  ListVersionsRequest,
  NewVersion,
  PageRequest,
  VersionChange,
} from './requests.js';

/**
 * Everything that the bridge knows besides the bytes of objects: users, keys, buckets, versions,
 * uploads, jobs. Kept in SQLite or PostgreSQL; any number of processes may use one database.
 *
 * Every method is one transaction: it happened whole, or not at all, and it is on the database's disk
 * when the promise resolves. Conflicts between processes are retried inside. Every method may throw a
 * {@link MetadataError} with METADATA_UNAVAILABLE (then nothing is known to have happened; a write may
 * have), METADATA_DAMAGED or METADATA_BAD_INPUT besides what it names.
 *
 * Keys of objects and names of buckets and users are in the clear in the database, since listings are
 * ordered by them; all else that says something of content is sealed.
 *
 * How bytes and metadata go together: what is small is given inline. For the rest,
 * {@link ContentStore.beginContents} claims IDs, the caller stores the bytes as objects of the renter under these IDs,
 * and {@link ObjectStore.putVersion} (or {@link UploadStore.putPart}) makes the version that has them. A crash in between leaves
 * a claim that runs out; the content then is among {@link ContentStore.garbageContents}. So are contents whose last
 * version was deleted or replaced. The caller deletes them from the network and then says
 * {@link ContentStore.forgetContents}. A reader that finds its content gone from the network reads the version again: it
 * was replaced in between.
 */
export interface MetadataStore
  extends
    UserStore,
    SessionStore,
    BucketStore,
    ObjectStore,
    UploadStore,
    ContentStore,
    JobStore,
    JournalStore {
  /** Whether the database answers. @throws MetadataError METADATA_UNAVAILABLE. */
  ping(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Users and their access keys. */
export interface UserStore {
  /** @throws MetadataError METADATA_USER_EXISTS. */
  createUser(user: Omit<User, 'id' | 'created'>): Promise<User>;
  user(id: string): Promise<User | undefined>;
  userByName(name: string): Promise<User | undefined>;
  /** In order of name; `after` is a name. */
  listUsers(page: PageRequest): Promise<readonly User[]>;
  /** @throws MetadataError METADATA_NO_SUCH_USER, METADATA_USER_EXISTS (another has the new name). */
  changeUser(id: string, change: Partial<Omit<User, 'id' | 'created'>>): Promise<User>;
  /** Its access keys and sessions go with it. @throws MetadataError METADATA_NO_SUCH_USER, METADATA_USER_IN_USE. */
  deleteUser(id: string): Promise<void>;
  /** What all buckets of a user hold. */
  userUsage(id: string): Promise<Usage>;

  /** @throws MetadataError METADATA_NO_SUCH_USER, METADATA_ACCESS_KEY_EXISTS. */
  createAccessKey(key: Omit<AccessKey, 'created'>): Promise<AccessKey>;
  /** A key and its user, whether good still or not; one query, asked at every request. */
  accessKey(id: string): Promise<{ key: AccessKey; user: User } | undefined>;
  /** In order of ID; `after` is an ID. */
  listAccessKeys(userId: string, page: PageRequest): Promise<readonly AccessKey[]>;
  /** @throws MetadataError METADATA_NO_SUCH_ACCESS_KEY. */
  changeAccessKey(
    id: string,
    change: Partial<Pick<AccessKey, 'disabled' | 'expires' | 'description' | 'scope'>>,
  ): Promise<AccessKey>;
  /** @throws MetadataError METADATA_NO_SUCH_ACCESS_KEY. */
  deleteAccessKey(id: string): Promise<void>;
}

/** Sessions of users who have shown their passwords. */
export interface SessionStore {
  /**
   * Begin a session. Those of its user that have ended go, and so do the oldest beyond
   * {@link MAX_SESSIONS}.
   *
   * @throws MetadataError METADATA_NO_SUCH_USER.
   */
  createSession(session: Omit<Session, 'created'>): Promise<Session>;
  /** A session and its user, whether good still or not. */
  session(id: string): Promise<{ session: Session; user: User } | undefined>;
  /** That it is not there is no error. */
  deleteSession(id: string): Promise<void>;
  /** End every session of a user. */
  deleteSessions(userId: string): Promise<void>;
}

/** The most sessions of one user at one time. */
export const MAX_SESSIONS = 64;

/** Buckets. */
export interface BucketStore {
  /**
   * With object lock, versioning is enabled.
   *
   * @throws MetadataError METADATA_BUCKET_EXISTS, METADATA_NO_SUCH_USER, METADATA_QUOTA.
   */
  createBucket(bucket: {
    readonly name: string;
    readonly owner: string;
    readonly objectLock?: boolean;
    readonly documents?: Readonly<Record<string, unknown>>;
  }): Promise<Bucket>;
  bucket(name: string): Promise<Bucket | undefined>;
  /** In order of name, those of one owner or all; `after` is a name. */
  listBuckets(page: PageRequest & { readonly owner?: string }): Promise<readonly Bucket[]>;
  /**
   * Documents that are named replace those of their names; null takes one away.
   *
   * @throws MetadataError METADATA_NO_SUCH_BUCKET, METADATA_BUCKET_STATE (versioning can't go back to
   * `off`, nor be suspended with object lock).
   */
  changeBucket(
    name: string,
    change: {
      readonly versioning?: Exclude<Bucket['versioning'], 'off'>;
      readonly objectLock?: true;
      readonly documents?: Readonly<Record<string, unknown>>;
    },
  ): Promise<Bucket>;
  /** @throws MetadataError METADATA_NO_SUCH_BUCKET, METADATA_BUCKET_NOT_EMPTY. */
  deleteBucket(name: string): Promise<void>;
  /** @throws MetadataError METADATA_NO_SUCH_BUCKET. */
  bucketUsage(name: string): Promise<Usage>;
}

/** Objects and their versions. */
export interface ObjectStore {
  /**
   * Write an object: a new version where versioning is enabled, else the version `null`, which replaces
   * the one before.
   *
   * @throws MetadataError METADATA_NO_SUCH_BUCKET, METADATA_PRECONDITION, METADATA_NO_SUCH_KEY (`ifMatch`
   * and nothing there), METADATA_CONTENT_LOST, METADATA_QUOTA, METADATA_BUCKET_STATE, METADATA_NO_SUCH_VERSION
   * (the source of a copy).
   */
  putVersion(version: NewVersion): Promise<ObjectVersion>;
  /**
   * The current version, which may be a delete marker, or the one that is named.
   *
   * @returns undefined when there is none
   * @throws MetadataError METADATA_NO_SUCH_BUCKET.
   */
  version(bucket: string, key: string, versionId?: string): Promise<ObjectVersion | undefined>;
  /**
   * Parts of a version with a body of kind `parts`, in order.
   *
   * @param from - the first to be listed: by number, or the one that has this byte of the object
   */
  versionParts(
    partsId: string,
    from: { readonly partNumber: number } | { readonly offset: number },
    limit: number,
  ): Promise<readonly Part[]>;
  /** @throws MetadataError METADATA_NO_SUCH_BUCKET, METADATA_NO_SUCH_VERSION, METADATA_LOCKED, METADATA_BUCKET_STATE. */
  changeVersion(
    bucket: string,
    key: string,
    versionId: string | undefined,
    change: VersionChange,
  ): Promise<ObjectVersion>;
  /**
   * Delete an object or one of its versions. That nothing was there is no error, as in S3.
   *
   * @throws MetadataError METADATA_NO_SUCH_BUCKET, METADATA_LOCKED, METADATA_PRECONDITION.
   */
  deleteObject(deletion: Deletion): Promise<DeleteOutcome>;
  /** @throws MetadataError METADATA_NO_SUCH_BUCKET. */
  listObjects(request: ListObjectsRequest): Promise<ListObjectsPage>;
  /** @throws MetadataError METADATA_NO_SUCH_BUCKET. */
  listVersions(request: ListVersionsRequest): Promise<ListVersionsPage>;
}

/** Multipart uploads. */
export interface UploadStore {
  /** @throws MetadataError METADATA_NO_SUCH_BUCKET, METADATA_BUCKET_STATE. */
  createUpload(upload: Omit<Upload, 'uploadId' | 'initiated'>): Promise<Upload>;
  /** @throws MetadataError METADATA_NO_SUCH_BUCKET. */
  upload(bucket: string, key: string, uploadId: string): Promise<Upload | undefined>;
  /** In order of key and of the time they began. @throws MetadataError METADATA_NO_SUCH_BUCKET. */
  listUploads(request: ListUploadsRequest): Promise<{
    readonly uploads: readonly Upload[];
    readonly commonPrefixes: readonly string[];
    readonly next: { readonly keyMarker: string; readonly uploadIdMarker: string | null } | null;
  }>;
  /**
   * Add a part, or replace the one with its number.
   *
   * @throws MetadataError METADATA_NO_SUCH_BUCKET, METADATA_NO_SUCH_UPLOAD, METADATA_CONTENT_LOST, METADATA_QUOTA.
   */
  putPart(
    bucket: string,
    key: string,
    uploadId: string,
    part: Omit<Part, 'start' | 'modified'>,
  ): Promise<Part>;
  /** Parts with numbers above `after`. @throws MetadataError METADATA_NO_SUCH_UPLOAD, METADATA_NO_SUCH_BUCKET. */
  listParts(
    bucket: string,
    key: string,
    uploadId: string,
    after: number,
    limit: number,
  ): Promise<readonly Part[]>;
  /**
   * Make an upload an object of the parts that are named, in ascending order of number; other parts
   * become garbage. Said twice it answers the same, as long as the object is current.
   *
   * @throws MetadataError METADATA_NO_SUCH_BUCKET, METADATA_NO_SUCH_UPLOAD, METADATA_INVALID_PART,
   * METADATA_PRECONDITION, METADATA_NO_SUCH_KEY.
   */
  completeUpload(
    bucket: string,
    key: string,
    uploadId: string,
    completion: {
      readonly parts: readonly CompletedPart[];
      readonly etag: string;
      readonly checksums: readonly NewVersion['checksums'][number][];
      readonly precondition?: NewVersion['precondition'];
    },
  ): Promise<ObjectVersion>;
  /** @throws MetadataError METADATA_NO_SUCH_BUCKET, METADATA_NO_SUCH_UPLOAD. */
  abortUpload(bucket: string, key: string, uploadId: string): Promise<void>;
}

/** Contents in the network that versions and parts refer to. */
export interface ContentStore {
  /**
   * Claim IDs (32 hex digits, random) of contents that are about to be stored.
   *
   * @param forMs - how long the claim holds; {@link ContentStore.renewContents} holds it for longer
   */
  beginContents(contentIds: readonly string[], forMs: number): Promise<void>;
  /** @throws MetadataError METADATA_CONTENT_LOST when a claim was lost: stop writing. */
  renewContents(contentIds: readonly string[], forMs: number): Promise<void>;
  /** Nothing came of them: what was stored is garbage at once. */
  abandonContents(contentIds: readonly string[]): Promise<void>;
  /** Contents that nothing refers to any more and nobody claims, the oldest first. */
  garbageContents(limit: number): Promise<readonly string[]>;
  /** Contents are gone from the network. Those that are not garbage stay. */
  forgetContents(contentIds: readonly string[]): Promise<void>;
  /**
   * Inline bodies that wait to be moved into the network, the oldest first.
   *
   * @param written - written before this time, in milliseconds since the epoch
   */
  inlineBodies(limit: number, written: number): Promise<readonly InlineBody[]>;
  /**
   * Inline bodies have been stored together as one content, which was claimed: refer to it. Those that
   * are gone meanwhile are passed over; when all are, the content becomes garbage.
   *
   * @returns how many now are in the content
   * @throws MetadataError METADATA_CONTENT_LOST.
   */
  packBodies(
    contentId: string,
    bodies: readonly { readonly ref: string; readonly extent: Extent }[],
  ): Promise<number>;
  /**
   * Contents of which less than a share is referred to still, for being packed anew.
   *
   * @param share - between 0 and 1
   */
  sparseContents(share: number, limit: number): Promise<readonly string[]>;
  /** Versions' and parts' extents in a content, for moving them: each with a reference for {@link ContentStore.moveExtents}. */
  extentsOf(
    contentId: string,
    limit: number,
  ): Promise<readonly { readonly ref: string; readonly extent: Extent }[]>;
  /** Refer to copies of extents in another content, which was claimed. @returns how many were moved. */
  moveExtents(
    contentId: string,
    moves: readonly { readonly ref: string; readonly from: Extent; readonly to: Extent }[],
  ): Promise<number>;
}

/** An inline body that waits to be moved. */
export interface InlineBody {
  /** Names the body for {@link ContentStore.packBodies}. */
  readonly ref: string;
  readonly bytes: Extract<Body, { kind: 'inline' }>['bytes'];
}

/** Jobs for whoever is free. */
export interface JobStore {
  /**
   * Ask for a job. One of its ID that waits in its queue already stays as it is.
   *
   * @param due - when it may begin, in milliseconds since the epoch
   * @returns whether it is new
   */
  addJob(job: {
    readonly queue: string;
    readonly id: string;
    readonly payload: unknown;
    readonly due: number;
  }): Promise<boolean>;
  /** Lease jobs that are due, the oldest first, those whose lease has run out among them. */
  takeJobs(queue: string, limit: number, forMs: number): Promise<readonly Job[]>;
  /** @returns the lease with its new end. @throws MetadataError METADATA_LEASE_LOST. */
  renewJob(job: Job, forMs: number): Promise<Job>;
  /** A job is done. With `again` it stays, due then. @throws MetadataError METADATA_LEASE_LOST. */
  finishJob(job: Job, again?: { readonly due: number; readonly payload?: unknown }): Promise<void>;
  /** A job failed: it is due again then. @throws MetadataError METADATA_LEASE_LOST. */
  failJob(job: Job, error: string, due: number): Promise<void>;
  /** Jobs of a queue: waiting, leased, and failed at least once. */
  countJobs(queue: string): Promise<{ waiting: number; leased: number; failing: number }>;
}
