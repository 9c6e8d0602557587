import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { chromium } from 'playwright-core';
import { CHROMIUM, buildPage } from './chromium-lab.js';
import {
  type Coder,
  SHARD,
  type Subspace,
  compareCoders,
  granaryCoder,
  subspaceCoder,
} from './erasure-coders.js';
import { median } from './median.js';
import { nextMessage } from './next-message.js';
import { serveFiles } from './page-files.js';

const require = createRequire(import.meta.url);
const PAGE = new URL('../erasure-page', import.meta.url).pathname;
const THREAD = new URL('./erasure-thread.js', import.meta.url);
const CODES = [
  [4, 4],
  [10, 4],
  [10, 10],
  [20, 20],
  [29, 51],
] as const;
const ROUNDS = 5;
/** How long threads encode beside each other, in milliseconds. */
const THREADS_MS = 1_000;

/** What main.js of the page offers. */
interface Erasing {
  compare(k: number, m: number, rounds: number): ReturnType<typeof compareCoders>;
}
declare const erasing: Erasing;

async function subspace(k: number, m: number): Promise<Coder> {
  const { ReedSolomonErasure } = require('@subspace/reed-solomon-erasure.wasm') as {
    ReedSolomonErasure: { fromCurrentDirectory(): Promise<Subspace> };
  };
  return subspaceCoder(await ReedSolomonErasure.fromCurrentDirectory(), k, m);
}

/** `@ronomon/reed-solomon`: a native addon. */
function ronomon(k: number, m: number): Coder {
  const native = require('@ronomon/reed-solomon') as {
    MAX_K: number;
    MAX_M: number;
    create(k: number, m: number): unknown;
    encode(...args: unknown[]): void;
  };
  if (k > native.MAX_K || m > native.MAX_M) {
    throw new Error(`it takes at most ${native.MAX_K} data and ${native.MAX_M} parity shards`);
  }
  const context = native.create(k, m);
  const data = randomBytes(k * SHARD);
  const parity = Buffer.alloc(m * SHARD);
  const lost = Math.min(k, m);
  const bits = (from: number, to: number) => {
    let flags = 0;
    for (let i = from; i < to; i += 1) flags |= 1 << i;
    return flags;
  };
  const run = (sources: number, targets: number) =>
    new Promise<void>((resolve, reject) =>
      native.encode(
        ...[context, sources, targets, data, 0, data.length, parity, 0, parity.length],
        (error: Error | undefined) => (error ? reject(error) : resolve()),
      ),
    );
  return {
    name: '@ronomon/reed-solomon (native)',
    encode: () => run(bits(0, k), bits(k, k + m)),
    reconstruct: () => run(bits(lost, k) | bits(k, k + lost), bits(0, lost)),
  };
}

/** Speeds of some coders, and ours by each. */
function reportSpeeds(
  report: (line: string) => void,
  speeds: Awaited<ReturnType<typeof compareCoders>>,
): void {
  const ours = speeds.find(({ name }) => name === 'granary wasm-simd')!;
  for (const { name, encode, reconstruct } of speeds) {
    const times = `ours is ${(ours.encode / encode).toFixed(2)} and ${(ours.reconstruct / reconstruct).toFixed(2)} times it`;
    report(
      `    ${name.padEnd(38)} encode ${encode.toFixed(0).padStart(6)}  reconstruct ${reconstruct.toFixed(0).padStart(6)}  ${times}`,
    );
  }
}

/** Encode and reconstruct, MB of data shards a second on one core, against named peers in turn. */
export async function benchErasure(report: (line: string) => void): Promise<void> {
  report(
    `  MB of data a second; shards of ${SHARD / 1024} KiB; median of ${ROUNDS} interleaved rounds`,
  );
  for (const [k, m] of CODES) {
    const coders: Coder[] = [];
    const makers = [
      () => granaryCoder(k, m, 'wasm-simd'),
      () => granaryCoder(k, m, 'scalar'),
      () => subspace(k, m),
      () => Promise.resolve().then(() => ronomon(k, m)),
    ];
    report(`  ${k}+${m}`);
    const absent: string[] = [];
    for (const make of makers) {
      try {
        coders.push(await make());
      } catch (error) {
        absent.push(`    not here: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    reportSpeeds(report, await compareCoders(coders, k, ROUNDS));
    for (const line of absent) report(line);
  }
  await benchThreads(report);
  await benchInChromium(report);
}

/** Threads that encode at the same time, by their number; the numbers take turns. */
async function benchThreads(report: (line: string) => void): Promise<void> {
  const [k, m] = [10, 10];
  report(
    `\n  ${k}+${m}, encoded by threads at the same time; MB of data a second together; median of ${ROUNDS} interleaved rounds`,
  );
  const counts: number[] = [];
  for (let count = 1; count <= availableParallelism(); count *= 2) counts.push(count);
  const threads = Array.from({ length: counts.at(-1)! }, () => new Worker(THREAD));
  const encode = async (count: number, ms: number) => {
    const rates = threads.slice(0, count).map(async (thread) => {
      const rate = nextMessage<number>(thread);
      thread.postMessage({ k, m, ms });
      return await rate;
    });
    return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0);
  };
  try {
    // Once to be compiled.
    await encode(threads.length, THREADS_MS / 4);
    const rounds: number[][] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const together: number[] = [];
      for (const count of counts) together.push(await encode(count, THREADS_MS));
      rounds.push(together);
    }
    for (const [i, count] of counts.entries()) {
      const rate = median(rounds.map((together) => together[i]!));
      const times = median(rounds.map((together) => together[i]! / together[0]!));
      report(
        `    ${count} ${count === 1 ? 'thread ' : 'threads'} ${rate.toFixed(0).padStart(6)}  ${times.toFixed(2)} times one`,
      );
    }
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

/** The same codes in a page. */
async function benchInChromium(report: (line: string) => void): Promise<void> {
  if (!existsSync(CHROMIUM)) return report(`  Chromium: left out, ${CHROMIUM} is not installed`);
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-erasure-'));
  const cleanups: (() => unknown)[] = [() => rm(directory, { recursive: true, force: true })];
  try {
    const { url, close } = await serveFiles(await buildPage(directory, PAGE));
    cleanups.push(close);
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu'],
    });
    cleanups.push(() => browser.close());
    report(`\n  in Chromium ${browser.version()}`);
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForFunction(() => 'erasing' in globalThis);
    for (const [k, m] of CODES) {
      report(`  ${k}+${m}`);
      const speeds = await page.evaluate(
        ([data, parity, rounds]) => erasing.compare(data, parity, rounds),
        [k, m, ROUNDS] as const,
      );
      reportSpeeds(report, speeds);
    }
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}
