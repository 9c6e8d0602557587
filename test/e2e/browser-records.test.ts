import { randomUUID } from 'node:crypto';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser, noBrowser } from './support/browser.js';
import type { Records } from './support/browser-records-page/main.js';
import { type BuiltPage, buildPage } from './support/page.js';

declare const records: Records;

const here = (path: string) => new URL(`./support/${path}`, import.meta.url).pathname;
const title = `records in a browser${noBrowser === undefined ? '' : ` (${noBrowser})`}`;

describe.skipIf(noBrowser !== undefined)(title, () => {
  const cleanups: (() => Promise<unknown>)[] = [];
  let built: BuiltPage;
  let page: Page;
  let other: Page;

  const openPage = async (from: BrowserContext) => {
    const opened = await from.newPage();
    opened.setDefaultTimeout(60_000);
    await opened.goto(built.url);
    await opened.waitForFunction(() => 'records' in globalThis);
    return opened;
  };

  beforeAll(async () => {
    const shim = here('browser-records-page/vitest-in-browser.ts');
    built = await buildPage('browser-records-page', [{ find: 'vitest', replacement: shim }]);
    cleanups.push(() => built.close());
    const launched = await launchBrowser();
    cleanups.push(launched.close);
    // Two tabs of one profile.
    const context = await launched.browser.newContext();
    page = await openPage(context);
    other = await openPage(context);
  });

  afterAll(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  it('pass the tests that those in LMDB, SQLite and PostgreSQL pass', async () => {
    const names = await page.evaluate(() => records.names());
    expect(names.length).toBeGreaterThanOrEqual(6);
    for (const name of names) {
      await page
        .evaluate((one) => records.run(one), name)
        .catch((error: Error) => {
          throw new Error(`${name}: ${error.message}`, { cause: error });
        });
    }
  });

  it('are changed by one of two tabs at a time, and put on the disk where that was asked for', async () => {
    const name = `shared ${randomUUID()}`; // Nobody has counted in it before.
    await page.evaluate(() => records.durabilities.splice(0));
    const counts = await Promise.all(
      [page, other].map((tab) => tab.evaluate((one) => records.countUp(one, 60), name)),
    );
    expect(Math.max(...counts)).toBe(120);
    expect(new Set(await page.evaluate(() => records.durabilities.splice(0)))).toEqual(
      new Set(['strict']),
    );
    await page.evaluate(() => records.writeRelaxed());
    expect(await page.evaluate(() => records.durabilities)).toEqual(['relaxed']);
  });

  it('keep the rows of a book of payments the same in two tabs', async () => {
    const book = `book ${randomUUID()}`;
    for (const tab of [page, other]) await tab.evaluate((name) => records.openRows(name), book);
    await Promise.all([
      page.evaluate(() => records.addRows(40, 'a')),
      other.evaluate(() => records.addRows(40, 'b')),
    ]);
    await expect(page.evaluate(() => records.failRows())).rejects.toThrow('no');
    for (const tab of [page, other]) {
      // Reads outside of transactions learn of what others did by a message.
      await tab.waitForFunction(() => records.sum() === '80');
      const [a, b] = await tab.evaluate(() => [records.range('a/'), records.range('b/')]);
      expect([...a!, ...b!].map(([, sum]) => Number(sum)).sort((x, y) => x - y)).toEqual(
        Array.from({ length: 80 }, (_, i) => i),
      );
      const some = await tab.evaluate(() => records.range('a/', 'a/0038'));
      expect(some.map(([key]) => key)).toEqual(['a/0038', 'a/0039']);
    }
    await other.evaluate(() => records.removeRow('a/0038'));
    await page.waitForFunction(() => records.range('a/', 'a/0038').length === 1);
    // Who comes later finds it all.
    await page.evaluate(() => records.closeRows());
    await page.evaluate((name) => records.openRows(name), book);
    expect(await page.evaluate(() => records.sum())).toBe('80');
    // More than is kept for catching up.
    await other.evaluate(() => records.closeRows());
    await page.evaluate(() => records.addRows(1100, 'c'));
    await other.evaluate((name) => records.openRows(name), book);
    expect(await other.evaluate(() => records.sum())).toBe('1180');
    expect(await other.evaluate(() => records.range('c/').length)).toBe(1100);
  });
});
