import { type FarmerRecord, choosePlacement, newReputation } from '@granary/renter';
import type { Point } from './curve.js';

const SHARD = 1_400_000;
const DAY = 86_400_000;
const LEAST_MS = 1500;

/** A farmer that is made up: an address in one of so many networks, with some reputation and room. */
function farmer(i: number): FarmerRecord {
  return {
    contact: {
      nodeId: i.toString(16).padStart(64, '0'),
      publicKey: '',
      addresses: [`https://${10 + ((i >> 16) % 100)}.${(i >> 8) & 255}.${i & 255}.1:4600`],
      protocolVersion: 1,
      sequence: 1,
      signature: '',
    },
    terms: {
      version: 1,
      freeBytes: 1e9 * (1 + (i % 100)),
      maxShardSize: 64e6,
      maxDurationMs: 400 * DAY,
      currency: 'credit',
      storagePrice: '0',
      egressPrice: '0',
      operator: null,
      leaving: false,
      payment: { settlement: 'ledger', contract: null, creditLimit: '0' },
    },
    latencyMs: 5 + (i % 200),
    seen: 0,
    failures: i % 20 === 0 ? 1 : 0,
    reputation: newReputation(0),
  };
}

/** CPU of choosing farmers for a segment, in milliseconds, by the farmers there are to choose from. */
export function farmerCounts(most: number, report: (line: string) => void): Point[] {
  const points: Point[] = [];
  const needs = { shardSize: SHARD, durationMs: 90 * DAY, now: DAY, diversity: 'require' } as const;
  for (let n = 10; n <= most; n *= 10) {
    const farmers = Array.from({ length: n }, (_, i) => farmer(i));
    const choose = () => {
      if (choosePlacement(farmers, needs, Math.random).length !== n)
        throw new Error('some are left out');
    };
    // Compiled before it is measured.
    for (const until = performance.now() + LEAST_MS / 3; performance.now() < until;) choose();
    const before = process.cpuUsage();
    let times = 0;
    for (const until = performance.now() + LEAST_MS; performance.now() < until; times += 1)
      choose();
    const { user, system } = process.cpuUsage(before);
    points.push({ n, cost: (user + system) / 1000 / times });
    report(
      `  ${String(n).padStart(9)} farmers: ${points.at(-1)!.cost.toFixed(3)} ms of CPU a segment`,
    );
  }
  return points;
}
