import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { gzipSync } from 'node:zlib';
import { type Browser, type Page, chromium } from 'playwright-core';
import { silentLogger } from '@granary/kad';
import { Renter, RenterKeys } from '@granary/renter';
import { CHROMIUM, browserProcesses, buildPage, startNetwork } from './chromium-lab.js';
import { median } from './median.js';
import { serveFiles } from './page-files.js';

const SIZE = Number(process.env['BENCH_BYTES'] ?? 128 * 1024 * 1024);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);

/** What main.js of the page offers. */
interface Measured {
  open(bootstrap: string[], name: string): Promise<void>;
  prepare(size: number): Promise<void>;
  put(): Promise<number>;
  get(): Promise<number>;
  fetch(url: string): Promise<number>;
  close(): Promise<void>;
}
declare const measured: Measured;

/** Memory of the browser's processes, in MB: what is theirs alone, and their share of the rest. */
async function memoryOf(): Promise<number> {
  return (await browserProcesses()).reduce((sum, { pss }) => sum + pss, 0) / 1000;
}

/** Answer with so many bytes that don't shrink. */
function sendBytes(response: ServerResponse, size: number): void {
  response.writeHead(200, { 'content-length': size });
  const part = randomBytes(1024 * 1024);
  let left = size;
  const write = () => {
    while (left > 0) {
      const some = part.subarray(0, Math.min(left, part.length));
      left -= some.length;
      if (!response.write(some)) return void response.once('drain', write);
    }
    response.end();
  };
  write();
}

async function openPage(browser: Browser, url: string, scheme: string): Promise<Page> {
  const page = await browser.newPage();
  if (scheme === 'webrtc') {
    await page.addInitScript(() => Reflect.deleteProperty(globalThis, 'WebSocket'));
  }
  await page.goto(url);
  await page.waitForFunction(() => 'measured' in globalThis);
  return page;
}

/** Put and get in Chromium, over WebSockets and over data channels, beside Node's and a plain `fetch`. */
export async function benchBrowser(report: (line: string) => void): Promise<void> {
  if (!existsSync(CHROMIUM)) return report(`  skipped: ${CHROMIUM} is not installed`);
  const directory = await mkdtemp(join(tmpdir(), 'granary-bench-'));
  const cleanups: (() => unknown)[] = [() => rm(directory, { recursive: true, force: true })];
  try {
    const outDir = await buildPage(directory);
    for (const name of await readdir(join(outDir, 'assets'))) {
      const code = await readFile(join(outDir, 'assets', name));
      report(`  ${name}: ${code.length} bytes, ${gzipSync(code).length} gzipped`);
    }
    const { bootstrap, farmers, stop } = await startNetwork();
    cleanups.push(stop);
    const { url, close } = await serveFiles(outDir, {}, (path, _request, response) => {
      if (path !== '/data') return false;
      sendBytes(response, SIZE);
      return true;
    });
    cleanups.push(close);
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu'],
    });
    cleanups.push(() => browser.close());
    const times: Record<string, number[]> = {};
    const note = (name: string, ms: number) => (times[name] ??= []).push(ms);
    let peak = 0;
    const watch = setInterval(() => {
      void memoryOf().then((now) => (peak = Math.max(peak, now)));
    }, 250);
    cleanups.push(() => clearInterval(watch));
    for (const scheme of ['ws', 'webrtc']) {
      const page = await openPage(browser, url, scheme);
      const addresses = farmers.flatMap(({ browsers }) =>
        browsers.filter((address) => address.startsWith(scheme)),
      );
      await page.evaluate(([some, name]) => measured.open(some, name), [
        addresses.slice(0, 3),
        scheme,
      ] as const);
      await page.evaluate((size) => measured.prepare(size), SIZE);
      const before = await memoryOf();
      peak = before;
      for (let round = 0; round < ROUNDS; round += 1) {
        note(`Chromium, ${scheme}: put`, await page.evaluate(() => measured.put()));
        note(`Chromium, ${scheme}: get`, await page.evaluate(() => measured.get()));
        note('Chromium: fetch', await page.evaluate((u) => measured.fetch(`${u}data`), url));
      }
      report(
        `  memory of the browser over ${scheme}: ${before.toFixed(0)} MB before, ${peak.toFixed(0)} MB at most`,
      );
      await page.evaluate(() => measured.close());
      await page.close();
    }
    const source = join(directory, 'source');
    await writeFile(source, randomBytes(SIZE));
    const renter = await Renter.open({
      directory: join(directory, 'renter'),
      keys: RenterKeys.fromEntropy(randomBytes(32)),
      bootstrap: [bootstrap],
      logger: silentLogger,
    });
    const path = { bucket: 'bench', name: 'object' };
    for (let round = 0; round < ROUNDS; round += 1) {
      let begun = performance.now();
      await renter.put(path, { kind: 'file', path: source });
      note('Node: put', performance.now() - begun);
      begun = performance.now();
      for await (const part of renter.get(path)) void part;
      note('Node: get', performance.now() - begun);
    }
    await renter.close();
    report(
      `  object of ${(SIZE / 1024 / 1024).toFixed(0)} MiB, 4/6/10/12 on 12 farmers of this machine, median of ${ROUNDS}`,
    );
    for (const [name, all] of Object.entries(times)) {
      report(`  ${name.padEnd(24)} ${(SIZE / 1000 / median(all)).toFixed(1).padStart(8)} MB/s`);
    }
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}
