import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Browser, BrowserContext, Download, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { expectNoFaults, loadAxe } from './support/accessibility.js';
import { isRetry } from './support/anew.js';
import { launchBrowser, noBrowser } from './support/browser.js';
import { GRANARY } from './support/granary.js';
import { pattern } from './support/pattern.js';

// Less than other networks of processes have: what hangs here is to be heard of soon.
vi.setConfig({ testTimeout: 240_000 });

/** What `granary network` says when it is ready. */
interface Ready {
  readonly app: string;
  readonly farmers: readonly { readonly nodeId: string; readonly pid: number }[];
}

const MB = 1_000_000;
/** Of 8 farmers any 3 are enough, and an upload has all 8. */
const SCHEME = { k: 3, n: 8, text: '3/4/8/8' };
/** The big file has three segments; the last begins behind this, and an upload is at 40 % when the first is stored. */
const LAST_SEGMENT = 30 * MB;
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** A minute of a tone that rises: a WAV file, which can be sought through. */
function wav(): Buffer {
  const [rate, seconds] = [22_050, 60];
  const data = Buffer.alloc(rate * seconds * 2);
  let phase = 0;
  for (let i = 0; i < rate * seconds; i += 1) {
    phase += (2 * Math.PI * (200 + (600 * i) / (rate * seconds))) / rate;
    data.writeInt16LE(Math.round(8000 * Math.sin(phase)), i * 2);
  }
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + data.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(rate, 24);
  head.writeUInt32LE(rate * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(data.length, 40);
  return Buffer.concat([head, data]);
}

describe.skipIf(noBrowser !== undefined)(`the web app in Chromium ${noBrowser ?? ''}`, () => {
  let directory: string;
  let network: ChildProcess;
  let ready: Ready;
  let launched: { browser: Browser; close(): Promise<void> };
  let context: BrowserContext;
  let page: Page;
  let axe: string;
  let words = '';
  let signedIn = false;
  let link = '';
  const problems: string[] = [];
  const big = pattern(40 * MB, 1);
  const tone = wav();

  async function cleanContext(): Promise<BrowserContext> {
    const made = await launched.browser.newContext({ colorScheme: 'light', acceptDownloads: true });
    const { origin } = new URL(ready.app);
    made.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(`${origin}/`) && !url.startsWith(`blob:${origin}/`)) {
        problems.push(`asks ${url}`);
      }
    });
    await made.exposeFunction('noteViolation', (what: string) => problems.push(what));
    await made.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        const { noteViolation } = globalThis as unknown as { noteViolation(what: string): void };
        noteViolation(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
    return made;
  }

  async function open(from = context, url = ready.app): Promise<Page> {
    const opened = await from.newPage();
    opened.setDefaultTimeout(60_000);
    opened.on('pageerror', (error) => problems.push(`${error.message} ${error.stack ?? ''}`));
    opened.on('console', (message) => {
      // Farmers that were killed, and the network that was taken away; the browser says so by itself.
      if (/ERR_CONNECTION|ERR_INTERNET_DISCONNECTED/.test(message.text())) return;
      // A read that had enough shards, or was over, when it had still to connect to one more farmer.
      if (/closed before the connection is established/.test(message.text())) return;
      // What the test asks the service worker for by itself, and should not get.
      if (/status of 4/.test(message.text()) && message.location().url.includes('/stream/')) return;
      if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
    });
    await opened.goto(url);
    return opened;
  }

  /** Drop files on the list, as a mouse would. */
  async function drop(on: Page, files: readonly { name: string; bytes: Buffer }[]): Promise<void> {
    const made = files.map(({ name, bytes }) => ({ name, base64: bytes.toString('base64') }));
    const transfer = await on.evaluateHandle((some) => {
      const dropped = new DataTransfer();
      for (const { name, base64 } of some) {
        const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
        dropped.items.add(new File([bytes], name, { lastModified: 1_700_000_000_000 }));
      }
      return dropped;
    }, made);
    for (const event of ['dragenter', 'dragover', 'drop']) {
      await on.dispatchEvent('.drop-zone', event, { dataTransfer: transfer });
    }
  }

  /**
   * Have a page wait, however fast it is: from a place on it reads nothing more of files that it uploads, and keeps
   * nothing more of what it downloads, until it is let go or gone.
   */
  const hold = (on: Page, from: number) =>
    on.evaluate((least) => {
      let letGo!: () => void;
      const wait = new Promise<void>((resolve) => (letGo = resolve));
      Object.assign(globalThis, { letGo });
      const held = new WeakSet<Blob>();
      const { slice, arrayBuffer } = Blob.prototype;
      Blob.prototype.slice = function (start = 0, ...rest) {
        const part = slice.call(this, start, ...rest);
        if (start >= least) held.add(part);
        return part;
      };
      Blob.prototype.arrayBuffer = async function () {
        if (held.has(this)) await wait;
        return arrayBuffer.call(this);
      };
      // The name of a piece begins with its place.
      const { createWritable } = FileSystemFileHandle.prototype;
      FileSystemFileHandle.prototype.createWritable = async function (...args) {
        if (parseInt(this.name, 10) >= least) await wait;
        return createWritable.apply(this, args);
      };
    }, from);
  const letGo = (on: Page) =>
    on.evaluate(() => (globalThis as unknown as { letGo(): void }).letGo());

  const row = (on: Page, name: string) =>
    on.locator('table.files tr').filter({ has: on.getByRole('button', { name, exact: true }) });
  const transferOf = (on: Page, name: string) =>
    on.locator('.transfer').filter({ hasText: name }).last();
  /** Wait until a transfer is so far, in per cent. */
  const isAt = (on: Page, verb: string, name: string, share: number) =>
    on.waitForFunction(
      ([label, least]) => {
        const bars = document.querySelectorAll(`[role="progressbar"][aria-label="${label}"]`);
        return Number([...bars].at(-1)?.getAttribute('aria-valuenow') ?? 0) >= Number(least);
      },
      [`${verb} of ${name}`, share] as const,
    );
  const isDone = (on: Page, name: string) =>
    transferOf(on, name)
      .locator('.badge', { hasText: /^done$/ })
      .waitFor({ timeout: 120_000 });
  const act = async (on: Page, name: string, action: string) => {
    await on.getByRole('button', { name: `Actions for ${name}`, exact: true }).click();
    await on.getByRole('menuitem', { name: action, exact: true }).click();
  };
  const bytesOf = async (download: Download) => readFile(await download.path());

  /** What axe finds, and whether anything sticks out to the side, in both themes and widths. */
  async function check(on: Page, view: string): Promise<void> {
    await expectNoFaults(on, axe, view, [
      [1280, 'light'],
      [390, 'dark'],
      [1280, 'dark'],
      [390, 'light'],
    ]);
    await on.emulateMedia({ colorScheme: 'light' });
  }

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'granary-web-app-'));
    await writeFile(join(directory, 'big.bin'), big);
    axe = await loadAxe();
    const launching = launchBrowser();
    const args = ['network', '--browsers', '--farmers', String(SCHEME.n), '--no-dashboard'];
    network = spawn(process.execPath, [GRANARY, ...args, '--json', '--log-level', 'error'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, GRANARY_HOME: '/nonexistent', GRANARY_BOOTSTRAP: '' },
    });
    ready = await new Promise<Ready>((resolve, reject) => {
      network.once('exit', (code) => reject(new Error(`the network ended with ${code}`)));
      createInterface({ input: network.stdout! }).once('line', (line) => {
        resolve(JSON.parse(line) as Ready);
      });
    });
    launched = await launching;
    context = await cleanContext();
    page = await open();
  });

  beforeEach(async ({ task }) => {
    if (!isRetry(task)) return;
    // Whatever the first try has left: a page as of somebody who comes back, with no transfers.
    await context.setOffline(false);
    await page.close();
    if (!signedIn) context = await cleanContext();
    else {
      const bare = await context.newPage();
      await bare.goto(new URL('network.json', ready.app).href);
      await bare.evaluate(async () => {
        const db = await new Promise<IDBDatabase>((resolve, reject) => {
          const asked = indexedDB.open('granary-app');
          asked.onsuccess = () => resolve(asked.result);
          asked.onerror = () => reject(new Error('no database'));
        });
        await new Promise((resolve) => {
          const change = db.transaction('transfers', 'readwrite');
          change.objectStore('transfers').clear();
          change.oncomplete = resolve;
        });
        db.close();
        const root = await navigator.storage.getDirectory();
        await root.removeEntry('granary-downloads', { recursive: true }).catch(() => undefined);
      });
      await bare.close();
    }
    page = await open();
    if (!signedIn) return;
    await page.getByRole('heading', { name: 'Buckets' }).waitFor();
    const files = page.getByRole('button', { name: 'files', exact: true });
    if (await files.isVisible()) await files.click();
  });

  afterAll(async () => {
    await launched?.close();
    if (network !== undefined && network.exitCode === null) {
      const gone = new Promise((resolve) => network.once('exit', resolve));
      network.kill('SIGTERM');
      await gone;
    }
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  });

  it('makes new words, and goes on when they were written down', async () => {
    await page.locator('summary').click();
    await check(page, 'start');
    await page.getByLabel('Redundancy of new files').fill(SCHEME.text);
    await page.getByRole('button', { name: 'Save settings' }).click();
    await page.getByText('Saved on this device.').waitFor();
    await page.getByRole('button', { name: 'I am new here' }).click();
    words = (await page.locator('.words li').allTextContents()).join(' ');
    expect(words.split(' ')).toHaveLength(24);
    await check(page, 'new words');
    await page.getByRole('button', { name: 'I have written them down' }).click();
    const asked = await page.locator('.asked label').allTextContents();
    for (const label of asked) await page.getByLabel(label, { exact: true }).fill('nonsense');
    await page.getByRole('button', { name: 'Begin' }).click();
    await page.getByText(/Word \d+ is another one/).waitFor();
    await check(page, 'asked for words');
    for (const label of asked) {
      const place = Number(/\d+/.exec(label)![0]);
      await page.getByLabel(label, { exact: true }).fill(words.split(' ')[place - 1]!);
    }
    await page.getByLabel('Keep me signed in on this device').check();
    await page.getByRole('button', { name: 'Begin' }).click();
    await page.getByRole('heading', { name: 'Buckets' }).waitFor();
    await page.locator('.live', { hasText: /^\d+ nodes$/ }).waitFor();
    // The words are nowhere in the page any more.
    expect(await page.content()).not.toContain(words.split(' ').slice(0, 3).join(' '));
    await check(page, 'nothing stored');
    signedIn = true;
  });

  it('stores what is dropped, and shows it', async () => {
    await drop(page, [
      { name: 'hello.txt', bytes: Buffer.from('Hello, farmers!\n') },
      { name: 'tone.wav', bytes: tone },
    ]);
    await isDone(page, 'hello.txt');
    await isDone(page, 'tone.wav');
    await row(page, 'hello.txt').getByText('16 B').waitFor();
    await row(page, 'tone.wav')
      .getByText(`${SCHEME.n - SCHEME.k} farmers`)
      .waitFor();
    await page.getByRole('button', { name: 'hello.txt', exact: true }).click();
    await page.locator('.preview pre', { hasText: 'Hello, farmers!' }).waitFor();
    await check(page, 'text');
    await page.keyboard.press('Escape');
    await act(page, 'tone.wav', 'Details');
    await page.getByText(`any ${SCHEME.k} of ${SCHEME.n} farmers are enough`).waitFor();
    const holders = page.locator('dialog tbody tr');
    await expect.poll(() => holders.count(), { timeout: 30_000 }).toBe(SCHEME.n);
    await check(page, 'details');
    await page.keyboard.press('Escape');
  });

  it('takes a folder, finds by the first letters, goes back, and deletes a folder', async () => {
    const holidays = join(directory, 'holidays');
    await mkdir(join(holidays, '2024'), { recursive: true });
    await writeFile(join(holidays, '2024', 'sea.txt'), 'sea');
    await writeFile(join(holidays, 'list.txt'), 'list');
    await page.locator('input[data-picks="folder"]').setInputFiles(holidays);
    await page.getByRole('button', { name: 'holidays , folder' }).click();
    await row(page, 'list.txt').waitFor();
    await page.getByRole('button', { name: '2024 , folder' }).click();
    await row(page, 'sea.txt').waitFor();
    // Names are not where browsers keep what was visited.
    expect(page.url()).toBe(ready.app);
    await page.goBack();
    await page.getByPlaceholder('Names that begin with').fill('li');
    await page.getByRole('button', { name: '2024 , folder' }).waitFor({ state: 'detached' });
    await row(page, 'list.txt').waitFor();
    await page.getByPlaceholder('Names that begin with').fill('lo');
    await page.getByText('No name here begins with “lo”.').waitFor();
    await page.getByRole('button', { name: 'files', exact: true }).click();
    await act(page, 'folder holidays', 'Delete all');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete all' }).click();
    await page.getByRole('button', { name: 'holidays , folder' }).waitFor({ state: 'detached' });
    await row(page, 'hello.txt').waitFor();
  });

  it('plays and seeks: ranges come through the service worker', async () => {
    await page.getByRole('button', { name: 'tone.wav', exact: true }).click();
    const audio = page.locator('.preview audio');
    await audio.waitFor();
    const sought = await audio.evaluate(async (element: HTMLAudioElement) => {
      const heard = (event: string) =>
        new Promise((resolve) => element.addEventListener(event, resolve, { once: true }));
      if (element.readyState < 1) await heard('loadedmetadata');
      const done = heard('seeked');
      element.currentTime = 45;
      await done;
      if (element.readyState < 2) await heard('canplay');
      return { duration: element.duration, at: element.currentTime, error: element.error };
    });
    expect(sought).toMatchObject({ at: 45, error: null });
    expect(sought.duration).toBeCloseTo(60, 1);
    const url = (await audio.getAttribute('src'))!;
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/stream\//);
    const ask = (range: string) =>
      page.evaluate(
        async ([address, header]) => {
          const answer = await fetch(address, { headers: { range: header } });
          return {
            status: answer.status,
            range: answer.headers.get('content-range'),
            policy: answer.headers.get('content-security-policy'),
            bytes: [...new Uint8Array(await answer.arrayBuffer())],
          };
        },
        [url, range] as const,
      );
    const part = await ask('bytes=1000000-1000999');
    expect(part).toMatchObject({
      status: 206,
      range: `bytes 1000000-1000999/${tone.length}`,
      bytes: [...tone.subarray(1_000_000, 1_001_000)],
    });
    // Whatever a file has in it, it can't be a page of this origin.
    expect(part.policy).toContain('sandbox');
    expect((await ask('bytes=-10')).bytes).toEqual([...tone.subarray(-10)]);
    expect((await ask(`bytes=${tone.length}-`)).status).toBe(416);
    const visit = await context.newPage();
    expect((await visit.goto(url))?.status()).toBe(403);
    await visit.close();
    await check(page, 'audio');
    await page.keyboard.press('Escape');
    await audio.waitFor({ state: 'detached' });
    // And it is over with the window.
    const status = async () => (await ask('bytes=0-1')).status;
    await expect.poll(status, { timeout: 30_000 }).toBe(404);
  });

  it('can be used by keyboard alone, with the focus to be seen', async () => {
    await page.bringToFront();
    await page.evaluate(() => {
      (document.activeElement as HTMLElement | null)?.blur();
      document
        .querySelectorAll<HTMLElement>('a[href], button:not(:disabled), input, [tabindex="0"]')
        .forEach((element) => {
          if (element.tabIndex >= 0 && element.checkVisibility()) element.dataset['unreached'] = '';
        });
    });
    const count = await page.locator('[data-unreached]').count();
    expect(count).toBeGreaterThan(12);
    for (let i = 0; i < count + 20; i += 1) {
      await page.keyboard.press('Tab');
      const outline = await page.evaluate(() => {
        const active = document.activeElement as HTMLElement;
        delete active.dataset['unreached'];
        return active === document.body ? 'body' : getComputedStyle(active).outlineStyle;
      });
      expect(outline).not.toBe('none');
    }
    const left = await page
      .locator('[data-unreached]')
      .evaluateAll((elements) => elements.map((element) => element.outerHTML.slice(0, 200)));
    expect(left).toEqual([]);
    // A menu, a question, and the focus where it was.
    const actions = page.getByRole('button', { name: 'Actions for hello.txt' });
    await actions.focus();
    await page.keyboard.press('ArrowDown');
    await page.locator('[role="menuitem"]:focus', { hasText: 'Open' }).waitFor();
    await page.keyboard.press('d');
    await page.locator('[role="menuitem"]:focus', { hasText: 'Download' }).waitFor();
    await page.keyboard.press('End');
    await page.locator('[role="menuitem"]:focus', { hasText: 'Delete' }).waitFor();
    await check(page, 'menu');
    await page.keyboard.press('Escape');
    const isActive = () => actions.evaluate((element) => element === document.activeElement);
    await expect.poll(isActive, { timeout: 30_000 }).toBe(true);
    await page.keyboard.press('Enter');
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await page.locator('button:focus', { hasText: 'Cancel' }).waitFor();
    await check(page, 'question');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await row(page, 'hello.txt').waitFor({ state: 'detached' });
    await page
      .locator('[role="status"]', { hasText: 'Every farmer has confirmed it' })
      .waitFor({ state: 'attached' });
  });

  it('is one in two tabs', async () => {
    const other = await open();
    // Kept on this device: the other tab is in without words.
    await other.getByRole('button', { name: 'files', exact: true }).click();
    await row(other, 'tone.wav').waitFor();
    await drop(other, [{ name: 'from tab two.txt', bytes: Buffer.from('two') }]);
    await row(page, 'from tab two.txt').waitFor();
    // What a tab moves is on its own list only.
    expect(await transferOf(page, 'from tab two.txt').count()).toBe(0);
    await isDone(other, 'from tab two.txt');
    // The app's own files are there without a connection, too, and the list as it was.
    await context.setOffline(true);
    await other.reload();
    await row(other, 'from tab two.txt').waitFor();
    await context.setOffline(false);
    await other.close();
  });

  it('shares a file by a link, which opens in a clean browser without an account', async () => {
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await act(page, 'tone.wav', 'Share');
    await page.getByLabel('The link works for').selectOption('7');
    await page.getByRole('button', { name: 'Make a link' }).click();
    await page.getByText('The link is copied.').waitFor();
    link = await page.getByRole('textbox', { name: /^Link made/ }).inputValue();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(link);
    expect(link.startsWith(`${new URL('share.html', ready.app).href}#1.`)).toBe(true);
    await check(page, 'share');
    await page.keyboard.press('Escape');

    const clean = await cleanContext();
    const other = await open(clean, link);
    await other.getByRole('heading', { name: 'tone.wav' }).waitFor();
    const audio = other.locator('.preview audio');
    await audio.waitFor();
    const at = await audio.evaluate(async (element: HTMLAudioElement) => {
      const heard = (event: string) =>
        new Promise((resolve) => element.addEventListener(event, resolve, { once: true }));
      if (element.readyState < 1) await heard('loadedmetadata');
      const done = heard('seeked');
      element.currentTime = 50;
      await done;
      if (element.readyState < 2) await heard('canplay');
      return element.currentTime;
    });
    expect(at).toBe(50);
    await check(other, 'shared');
    // By keyboard: to the content, on to the download.
    await other.reload();
    await other.locator('h1:focus', { hasText: 'tone.wav' }).waitFor();
    const saving = other.waitForEvent('download');
    await other.keyboard.press('Tab');
    await other.locator('button:focus', { hasText: 'Download' }).waitFor();
    await other.keyboard.press('Enter');
    const download = await saving;
    expect(download.suggestedFilename()).toBe('tone.wav');
    expect(hashOf(await bytesOf(download))).toBe(hashOf(tone));
    await other.getByText('Every byte was verified').waitFor();
    expect(other.url()).toBe(link);
    const stored = await other.evaluate(async () => (await indexedDB.databases()).length);
    expect(stored).toBe(0);
    // Of the pages, files are kept; of the link, nothing.
    const kept = await other.evaluate(async () => {
      const names = await caches.keys();
      const keys = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
      return keys.flat().map(({ url }) => url);
    });
    expect(kept).toContain(new URL('share.html', ready.app).href);
    expect(kept.filter((url) => url.includes('#'))).toEqual([]);
    // A link that was cut off says so.
    await other.goto(link.slice(0, link.indexOf('#') + 40));
    await other.getByRole('heading', { name: 'This is not a whole link' }).waitFor();
    await check(other, 'no whole link');
    await clean.close();
  });

  /** Begin to upload the big file, which does not come to its end. */
  const beginBig = async () => {
    await hold(page, LAST_SEGMENT);
    await page.locator('input[data-picks="files"]').setInputFiles(join(directory, 'big.bin'));
    await isAt(page, 'upload', 'big.bin', 20);
  };

  it('waits while there is no connection, and goes on when there is', async () => {
    await beginBig();
    await context.setOffline(true);
    await page.getByText('You are offline.').waitFor();
    await letGo(page);
    await transferOf(page, 'big.bin').getByText('tries again soon').waitFor();
    await check(page, 'offline');
    await hold(page, LAST_SEGMENT);
    await context.setOffline(false);
    await page.getByText('You are offline.').waitFor({ state: 'detached' });
    await isAt(page, 'upload', 'big.bin', 20);
  });

  it('goes on with an upload whose tab was killed in the middle', async ({ task }) => {
    if (isRetry(task)) await beginBig();
    const crashed = new Promise((resolve) => page.once('crash', resolve));
    await page.goto('chrome://crash').catch(() => undefined);
    await crashed;
    page = await open();
    await page.getByRole('button', { name: 'files', exact: true }).click();
    await row(page, 'tone.wav').waitFor();
    await transferOf(page, 'big.bin').getByText('choose the file again').waitFor();
    await page.locator('input[data-picks="again"]').setInputFiles(join(directory, 'big.bin'));
    await isDone(page, 'big.bin');
    await transferOf(page, 'big.bin')
      .getByText(/were there already/)
      .waitFor();
    await row(page, 'big.bin').getByText('40.0 MB').waitFor();
    expect(await page.locator('.transfer').count()).toBe(1);
    await transferOf(page, 'big.bin')
      .getByRole('button', { name: /farmers/ })
      .click();
    const farmers = page.locator('.farmers ul li');
    await expect.poll(() => farmers.count(), { timeout: 30_000 }).toBe(SCHEME.n);
    await check(page, 'farmers of an upload');
  });

  it('brings everything back in a clean browser, from the words alone', async () => {
    const clean = await cleanContext();
    const other = await open(clean);
    await other.getByRole('button', { name: 'I have my 24 words' }).click();
    await other.getByLabel(/24 words/).fill('abandon abandon');
    await other.getByRole('button', { name: 'Open', exact: true }).click();
    await other.getByText('These are not 24 words').waitFor();
    await check(other, 'words');
    await other.getByLabel(/24 words/).fill(words);
    await other.getByRole('button', { name: 'Open', exact: true }).click();
    await other.getByRole('button', { name: 'files', exact: true }).click();
    await row(other, 'big.bin').waitFor();
    await row(other, 'from tab two.txt').waitFor();
    // Straight to the disk, as the browser's own download through the service worker.
    await other.getByRole('button', { name: 'Account' }).click();
    await other.getByRole('menuitem', { name: 'Settings' }).click();
    await check(other, 'settings');
    await other.getByLabel('Downloads').selectOption('straight');
    await other.getByRole('button', { name: 'Save settings' }).click();
    await other.getByText('Saved on this device.').waitFor();
    await other.keyboard.press('Escape');
    const saving = other.waitForEvent('download');
    await act(other, 'tone.wav', 'Download');
    const download = await saving;
    expect(download.suggestedFilename()).toBe('tone.wav');
    expect(hashOf(await bytesOf(download))).toBe(hashOf(tone));
    await isDone(other, 'tone.wav');
    // Nothing is left behind of who wants to leave nothing behind.
    await other.getByRole('button', { name: 'Account' }).click();
    await other.getByRole('menuitem', { name: 'Sign out and erase' }).click();
    await Promise.all([
      other.waitForEvent('load'),
      other.getByRole('button', { name: 'Sign out and erase' }).click(),
    ]);
    await other.getByRole('button', { name: 'I am new here' }).waitFor();
    const databases = await other.evaluate(async () =>
      (await indexedDB.databases()).map(({ name }) => name),
    );
    expect(databases.filter((name) => name !== 'granary-app')).toEqual([]);
    await clean.close();
  });

  it('gives access to somebody, who looks at files, and sees what is added', async () => {
    const giveAccess = () => page.getByRole('button', { name: 'Give access', exact: true }).click();
    await giveAccess();
    await page.getByRole('button', { name: 'Make a link' }).click();
    await page.getByText('The link is copied.').waitFor({ timeout: 60_000 });
    const grant = await page.getByRole('textbox', { name: /^Link made/ }).inputValue();
    expect(grant.startsWith(`${new URL('app.html', ready.app).href}#g1.`)).toBe(true);
    await check(page, 'give access');
    await page.keyboard.press('Escape');

    const clean = await cleanContext();
    const other = await open(clean);
    await other.getByRole('button', { name: 'I have an access grant' }).click();
    await other.getByLabel('The access grant').fill(link);
    await other.getByRole('button', { name: 'Open', exact: true }).click();
    await other.getByText(/it is a share link/).waitFor();
    await check(other, 'an access grant');
    await other.getByLabel('The access grant').fill(grant);
    await other.getByRole('button', { name: 'Open', exact: true }).click();
    await other.getByRole('heading', { name: 'files/' }).waitFor();
    await row(other, 'tone.wav').waitFor();
    await check(other, 'granted');
    await drop(page, [{ name: 'later.txt', bytes: Buffer.from('what was added') }]);
    await isDone(page, 'later.txt');
    await other.getByRole('button', { name: 'Look for changes' }).click();
    await row(other, 'later.txt').waitFor();
    await other.getByRole('button', { name: 'later.txt', exact: true }).click();
    await other.getByText('what was added').waitFor();
    await other.keyboard.press('Escape');
    const saving = other.waitForEvent('download');
    await other.getByRole('button', { name: 'Download tone.wav' }).click();
    expect(hashOf(await bytesOf(await saving))).toBe(hashOf(tone));
    const databases = await other.evaluate(async () =>
      (await indexedDB.databases()).map(({ name }) => name),
    );
    expect(databases.filter((name) => name !== 'granary-app')).toEqual([]);
    await giveAccess();
    await page.getByRole('button', { name: 'Take back' }).click();
    await page.getByText('The link is taken back.').waitFor({ timeout: 60_000 });
    await page.keyboard.press('Escape');
    // By the link itself, in a page that is open already.
    await Promise.all([other.waitForEvent('load'), other.goto(grant)]);
    await other.getByText('This access grant does not work any more').waitFor();
    await clean.close();
  });

  it('downloads with n - k farmers gone, and goes on after a reload', async () => {
    for (const { pid } of ready.farmers.slice(0, SCHEME.n - SCHEME.k)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // A first try has killed it.
      }
    }
    await page.reload();
    await act(page, 'big.bin', 'Details');
    await page.getByRole('button', { name: 'Ask them now' }).click();
    await page.locator('dialog', { hasText: 'can lose 0 farmers' }).waitFor({ timeout: 60_000 });
    await page.keyboard.press('Escape');
    // So that it is in the middle when the page goes, however fast this machine is.
    await hold(page, big.length / 10);
    await act(page, 'big.bin', 'Download');
    await isAt(page, 'download', 'big.bin', 10);
    page.on('dialog', (dialog) => void dialog.accept());
    const saving = page.waitForEvent('download', { timeout: 120_000 });
    await page.reload();
    const download = await saving;
    expect(download.suggestedFilename()).toBe('big.bin');
    const saved = await bytesOf(download);
    expect([saved.length, hashOf(saved)]).toEqual([big.length, hashOf(big)]);
    await transferOf(page, 'big.bin')
      .getByText(/were there already/)
      .waitFor();
  });

  it('opens a share with n - k farmers gone, until it is taken back', async () => {
    const clean = await cleanContext();
    const other = await open(clean, link);
    await other.getByRole('heading', { name: 'tone.wav' }).waitFor();
    const saving = other.waitForEvent('download');
    await other.getByRole('button', { name: /^Download/ }).click();
    expect(hashOf(await bytesOf(await saving))).toBe(hashOf(tone));
    await act(page, 'tone.wav', 'Share');
    await page.getByRole('button', { name: 'Take back' }).click();
    await page.getByText('The link is taken back.').waitFor({ timeout: 60_000 });
    expect(await page.getByRole('textbox', { name: /^Link made/ }).count()).toBe(0);
    await page.keyboard.press('Escape');
    await other.reload();
    await other.getByRole('heading', { name: 'This link does not work any more' }).waitFor();
    await other.getByText('Its owner has taken this share back').waitFor();
    await check(other, 'taken back');
    await clean.close();
  });

  it('met no error, no breach of the policy, and asked nobody else', () => {
    expect(problems).toEqual([]);
  });
});
