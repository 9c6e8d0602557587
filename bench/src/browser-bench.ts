import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { gzipSync } from 'node:zlib';
import { type Browser, type Page, chromium } from 'playwright-core';
import { build } from 'vite';
import { silentLogger } from '@granary/kad';
import { Renter, RenterKeys } from '@granary/renter';

const GRANARY = new URL('../../packages/cli/bin/granary.mjs', import.meta.url).pathname;
const PAGE = new URL('../browser-page', import.meta.url).pathname;
const CHROMIUM = '/usr/bin/chromium';
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

const median = (values: number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Memory of the browser's processes, in MB: what is theirs alone, and their share of the rest. */
async function memoryOf(): Promise<number> {
  let kilobytes = 0;
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8');
      if (!/^\S*chromium/.test(command) || !(await isOurs(pid))) continue;
      const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
      kilobytes += Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1] ?? 0);
    } catch {
      // It has just ended.
    }
  }
  return kilobytes / 1000;
}

/** Whether a process came from this one. */
async function isOurs(pid: string): Promise<boolean> {
  for (let at = pid; at !== '0' && at !== '1';) {
    if (at === String(process.pid)) return true;
    at = /^PPid:\s+(\d+)/m.exec(await readFile(`/proc/${at}/status`, 'utf8'))?.[1] ?? '0';
  }
  return false;
}

async function serve(folder: string): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://x').pathname);
    if (path === '/data') {
      response.writeHead(200, { 'content-length': SIZE });
      const part = randomBytes(1024 * 1024);
      let left = SIZE;
      const write = () => {
        while (left > 0) {
          const some = part.subarray(0, Math.min(left, part.length));
          left -= some.length;
          if (!response.write(some)) return void response.once('drain', write);
        }
        response.end();
      };
      return write();
    }
    readFile(join(folder, path === '/' ? 'index.html' : path)).then(
      (body) => {
        const script = extname(path) === '.js';
        response.writeHead(200, { 'content-type': script ? 'text/javascript' : 'text/html' });
        response.end(body);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`a process ended with ${code}`)));
    createInterface({ input: child.stdout! }).once('line', resolve);
  });
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
    const outDir = join(directory, 'page');
    await build({
      configFile: false,
      root: PAGE,
      logLevel: 'warn',
      build: { outDir, target: 'es2023' },
    });
    for (const name of await readdir(join(outDir, 'assets'))) {
      const code = await readFile(join(outDir, 'assets', name));
      report(`  ${name}: ${code.length} bytes, ${gzipSync(code).length} gzipped`);
    }
    const network = spawn(process.execPath, [GRANARY, 'network', '--browsers', '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    cleanups.push(async () => {
      network.kill('SIGTERM');
      await new Promise((resolve) => network.once('exit', resolve));
    });
    const { bootstrap, farmers } = JSON.parse(await firstLine(network)) as {
      bootstrap: string;
      farmers: { browsers: string[] }[];
    };
    const { server, url } = await serve(outDir);
    cleanups.push(() => {
      server.close();
      server.closeAllConnections();
    });
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
