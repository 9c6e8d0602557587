import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '@granary/kad';
import { checkScheme } from '@granary/protocol';
import { AppServer } from './app-server.js';
import { isForPages } from './browser-addresses.js';
import { fittingScheme } from './fitting-scheme.js';
import { parseListen } from '../listen-address.js';

describe('the server of the app', () => {
  let folder: string;
  let server: AppServer;
  const network = { bootstrap: ['ws://127.0.0.1:1'] };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'granary-app-server-'));
    await mkdir(join(folder, 'assets'));
    await writeFile(join(folder, 'app.html'), '<!doctype html>app');
    await writeFile(join(folder, 'dashboard.html'), '<!doctype html>dashboard');
    await writeFile(join(folder, 'assets', 'app-1234.js'), 'export {};');
    await writeFile(join(folder, 'secret.txt'), 'secret');
    server = await AppServer.start({
      host: '127.0.0.1',
      port: 0,
      site: pathToFileURL(`${folder}/`),
      network: async () => network,
      logger: silentLogger,
    });
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  const get = (path: string, init: RequestInit = {}) => fetch(new URL(path, server.url), init);

  it('serves the app under a strict policy, and its network', async () => {
    const page = await get('/');
    expect(await page.text()).toContain('app');
    const policy = page.headers.get('content-security-policy')!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe-inline|'unsafe-eval'|https?:|\*/);
    expect(page.headers.get('cache-control')).toBe('no-cache');
    expect(await (await get('/network.json')).json()).toEqual(network);
    expect((await get('/assets/app-1234.js')).headers.get('cache-control')).toContain('immutable');
  });

  it('serves nothing else', async () => {
    for (const path of [
      '/dashboard.html',
      '/secret.txt',
      '/../secret.txt',
      '/%2e%2e/secret.txt',
      '/nothing',
      '/assets/../secret.txt',
    ]) {
      expect([path, (await get(path)).status]).toEqual([path, 404]);
    }
    expect((await get('/', { method: 'POST', body: 'x' })).status).toBe(405);
    expect((await get('/', { method: 'HEAD' })).status).toBe(200);
  });

  it('says so when the port is taken', async () => {
    const port = Number(new URL(server.url).port);
    await expect(
      AppServer.start({
        host: '127.0.0.1',
        port,
        site: pathToFileURL(`${folder}/`),
        network: async () => network,
        logger: silentLogger,
      }),
    ).rejects.toThrow(/EADDRINUSE/);
  });
});

describe('what the app is told', () => {
  it('is a scheme that a small network can bear', () => {
    for (let farmers = 1; farmers < 12; farmers += 1) {
      const scheme = checkScheme(fittingScheme(farmers)!);
      expect(scheme.n).toBe(farmers);
      expect(scheme.success).toBeGreaterThanOrEqual(scheme.repair);
    }
    expect(fittingScheme(12)).toBeUndefined();
  });

  it('are addresses that pages can dial', () => {
    const addresses = [
      'wss://farm.example.org:4601',
      `webrtc://203.0.113.5:4601/${'a'.repeat(64)}`,
      'ws://127.0.0.1:4601',
      'ws://203.0.113.5:4601',
      'https://203.0.113.5:4600',
      'nonsense',
    ];
    expect(addresses.filter(isForPages)).toEqual(addresses.slice(0, 3));
  });

  it('is served where it was asked for', () => {
    expect(parseListen('127.0.0.1:9080', '--listen', 1)).toEqual({ host: '127.0.0.1', port: 9080 });
    expect(parseListen('[::1]:0', '--listen', 1)).toEqual({ host: '::1', port: 0 });
    for (const odd of ['9080', ':9080', '127.0.0.1:99999', 'x']) {
      expect(() => parseListen(odd, '--listen', 1)).toThrow(/HOST:PORT/);
    }
  });
});
