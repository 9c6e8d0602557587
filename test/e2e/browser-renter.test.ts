import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateWords } from '@granary/renter';
import { isRetry } from './support/anew.js';
import { launchBrowser, noBrowser } from './support/browser.js';
import { TestNetwork, granary, granaryJson, kill, until, shardFiles } from './support/granary.js';
import { type BuiltPage, buildPage, scriptsOf } from './support/page.js';
import { pattern } from './support/pattern.js';

interface Failure {
  code: string;
  message: string;
}
interface Put {
  sha256: string;
  resumedSegments: number;
  shards: number;
  garbage: { pending: unknown[] };
  indexFailure: string | null;
  ms: number;
}
interface Got {
  size: number;
  sha256: string;
}
interface Progress {
  bytes: number;
  total?: number;
  segments: number;
}
/** What main.js of the page offers. */
interface Renting {
  open(options: { words: string; bootstrap: readonly string[]; settings?: object }): Promise<void>;
  put(name: string, size: number, seed: number, type?: string): Promise<Put & Partial<Failure>>;
  begin(name: string, size: number, seed: number, from: number): void;
  ended(): Promise<Put>;
  progress(): Progress | undefined;
  get(name: string, range?: { offset: number; length: number }): Promise<Got & Partial<Failure>>;
  getToFile(name: string): Promise<Got>;
  list(): Promise<{ name: string; size: number }[]>;
  delete(name: string): Promise<{ confirmed: number; pending: unknown[] } & Partial<Failure>>;
  recover(): Promise<{ objects: number; bytes: number; unreachable: unknown[] }>;
  standings(): Promise<{ nodeId: string; explanation: string }[]>;
  status(): Promise<{ unfinishedUploads: { resumable: boolean }[]; pendingDeletes: number }>;
  close(): Promise<void>;
}
declare const renting: Renting;

const MB = 1_000_000;
/** Objects of the test: their sizes, and what their bytes are made from. */
const FILM = [24 * MB, 1] as const;
const NOTE = [300_000, 2] as const;
const BIG = [64 * MB, 3] as const;
const redundancy = { k: 3, repair: 4, success: 8, n: 8 };

const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const hashes = (object: readonly [number, number]) => hashOf(pattern(...object));

const title = `a renter in a browser${noBrowser === undefined ? '' : ` (${noBrowser})`}`;

describe.skipIf(noBrowser !== undefined)(title, () => {
  const words = generateWords();
  const cleanups: (() => Promise<unknown>)[] = [];
  const problems: string[] = [];
  let network: TestNetwork;
  let built: BuiltPage;
  let clean: () => Promise<BrowserContext>;
  let tabs: BrowserContext;
  let page: Page;

  const openPage = async (context: BrowserContext, scheme = 'ws'): Promise<Page> => {
    const opened = await context.newPage();
    opened.setDefaultTimeout(60_000);
    if (scheme === 'webrtc') {
      await opened.addInitScript(() => Reflect.deleteProperty(globalThis, 'WebSocket'));
    }
    opened.on('pageerror', (error) => problems.push(String(error)));
    opened.on('console', (message) => {
      // Connections to farmers that were killed; the browser says so by itself.
      const text = message.text();
      if (message.type() === 'error' && !text.includes('ERR_CONNECTION')) problems.push(text);
    });
    await opened.goto(built.url);
    await opened.waitForFunction(() => 'renting' in globalThis);
    const bootstrap = network.farmers
      .flatMap(({ browsers }) => browsers.filter((address) => address.startsWith(scheme)))
      .slice(-3);
    await opened.evaluate((options) => renting.open(options), {
      words,
      bootstrap,
      settings: { scheme: redundancy },
    });
    return opened;
  };

  beforeAll(async () => {
    network = await TestNetwork.start(8, ['--browser-port', '0']);
    cleanups.push(() => network.stop());
    built = await buildPage('browser-renter-page');
    cleanups.push(() => built.close());
    const { browser, close } = await launchBrowser();
    cleanups.push(close);
    clean = () => browser.newContext();
    tabs = await clean();
    page = await openPage(tabs);
  });

  afterAll(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  it('has bundles of its own, without parts of Node', async () => {
    const scripts = await scriptsOf(built);
    // The page, and the worker for segments.
    expect(scripts).toHaveLength(2);
    for (const { name, bytes, gzipped, code } of scripts) {
      console.log(`${name}: ${bytes} bytes, ${gzipped} gzipped`);
      expect(code).not.toContain('Buffer.from');
      expect(code).not.toMatch(/["'`]node:/);
      expect(code).not.toContain('__vite-browser-external');
    }
  });

  it('stores files and streams, reads them back whole and in part, lists and deletes', async () => {
    const film = await page.evaluate(([size, seed]) => renting.put('film', size, seed), FILM);
    expect(film).toMatchObject({ sha256: hashes(FILM), indexFailure: null });
    const note = await page.evaluate(
      ([size, seed]) => renting.put('note', size, seed, 'stream'),
      NOTE,
    );
    expect(note).toMatchObject({ sha256: hashes(NOTE), indexFailure: null });
    expect(await page.evaluate(() => renting.list())).toEqual([
      { name: 'film', size: FILM[0] },
      { name: 'note', size: NOTE[0] },
    ]);
    expect(await page.evaluate(() => renting.get('film'))).toMatchObject({
      size: FILM[0],
      sha256: hashes(FILM),
    });
    const range = { offset: 9_999_999, length: 2_000_003 };
    const part = pattern(...FILM).subarray(range.offset, range.offset + range.length);
    expect(await page.evaluate((some) => renting.get('film', some), range)).toMatchObject({
      size: range.length,
      sha256: hashOf(part),
    });
    const deleted = await page.evaluate(() => renting.delete('note'));
    expect(deleted).toMatchObject({ confirmed: 8, pending: [], indexFailure: null });
    expect(await page.evaluate(() => renting.get('note'))).toMatchObject({
      code: 'RENTER_NOT_FOUND',
    });
  });

  it('reaches farmers over data channels, where a page can open no WebSocket', async () => {
    const other = await openPage(tabs, 'webrtc');
    const film = await other.evaluate(() => renting.get('film'));
    expect(film).toMatchObject({ size: FILM[0], sha256: hashes(FILM) });
    const put = await other.evaluate(([size, seed]) => renting.put('by rtc', size, seed), NOTE);
    expect(put).toMatchObject({ sha256: hashes(NOTE), indexFailure: null });
    expect(await page.evaluate(() => renting.get('by rtc'))).toMatchObject({
      sha256: hashes(NOTE),
    });
    const deleted = await other.evaluate(() => renting.delete('by rtc'));
    expect(deleted).toMatchObject({ confirmed: 8, pending: [], indexFailure: null });
    await other.evaluate(() => renting.close());
    await other.close();
  });

  it('reads what Node put with the same words, and Node what the page put', async () => {
    const home = join(network.directory, 'same-words');
    const init = await granary(['init', '--words', words, '--json'], { home });
    expect(init.code, init.stderr).toBe(0);
    const bootstrap = network.farmers.slice(0, 3).map(({ address }) => address);
    await writeFile(join(home, 'config.json'), JSON.stringify({ bootstrap, scheme: '3/4/8/8' }));
    await granaryJson(['recover'], home);
    const copy = join(network.directory, 'copy');
    await granaryJson(['get', 'web/film', copy], home);
    expect(hashOf(await readFile(copy))).toBe(hashes(FILM));
    const source = join(network.directory, 'note');
    await writeFile(source, pattern(...NOTE));
    await granaryJson(['put', source, 'web/from node'], home);

    tabs = await clean();
    page = await openPage(tabs);
    expect(await page.evaluate(() => renting.recover())).toMatchObject({
      objects: 2,
      bytes: FILM[0] + NOTE[0],
      unreachable: [],
    });
    expect(await page.evaluate(() => renting.get('from node'))).toMatchObject({
      sha256: hashes(NOTE),
    });
  });

  it('goes on with a put whose tab was killed in the middle', async ({ task }) => {
    if (isRetry(task)) {
      await page.close();
      page = await openPage(tabs);
    }
    // The last quarter never comes, so that the put is in the middle however fast it is.
    await page.evaluate(([size, seed]) => renting.begin('big', size, seed, 48_000_000), BIG);
    await page.waitForFunction(() => (renting.progress()?.segments ?? 0) >= 2);
    const crashed = new Promise((resolve) => page.once('crash', resolve));
    await page.goto('chrome://crash').catch(() => undefined);
    await crashed;
    page = await openPage(tabs);
    expect((await page.evaluate(() => renting.status())).unfinishedUploads).toMatchObject([
      { resumable: true },
    ]);
    const big = await page.evaluate(([size, seed]) => renting.put('big', size, seed), BIG);
    expect(big).toMatchObject({
      sha256: hashes(BIG),
      indexFailure: null,
      garbage: { pending: [] },
    });
    expect(big.resumedSegments).toBeGreaterThanOrEqual(2);
    expect((await page.evaluate(() => renting.status())).unfinishedUploads).toEqual([]);
  });

  it('is one renter in two tabs', async () => {
    const other = await openPage(tabs);
    const [a, b] = await Promise.all([
      page.evaluate(([size, seed]) => renting.put('tab a', size, seed), NOTE),
      other.evaluate(([size, seed]) => renting.put('tab b', size, seed), NOTE),
    ]);
    for (const put of [a, b])
      expect(put).toMatchObject({ sha256: hashes(NOTE), indexFailure: null });
    const names = ['big', 'film', 'from node', 'tab a', 'tab b'];
    for (const tab of [page, other]) {
      expect((await tab.evaluate(() => renting.list())).map(({ name }) => name)).toEqual(names);
    }
    expect(await page.evaluate(() => renting.get('tab b'))).toMatchObject({ sha256: hashes(NOTE) });
    await other.close();
  });

  it('finds out a farmer that lies', async () => {
    const liar = network.farmers[0]!;
    for (const path of await shardFiles([liar])) {
      const bytes = await readFile(path);
      bytes.fill(0x55, 50_000, 50_100);
      await writeFile(path, bytes);
    }
    // Two honest farmers answer, and one is made to wait: what the liar sends is relied upon, and has to be refused.
    for (const farmer of network.farmers.slice(1, 5)) await kill(farmer);
    const late = network.farmers[5]!;
    const share = async () => {
      const standings = await page.evaluate(() => renting.standings());
      const { explanation } = standings.find(({ nodeId }) => nodeId === liar.nodeId)!;
      const found = /([\d.]+) % of its last transfers went well/.exec(explanation);
      return { share: Number(found?.[1]), explanation };
    };
    late.child.kill('SIGSTOP');
    const reading = page.evaluate(() => renting.get('film'));
    reading.catch(() => undefined);
    try {
      await until('the liar is found out', async () => (await share()).share < 90);
    } finally {
      late.child.kill('SIGCONT');
    }
    expect(await reading).toMatchObject({ sha256: hashes(FILM) });
    const after = await share();
    expect(after.share, after.explanation).toBeLessThan(90);
  });

  it('reads after a reload when n - k farmers are gone, into a file of its own, too', async () => {
    for (const farmer of network.farmers.slice(0, redundancy.n - redundancy.k)) await kill(farmer);
    await page.close();
    page = await openPage(tabs);
    expect(await page.evaluate(() => renting.get('big'))).toMatchObject({
      size: BIG[0],
      sha256: hashes(BIG),
    });
    expect(await page.evaluate(() => renting.getToFile('film'))).toMatchObject({
      size: FILM[0],
      sha256: hashes(FILM),
    });
  });

  it('met no error on the way', () => {
    expect(problems).toEqual([]);
  });
});
