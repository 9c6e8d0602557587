import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectNoFaults, loadAxe } from './support/accessibility.js';
import { isRetry } from './support/anew.js';
import { launchBrowser, noBrowser } from './support/browser.js';
import { GRANARY, granaryJson, realFile } from './support/granary.js';

/** What a process says when it is ready. */
interface Ready {
  readonly dashboard: string;
  readonly home: string;
  readonly bootstrap: string;
  readonly farmers: readonly { readonly nodeId: string; readonly pid: number }[];
}

interface Running {
  readonly child: ChildProcess;
  readonly ready: Ready;
}

function start(args: readonly string[], home: string): Promise<Running> {
  const child = spawn(process.execPath, [GRANARY, ...args, '--json', '--log-level', 'error'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, GRANARY_HOME: home, GRANARY_BOOTSTRAP: '', GRANARY_DASHBOARD: '0' },
  });
  let complaint = '';
  child.stderr.on('data', (part: Buffer) => (complaint += part.toString()));
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code}: ${complaint}`)));
    createInterface({ input: child.stdout }).once('line', (line) => {
      resolve({ child, ready: JSON.parse(line) as Ready });
    });
  });
}

async function stop({ child }: Running, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

describe.skipIf(noBrowser !== undefined)(`dashboards in Chromium ${noBrowser ?? ''}`, () => {
  let directory: string;
  let network: Running;
  let bridge: Running;
  let farmer: Running;
  let launched: { browser: Browser; close(): Promise<void> };
  let context: BrowserContext;
  const pages = new Map<string, Page>();
  const problems: string[] = [];
  let axe: string;

  /** Open a dashboard and note everything that should not happen in it. */
  async function open(name: string, url: string): Promise<Page> {
    const page = await context.newPage();
    const { origin } = new URL(url);
    page.on('pageerror', (error) => problems.push(`${name}: ${error.message}`));
    page.on('console', (message) => {
      // A server that was killed by the test is no problem of the page.
      const gone = /ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|401 \(Unauthorized\)/;
      if (gone.test(message.text())) return;
      if (message.type() === 'error' || message.type() === 'warning') {
        problems.push(`${name}: ${message.text()}`);
      }
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(`${origin}/`)) problems.push(`${name} asks ${request.url()}`);
    });
    await page.exposeFunction('noteViolation', (what: string) => problems.push(`${name}: ${what}`));
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        const { noteViolation } = globalThis as unknown as { noteViolation(what: string): void };
        noteViolation(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
    await page.goto(url);
    await page.locator('.live', { hasText: /^live$/ }).waitFor();
    await page.locator('.tiles').waitFor();
    // The token is not left where others look.
    expect(page.url()).toBe(`${origin}/`);
    pages.set(name, page);
    return page;
  }

  const headlineOf = (page: Page) => page.locator('.headline h1');
  const says = async (page: Page, text: string | RegExp) => {
    const headline = headlineOf(page);
    await headline
      .filter({ hasText: text })
      .waitFor({ timeout: 120_000 })
      .catch(async (error: unknown) => {
        throw new Error(`it says “${await headline.textContent()}”`, { cause: error });
      });
  };

  beforeAll(async () => {
    if (noBrowser !== undefined) return;
    directory = await mkdtemp(join(tmpdir(), 'granary-dashboard-'));
    axe = await loadAxe();
    const launching = launchBrowser();
    network = await start(['network', '--farmers', '5'], '/nonexistent');
    const { home, bootstrap } = network.ready;
    await writeFile(
      join(home, 'config.json'),
      JSON.stringify({ bootstrap: [bootstrap], scheme: '2/3/4/4', diversity: 'prefer' }),
    );
    const data = join(directory, 'farmer');
    await realFile(join(directory, 'file'), 300_000);
    [farmer, bridge] = await Promise.all([
      start(['farm', '--data', data, '--bootstrap', bootstrap], '/nonexistent'),
      start(['bridge', '--listen', '127.0.0.1:0'], home),
      granaryJson(['put', join(directory, 'file'), 'secret-bucket/secret-name'], home),
    ]);
    launched = await launching;
    context = await launched.browser.newContext({ colorScheme: 'light' });
    context.setDefaultTimeout(60_000);
  });
  afterAll(async () => {
    await launched?.close();
    for (const running of [bridge, farmer, network]) {
      if (running !== undefined) await stop(running);
    }
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  });

  it('say in one sentence how things are, and then in detail', async () => {
    const [ofNetwork, ofBridge, ofFarmer] = await Promise.all([
      open('network', network.ready.dashboard),
      open('bridge', bridge.ready.dashboard),
      open('farmer', farmer.ready.dashboard),
    ]);
    await says(ofNetwork, 'Everything is fine: all 5 farmers run');
    await says(ofBridge, /Everything is fine: \d+ objects? .*could lose at least 2 more farmers/);
    await says(ofFarmer, /^(Ready|Everything is fine): /);
    await ofBridge.locator('.strip[aria-label^="4 of 4 shards healthy"]').first().waitFor();
    // It gets to know them one after the other.
    const peers = () => ofFarmer.locator('.map-picture .peer').count();
    await expect.poll(peers, { timeout: 60_000 }).toBeGreaterThanOrEqual(5);
    // Names are shown to who asks for them only.
    expect(await ofBridge.content()).not.toContain('secret-');
  });

  it('have no faults that axe finds, in light and dark, wide and narrow', async () => {
    for (const [name, page] of pages) {
      await expectNoFaults(page, axe, name, [
        [1280, 'light'],
        [390, 'dark'],
        [1280, 'dark'],
      ]);
    }
  });

  it('can be used by keyboard alone, with the focus to be seen', async () => {
    for (const [name, page] of pages) {
      await page.bringToFront();
      await page.evaluate(() => {
        const active = document.activeElement;
        if (active instanceof HTMLElement) active.blur();
        document
          .querySelectorAll<HTMLElement>('a[href], button:not(:disabled), [tabindex="0"]')
          .forEach((element) => element.checkVisibility() && (element.dataset['unreached'] = ''));
      });
      const count = await page.locator('[data-unreached]').count();
      expect(count).toBeGreaterThan(5);
      // Once round; once more when a list was put in another order meanwhile.
      const unreached = () => page.locator('[data-unreached]').count();
      for (let i = 0; i < count + 20 || (i < 3 * count && (await unreached()) > 0); i += 1) {
        await page.keyboard.press('Tab');
        const outline = await page.evaluate(() => {
          const active = document.activeElement as HTMLElement;
          delete active.dataset['unreached'];
          return active === document.body ? 'body' : getComputedStyle(active).outlineStyle;
        });
        expect([name, outline]).not.toEqual([name, 'none']);
      }
      const left = await page
        .locator('[data-unreached]')
        .evaluateAll((elements) => elements.map((element) => element.outerHTML.slice(0, 200)));
      expect([name, left]).toEqual([name, []]);
    }
    const page = pages.get('network')!;
    // A plot is read off by the arrow keys.
    const plot = page.getByRole('slider', { name: 'Stored bytes over time' });
    await plot.focus();
    // There are some points of time by now, or soon.
    const newest = () => plot.getAttribute('aria-valuenow');
    await expect.poll(newest, { timeout: 60_000 }).not.toBe('0');
    await page.keyboard.press('Home');
    await page.locator('[role="slider"][aria-valuenow="0"]').waitFor();
    // The theme changes by a key.
    await page.getByRole('button', { name: 'Theme' }).focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await page.locator('html[data-theme="dark"]').waitFor({ state: 'attached' });
  });

  it('show a farmer that is killed without being loaded again', async () => {
    for (const page of pages.values()) {
      await page.evaluate(() => ((globalThis as { mark?: boolean }).mark = true));
    }
    const [ofNetwork, ofBridge, ofFarmer] = ['network', 'bridge', 'farmer'].map((name) =>
      pages.get(name),
    ) as [Page, Page, Page];
    // One that the bridge and the farmer know by now; which do is chance.
    const [, , victim] = network.ready.farmers;
    const id = victim!.nodeId.slice(0, 12);
    await Promise.all(
      [ofBridge, ofFarmer].map((page) =>
        page.locator('tr', { hasText: id }).first().waitFor({ timeout: 120_000 }),
      ),
    );
    try {
      process.kill(victim!.pid, 'SIGKILL');
    } catch {
      // A first try has killed it.
    }
    await Promise.all([
      says(ofNetwork, `1 farmer of 5 is gone (${id}: SIGKILL)`),
      // The bridge may not have met the farmer that came last.
      says(ofBridge, new RegExp(`1 farmer of [56] does not answer \\(${id}\\)`)),
      ofFarmer
        .locator('tr', { hasText: id })
        .filter({ hasText: 'does not answer' })
        .waitFor({ timeout: 120_000 }),
    ]);
    await ofFarmer.locator('.map-picture .peer.silent').waitFor();
    for (const page of pages.values()) {
      expect(await page.evaluate(() => (globalThis as { mark?: boolean }).mark)).toBe(true);
    }
  });

  it('say so when the process is gone, and when it is there again as another', async ({ task }) => {
    const page = pages.get('farmer')!;
    if (isRetry(task)) await page.goto(farmer.ready.dashboard);
    const { port } = new URL(farmer.ready.dashboard);
    await stop(farmer, 'SIGKILL');
    await says(page, 'The connection to granary is lost.');
    farmer = await start(
      [
        ...['farm', '--data', join(directory, 'farmer'), '--bootstrap', network.ready.bootstrap],
        ...['--dashboard', port],
      ],
      '/nonexistent',
    );
    await says(page, 'Granary was started again and does not know this window.');
    await page.goto(farmer.ready.dashboard);
    await page.locator('.live', { hasText: /^live$/ }).waitFor();
  });

  it('met no error, no breach of the policy, and asked nobody else', () => {
    expect(problems).toEqual([]);
  });
});
