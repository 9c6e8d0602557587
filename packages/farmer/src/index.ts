export { FarmerError, type FarmerErrorCode } from './errors.js';
export { Farmer, type FarmerOptions, type FarmerStats, type PaymentOptions } from './farmer.js';
export type { BrowserListener } from './browser-listeners.js';
export { type FarmerPolicy, defaultPolicy } from './farmer-policy.js';
export type { TransferCounters, TransferTimeouts } from './transfer-session.js';
export { ShardStore, type ShardStoreOptions } from './shard-store.js';
export { collectFarmerMetrics } from './farmer-metrics.js';
export { COSTS_FILE, type TunnelPaying } from './tunnel-payments.js';
