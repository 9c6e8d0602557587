import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Interface, createInterface } from 'node:readline';
import { gzipSync } from 'node:zlib';
import type { Browser, Page } from 'playwright-core';
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
  private complaint = '';

  private constructor(private readonly child: ChildProcess) {
    child.stderr!.on('data', (part: Buffer) => (this.complaint += part.toString()));
    this.lines = createInterface({ input: child.stdout! });
    this.lines.on('line', (line) => this.waiting.shift()?.(line));
  }

  static async start(
    bootstrap: readonly string[],
    env: Record<string, string> = {},
  ): Promise<NodeProcess> {
    const child = spawn(process.execPath, [here('dht-node.mjs'), ...bootstrap], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    const node = new NodeProcess(child);
    Object.assign(node, JSON.parse(await node.line()));
    return node;
  }

  private line(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.child.once('close', (code) =>
        reject(new Error(`the node ended with ${code}: ${this.complaint}`)),
      );
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

const title = `a node in a browser${noBrowser === undefined ? '' : ` (${noBrowser})`}`;

describe.skipIf(noBrowser !== undefined)(title, () => {
  const nodes: NodeProcess[] = [];
  const cleanups: (() => Promise<unknown>)[] = [];
  const problems: string[] = [];
  let folder: string;
  let url: string;
  let browser: Browser;
  let page: Page;

  /** A page, and with it a node. */
  const openPage = async (options: { ignoreHTTPSErrors?: boolean } = {}) => {
    const opened = await browser.newPage(options);
    opened.setDefaultTimeout(60_000);
    opened.on('pageerror', (error) => problems.push(String(error)));
    opened.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    await opened.goto(url);
    await opened.waitForFunction(() => 'dht' in globalThis);
    return opened;
  };

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
    const launched = await launchBrowser();
    browser = launched.browser;
    cleanups.push(launched.close);
    const served = await serveFolder(folder);
    url = served.url;
    cleanups.push(served.close);
    page = await openPage();
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
    expect(await page.evaluate(() => dht.notified)).toEqual([{ text: 'news', from: asker.nodeId }]);
    // Nobody lists a node that can't be dialled.
    for (const node of nodes) expect(await node.ask('contacts')).not.toContain(browserId);
  });

  it('cannot be asked by who has no connection with it', async () => {
    const browserId = await page.evaluate(() => dht.nodeId);
    await page.evaluate(() => dht.stop());
    await expect(nodes[4]!.ask('notify', { nodeId: browserId, text: 'too late' })).rejects.toThrow(
      'KAD_UNREACHABLE',
    );
  });

  it('joins by a WebSocket inside TLS, with a certificate of an authority, as other nodes do', async () => {
    const keys = await mkdtemp(join(tmpdir(), 'granary-authority-'));
    cleanups.push(() => rm(keys, { recursive: true, force: true }));
    const openssl = (...args: string[]) =>
      execFileSync('openssl', args, { cwd: keys, stdio: 'ignore' });
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=CA');
    openssl('req', ...newKey, '-keyout', 'key', '-out', 'csr', '-subj', '/CN=node');
    await writeFile(join(keys, 'names'), 'subjectAltName=IP:127.0.0.1');
    openssl(
      ...['x509', '-req', '-in', 'csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-extfile', 'names', '-out', 'cert'],
    );
    const trusted = { NODE_EXTRA_CA_CERTS: join(keys, 'ca.pem') };
    const server = await NodeProcess.start(nodes[0]!.addresses, {
      TLS_KEY: join(keys, 'key'),
      TLS_CERT: join(keys, 'cert'),
    });
    cleanups.push(() => server.stop());
    const secure = server.addresses.filter((address) => address.startsWith('wss://'));
    expect(secure).toHaveLength(1);
    const other = await NodeProcess.start(secure, trusted);
    cleanups.push(() => other.stop());
    expect(await other.ask('contacts')).toContain(server.nodeId);
    // Whoever does not know the authority has no reason to trust the server.
    await expect(NodeProcess.start(secure, { NODE_EXTRA_CA_CERTS: '' })).rejects.toThrow(
      'TLS certificate',
    );
    // The browser does not know it either; it is told not to mind.
    const visitor = await openPage({ ignoreHTTPSErrors: true });
    const { known } = await visitor.evaluate((addresses) => dht.join(addresses), secure);
    expect(known).toContain(server.nodeId);
    const { stored } = await visitor.evaluate(() => dht.put('inside TLS'));
    expect(stored).toBeGreaterThan(0);
    await visitor.evaluate(() => dht.stop());
  });

  it('met no error on the way', () => {
    expect(problems).toEqual([]);
  });
});
