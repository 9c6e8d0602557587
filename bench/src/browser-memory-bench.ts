import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { type Page, chromium } from 'playwright-core';
import { CHROMIUM, browserProcesses, buildPage, startNetwork } from './chromium-lab.js';
import { serveFiles } from './page-files.js';

const GIB = 1024 ** 3;
const SIZE = Number(process.env['BENCH_BYTES'] ?? 2 * GIB);
const SAMPLE_MS = 500;

/** What main.js of the page offers. */
interface Measured {
  open(bootstrap: string[], name: string): Promise<void>;
  prepare(size: number): Promise<void>;
  put(): Promise<number>;
  get(): Promise<number>;
  memory(): Promise<number | null>;
  close(): Promise<void>;
}
declare const measured: Measured;

/** Memory of the tab: the largest renderer process, in MB. */
async function tabMemory(): Promise<number> {
  const renderers = (await browserProcesses()).filter(({ type }) => type === 'renderer');
  return Math.max(0, ...renderers.map(({ rss }) => rss)) / 1000;
}

/** What a step of a page took: time, and memory of the tab before, in the middle and at most. */
interface Step {
  readonly ms: number;
  readonly before: number;
  readonly median: number;
  readonly peak: number;
  /** By `performance.measureUserAgentSpecificMemory`, in MB, at the end; undefined where it is not there. */
  readonly script: number | undefined;
}

async function watch(page: Page, work: () => Promise<unknown>): Promise<Step> {
  const before = await tabMemory();
  const samples: number[] = [];
  let over = false;
  const sampling = (async () => {
    while (!over) {
      samples.push(await tabMemory());
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  })();
  const begun = performance.now();
  try {
    await work();
  } finally {
    over = true;
  }
  const ms = performance.now() - begun;
  await sampling;
  const bytes = await page.evaluate(() => measured.memory());
  samples.sort((a, b) => a - b);
  return {
    ms,
    before,
    median: samples[Math.floor(samples.length / 2)] ?? before,
    peak: samples.at(-1) ?? before,
    script: bytes === null ? undefined : bytes / 1e6,
  };
}

/** Memory of a tab that puts and gets a file of 2 GiB (`BENCH_BYTES`), on farmer processes of this machine. */
export async function benchBrowserMemory(report: (line: string) => void): Promise<void> {
  if (!existsSync(CHROMIUM)) return report(`  skipped: ${CHROMIUM} is not installed`);
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-'));
  const cleanups: (() => unknown)[] = [() => rm(directory, { recursive: true, force: true })];
  try {
    const outDir = await buildPage(directory);
    const network = await startNetwork();
    cleanups.push(() => network.stop());
    // measureUserAgentSpecificMemory wants a page that is isolated from others.
    const { url, close } = await serveFiles(outDir, {
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
    });
    cleanups.push(close);
    // A profile of its own on the disk: one in memory would hold the file there.
    const context = await chromium.launchPersistentContext(join(directory, 'profile'), {
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu'],
    });
    cleanups.push(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(0);
    await page.goto(url);
    await page.waitForFunction(() => 'measured' in globalThis);
    const addresses = network.farmers.flatMap(({ browsers }) =>
      browsers.filter((address) => address.startsWith('ws')),
    );
    await page.evaluate((some) => measured.open(some, 'memory'), addresses.slice(0, 3));
    await page.evaluate((size) => measured.prepare(size), SIZE);
    report(
      `  file of ${(SIZE / GIB).toFixed(2)} GiB, 4/6/10/12 on 12 farmers of this machine, WebSockets; ` +
        'RSS of the tab’s process, in MB',
    );
    for (const [name, work] of [
      ['put', () => page.evaluate(() => measured.put())],
      ['get', () => page.evaluate(() => measured.get())],
    ] as const) {
      const { ms, before, median, peak, script } = await watch(page, work);
      report(
        `  ${name}: ${(ms / 1000).toFixed(0)} s (${(SIZE / 1000 / ms).toFixed(1)} MB/s); ` +
          `${before.toFixed(0)} before, ${median.toFixed(0)} in the middle (median), ` +
          `${peak.toFixed(0)} at most` +
          (script === undefined
            ? ''
            : `; ${script.toFixed(0)} MB of it by the browser’s own count after`),
      );
    }
    await page.evaluate(() => measured.close());
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}
