import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Interface, createInterface } from 'node:readline';
import { gzipSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build } from 'vite';
import { launchBrowser, noBrowser, serveFolder } from './support/browser.js';

const here = (path: string) => new URL(`./support/${path}`, import.meta.url).pathname;

/** A node in a process of its own. */
class NodeProcess {
  private readonly waiting: ((line: string) => void)[] = [];
  private readonly lines: Interface;
  nodeId = '';
  addresses: string[] = [];

  private constructor(private readonly child: ChildProcess) {
    this.lines = createInterface({ input: child.stdout! });
    this.lines.on('line', (line) => this.waiting.shift()?.(line));
  }

  static async start(bootstrap: readonly string[]): Promise<NodeProcess> {
    const child = spawn(process.execPath, [here('dht-node.mjs'), ...bootstrap], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const node = new NodeProcess(child);
    Object.assign(node, JSON.parse(await node.line()));
    return node;
  }

  private line(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.child.once('exit', (code) => reject(new Error(`the node ended with ${code}`)));
      this.waiting.push(resolve);
    });
  }

  async ask(command: string, params: object = {}): Promise<unknown> {
    const line = this.line();
    this.child.stdin!.write(`${JSON.stringify({ command, ...params })}\n`);
    const { result, error } = JSON.parse(await line) as { result?: unknown; error?: object };
    if (error !== undefined) throw new Error(JSON.stringify(error));
    return result;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await ended;
  }
}

/** What main.js of the page offers. */
interface Dht {
  nodeId: string;
  notified: unknown[];
  join(addresses: string[]): Promise<{ addresses: string[]; known: string[] }>;
  lookup(target: string): Promise<string[]>;
  put(text: string): Promise<{ key: string; stored: number }>;
  get(key: string): Promise<string>;
  call(nodeId: string, method: string, params: object): Promise<unknown>;
  connections(): number;
  stop(): Promise<void>;
}
declare const dht: Dht;

const hash = (text: string) => createHash('sha256').update(text).digest('hex');

describe.skipIf(noBrowser !== undefined)(
  `a node in a browser${noBrowser === undefined ? '' : ` (${noBrowser})`}`,
  () => {
    const nodes: NodeProcess[] = [];
    const cleanups: (() => Promise<unknown>)[] = [];
    const problems: string[] = [];
    let folder: string;
    let page: Page;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'granary-page-'));
      cleanups.push(() => rm(folder, { recursive: true, force: true }));
      await build({
        configFile: false,
        root: here('browser-page'),
        logLevel: 'warn',
        build: { outDir: folder, emptyOutDir: true, target: 'es2023' },
      });
      for (let i = 0; i < 8; i += 1) {
        const node = await NodeProcess.start(i === 0 ? [] : nodes[0]!.addresses.slice(0, 1));
        nodes.push(node);
        cleanups.push(() => node.stop());
      }
      const { browser, close } = await launchBrowser();
      cleanups.push(close);
      const { url, close: closeServer } = await serveFolder(folder);
      cleanups.push(closeServer);
      page = await browser.newPage();
      page.on('pageerror', (error) => problems.push(String(error)));
      page.on('console', (message) => {
        if (message.type() === 'error') problems.push(message.text());
      });
      await page.goto(url);
      await page.waitForFunction(() => 'dht' in globalThis);
    });

    afterAll(async () => {
      for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
    });

    it('has a bundle of its own, without parts of Node', async () => {
      const names = (await readdir(join(folder, 'assets'))).filter((name) => name.endsWith('.js'));
      expect(names).toHaveLength(1);
      const code = await readFile(join(folder, 'assets', names[0]!));
      console.log(`the bundle: ${code.length} bytes, ${gzipSync(code).length} gzipped`);
      expect(code.includes('Buffer.from')).toBe(false);
      expect(code.toString()).not.toMatch(/["']node:/);
      expect(code.toString()).not.toContain('__vite-browser-external');
    });

    it('joins by a WebSocket address, with nothing that others could dial', async () => {
      const socket = nodes[0]!.addresses.find((address) => address.startsWith('ws://'))!;
      const joined = await page.evaluate((address) => dht.join([address]), socket);
      expect(joined.addresses).toEqual([]);
      expect(joined.known.sort()).toEqual(nodes.map(({ nodeId }) => nodeId).sort());
    });

    it('looks nodes up', async () => {
      for (const { nodeId } of nodes.slice(3, 6)) {
        expect((await page.evaluate((id) => dht.lookup(id), nodeId))[0]).toBe(nodeId);
      }
    });

    it('puts values that Node finds, and finds what Node put', async () => {
      const text = 'from a browser: ä€😀';
      const { key, stored } = await page.evaluate((value) => dht.put(value), text);
      expect(key).toBe(hash(text));
      expect(stored).toBe(nodes.length);
      expect(await nodes[5]!.ask('get', { key })).toEqual({ text });
      const large = 'from Node '.repeat(6_000);
      await nodes[2]!.ask('put', { text: large });
      expect(await page.evaluate((key) => dht.get(key), hash(large))).toBe(large);
    });

    it('answers what it is asked over the connection that it opened', async () => {
      const asker = nodes[4]!;
      const browserId = await page.evaluate(() => dht.nodeId);
      expect(await page.evaluate((id) => dht.call(id, 'SUBSCRIBE', {}), asker.nodeId)).toEqual({
        subscribed: 0,
      });
      expect(await asker.ask('notify', { nodeId: browserId, text: 'news' })).toEqual({
        heard: 'news',
      });
      expect(await page.evaluate(() => dht.notified)).toEqual([
        { text: 'news', from: asker.nodeId },
      ]);
      // Nobody lists a node that can't be dialled.
      for (const node of nodes) expect(await node.ask('contacts')).not.toContain(browserId);
    });

    it('cannot be asked by who has no connection with it', async () => {
      const browserId = await page.evaluate(() => dht.nodeId);
      await page.evaluate(() => dht.stop());
      await expect(
        nodes[4]!.ask('notify', { nodeId: browserId, text: 'too late' }),
      ).rejects.toThrow('KAD_UNREACHABLE');
    });

    it('met no error on the way', () => {
      expect(problems).toEqual([]);
    });
  },
);
