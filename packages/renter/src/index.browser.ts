// What runs in browsers: the whole public face there.
export { FarmerRefusal, RenterError, type RenterErrorCode } from './errors.js';
export { RenterKeys, entropyFromWords, generateWords, wordsFromEntropy } from './renter-keys.js';
export { type RenterSettings, defaultSettings } from './settings.js';
export type { FarmerRecord, ObjectPath } from './records.js';
export { MAX_NAME_BYTES, checkBucket, checkPath } from './object-path.js';
export type { BlobSource, FileTarget, PutSource } from './put-source.js';
export type { DeletionReport } from './garbage-collector.js';
export { canTake, choosePlacement, groupsOf, networkOf, type ShardNeeds } from './placement.js';
export {
  afterAudit,
  afterContact,
  afterTransfer,
  defaultReputationSettings,
  explainReputation,
  isOffline,
  newReputation,
  pardon,
  placementWeight,
  scoreOf,
  type BetaScore,
  type Reputation,
  type ReputationSettings,
  type Standing,
} from './reputation.js';
export {
  endangerment,
  planRepair,
  segmentHealth,
  shardState,
  type HealthView,
  type RepairPlan,
  type SegmentHealth,
  type ShardState,
} from './segment-health.js';
export { WorkerEngine, inlineEngine, type SegmentEngine } from './segment-engine.js';
export { Renter, type RenterParts } from './renter.js';
export type {
  KeyRange,
  RecordAnswer,
  RecordDatabase,
  RecordStep,
  RecordWork,
  StoredRecord,
  WriteOptions,
} from './record-database.js';
export { IndexedDbRecords } from './indexed-db-records.js';
export { type RenterStore, openRenterStore } from './renter-store.js';
export type { AuditOutcome, AuditReport } from './auditor.js';
export { type AuditKit, type KitResult, parseAuditKit, runAuditKit } from './audit-kit.js';
export type { CarePhase, CareReport, CareStatus } from './caretaker.js';
export type { HealthQuestion, ObjectHealth, ShardCounts } from './object-health.js';
export type { PaymentReport } from './renter-payments.js';
export type { ContractReview } from './contract-review.js';
export type { RecoveryReport } from './recovery.js';
export type {
  DeleteResult,
  FarmerStanding,
  GarbageReport,
  GetOptions,
  ObjectStat,
  ObjectSummary,
  OnProgress,
  OnShard,
  PutOptions,
  PutResult,
  RenterStatus,
  ShardProgress,
  TransferProgress,
} from './renter-types.js';
export { SharedObject, openShare, type SharedObjectInfo } from './shared-object.js';
export type { SharedObjectParts } from './share-reader.js';
export { GrantedScope, openGrant, type GrantedScopeInfo } from './granted-scope.js';
export type { AccessGrantInfo, GrantScope } from './access-grants.js';
export {
  DEFAULT_SHARE_READS,
  type ShareCareReport,
  type ShareInfo,
  type ShareOptions,
} from './sharing.js';
export type { DirectPaths } from './connection-pool.js';
export { FarmerConnection, type ConnectionContext, type ShardPlace } from './farmer-connection.js';
