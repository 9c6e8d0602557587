export { MetadataError, type MetadataErrorCode } from './metadata/metadata-error.js';
export { openMetadataStore, type MetadataParts } from './metadata/open-metadata.js';
export type {
  BucketStore,
  ContentStore,
  InlineBody,
  JobStore,
  MetadataStore,
  ObjectStore,
  SessionStore,
  UploadStore,
  UserStore,
} from './metadata/metadata-store.js';
export {
  MAX_INLINE_BYTES,
  type AccessKey,
  type Body,
  type Bucket,
  type Checksum,
  type Extent,
  type Job,
  type NewBody,
  type ObjectVersion,
  type Part,
  type Quota,
  type Retention,
  type Session,
  type Upload,
  type Usage,
  type User,
  type VersionDetails,
  type VersionSummary,
  type Versioning,
} from './metadata/records.js';
export type {
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
  Precondition,
  VersionChange,
} from './metadata/requests.js';
export { BRIDGE_DEFAULTS, Bridge, type BridgeParts } from './bridge.js';
export {
  ContentKeeper,
  type ContentKeeperParts,
  type KeeperReport,
} from './contents/content-keeper.js';
export {
  ContentGoneError,
  type ContentRange,
  type ObjectBackend,
} from './contents/object-backend.js';
export {
  CONTENT_BUCKET,
  DEFAULT_TRANSFERS,
  JOURNAL_BUCKET,
  RenterBackend,
} from './contents/renter-backend.js';
export type { JournalBackend, JournalEntry } from './journal/journal-backend.js';
export { JournalWriter, type JournalWriterParts } from './journal/journal-writer.js';
export {
  type FoundJournal,
  type RecoveredMetadata,
  findJournals,
  hasJournal,
  recoverMetadata,
} from './journal/recover-metadata.js';
export type { JournalChanges, JournalStore, RestoredMetadata } from './metadata/journal-store.js';
export type { JournalLine, JournalValue } from './metadata/journal-tables.js';
export { BridgeMetrics, type RequestFigures } from './http/bridge-metrics.js';
export { createLocalClient } from './rest/local-client.js';
export { API_PREFIX } from './rest/route.js';
export { DEFAULT_COST, type HashCost } from './users/passwords.js';
export type { RateLimits } from './users/rate-limits.js';
export type { Rate } from '@granary/kad';
export { DEFAULT_SERVER_LIMITS, type ServerLimits } from './http/bridge-server.js';
export { createSelfSigned, isStillGood, type TlsPair } from './http/self-signed-certificate.js';
export { type KeyScope, RIGHTS, type Right, keyScopeSchema } from './s3/access/key-scope.js';
export { DEFAULT_PACE, type Pace } from './s3/body/paced-body.js';
export { OPERATIONS, type OperationName } from './s3/operation.js';
export { DEFAULT_LIMITS, type S3Limits } from './s3/s3-deps.js';
export { type CorsRule } from './s3/cors.js';
export { type LifecycleRule, expiryOf } from './s3/lifecycle.js';
export {
  type LifecycleReport,
  LifecycleRunner,
  type LifecycleRunnerParts,
} from './s3/lifecycle-runner.js';
export { SqlRecords } from './records/sql-records.js';
export { DatabaseError, type DatabaseErrorCode } from './sql/database-error.js';
export { openDatabase } from './sql/open-database.js';
export type { Dialect, Isolation, Row, SqlDatabase, SqlWork } from './sql/sql-database.js';
