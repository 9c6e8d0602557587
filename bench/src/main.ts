import { availableParallelism, cpus } from 'node:os';
import { benchBrowser } from './browser-bench.js';
import { benchBrowserMemory } from './browser-memory-bench.js';
import { benchDht } from './dht-bench.js';
import { benchDhtPeers } from './dht-peers/bench.js';
import { benchErasure } from './erasure-bench.js';
import { benchFarmStart } from './farm-start-bench.js';
import { benchFirstByte } from './first-byte-bench.js';
import { benchFlames } from './flames-bench.js';
import { benchGrowth } from './growth/bench.js';
import { benchMetadata } from './metadata-bench.js';
import { benchMultipart } from './multipart-bench.js';
import { benchPayments } from './payment-bench.js';
import { benchPeersTransfer } from './peers-transfer-bench.js';
import { benchRoundTrips } from './round-trips-bench.js';
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
  'round-trips': benchRoundTrips,
  flames: benchFlames,
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

// What begins with a dash, and all behind it, is for the part.
const args = process.argv.slice(2);
const options = args.findIndex((arg) => arg.startsWith('-'));
const wanted = options < 0 ? args : args.slice(0, options);
const report = (line: string) => console.log(line);
const unknown = wanted.filter((name) => parts[name] === undefined);
if (unknown.length > 0) {
  console.error(`there is no ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`);
  process.exit(2);
}
report(
  `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node ${process.version}`,
);
for (const [name, run] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  report(`\n${name}`);
  if (wanted.length === 0 && rare.has(name)) {
    report(`  left out, since it takes long: npm run bench -- ${name}`);
    continue;
  }
  const begun = performance.now();
  try {
    await run(report);
  } catch (error) {
    // The others are worth having.
    report(`  it failed: ${error instanceof Error ? error.stack : String(error)}`);
    process.exitCode = 1;
  }
  report(`  (${name} took ${((performance.now() - begun) / 1000).toFixed(0)} s)`);
}
