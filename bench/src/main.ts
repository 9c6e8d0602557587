import { availableParallelism, cpus } from 'node:os';
import { benchBrowser } from './browser-bench.js';
import { benchBrowserMemory } from './browser-memory-bench.js';
import { benchDht } from './dht-bench.js';
import { benchDhtPeers } from './dht-peers/bench.js';
import { benchErasure } from './erasure-bench.js';
import { benchFarmStart } from './farm-start-bench.js';
import { benchFirstByte } from './first-byte-bench.js';
import { benchGrowth } from './growth/bench.js';
import { benchMetadata } from './metadata-bench.js';
import { benchMultipart } from './multipart-bench.js';
import { benchPayments } from './payment-bench.js';
import { benchPeersTransfer } from './peers-transfer-bench.js';
import { benchS3 } from './s3-bench.js';
import { benchShardStore } from './shard-store-bench.js';
import { benchStart } from './start-bench.js';
import { benchTransfers } from './transfer-bench.js';

const parts: Record<string, (report: (line: string) => void) => Promise<void>> = {
  erasure: benchErasure,
  start: benchStart,
  shards: benchShardStore,
  'farm-start': benchFarmStart,
  dht: benchDht,
  'dht-peers': benchDhtPeers,
  transfers: benchTransfers,
  'first-byte': benchFirstByte,
  'peers-transfer': benchPeersTransfer,
  payments: benchPayments,
  metadata: benchMetadata,
  browser: benchBrowser,
  'browser-memory': benchBrowserMemory,
  s3: benchS3,
  multipart: benchMultipart,
  growth: benchGrowth,
};

/** Those that take long, and 10 GB of disk: only when they are asked for. */
const rare = new Set(['browser-memory']);

const wanted = process.argv.slice(2);
const report = (line: string) => console.log(line);
report(
  `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node ${process.version}`,
);
for (const [name, run] of Object.entries(parts)) {
  if (wanted.length > 0 ? !wanted.includes(name) : rare.has(name)) continue;
  report(`\n${name}`);
  await run(report);
}
