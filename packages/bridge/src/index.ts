export { MetadataError, type MetadataErrorCode } from './metadata/metadata-error.js';
export { openMetadataStore, type MetadataParts } from './metadata/open-metadata.js';
export type {
  BucketStore,
  ContentStore,
  InlineBody,
  JobStore,
  MetadataStore,
  ObjectStore,
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
export { SqlRecords } from './records/sql-records.js';
export { DatabaseError, type DatabaseErrorCode } from './sql/database-error.js';
export { openDatabase } from './sql/open-database.js';
export type { Dialect, Isolation, Row, SqlDatabase, SqlWork } from './sql/sql-database.js';
