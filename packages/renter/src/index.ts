export { FarmerRefusal, RenterError, type RenterErrorCode } from './errors.js';
export { RenterKeys, entropyFromWords, generateWords, wordsFromEntropy } from './renter-keys.js';
export { loadKeyFile, saveKeyFile } from './key-file.js';
export { type RenterSettings, defaultSettings } from './settings.js';
export type { FarmerRecord, ObjectPath } from './records.js';
export { MAX_NAME_BYTES, checkBucket, checkPath } from './object-path.js';
export type { PutSource } from './put-source.js';
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
  GetOptions,
  ObjectStat,
  ObjectSummary,
  OnProgress,
  PutOptions,
  PutResult,
  RenterStatus,
  TransferProgress,
} from './renter-types.js';
export { FarmerConnection, type ConnectionContext, type ShardPlace } from './farmer-connection.js';
