import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { dialedFetch, ownMachineFetch } from './dialed-fetch.js';
import { proxiedDialer } from './proxied-dialer.js';
import { socksServer } from './socks-server.test-support.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Says what it got; `/away` leads to another host. */
async function webServer(): Promise<number> {
  const server = createServer((request, response) => {
    if (request.url === '/away') {
      response.writeHead(307, { location: 'http://elsewhere.test:81/there' }).end();
      return;
    }
    let body = '';
    request.on('data', (data: Buffer) => (body += data.toString()));
    request.on('end', () => response.end(`${request.method} ${request.url} ${body}`));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

async function setUp() {
  const port = await webServer();
  const proxy = await socksServer({ resolve: () => ({ host: '127.0.0.1', port }) });
  cleanups.push(() => proxy.close());
  const dialer = proxiedDialer({ host: '127.0.0.1', port: proxy.port });
  return { port, proxy, get: dialedFetch(dialer) };
}

describe('fetch through a dialer', () => {
  it('asks the proxy for everything, redirects too', async () => {
    const { proxy, get } = await setUp();
    const post = { method: 'POST', body: 'hello' };
    expect(await (await get('http://chain.test:8545/rpc', post)).text()).toBe('POST /rpc hello');
    expect(await (await get('http://chain.test/away', post)).text()).toBe('POST /there hello');
    expect(proxy.asked.map(({ host, port }) => `${host}:${port}`)).toEqual([
      'chain.test:8545',
      'chain.test:80',
      'elsewhere.test:81',
    ]);
  });

  it('takes no certificate that no authority has signed', async () => {
    const { proxy, get } = await setUp();
    await expect(get('https://chain.test/')).rejects.toThrow();
    expect(proxy.asked).toEqual([expect.objectContaining({ host: 'chain.test', port: 443 })]);
  });

  it('asks nobody when the proxy is gone, and not this machine', async () => {
    const { port, proxy, get } = await setUp();
    await expect(get(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({
      cause: { code: 'KAD_BAD_ADDRESS' },
    });
    await proxy.close();
    await expect(get('http://chain.test/')).rejects.toMatchObject({ cause: { code: 'KAD_PROXY' } });
  });

  it('ends when it is told to', async () => {
    const { get } = await setUp();
    const signal = AbortSignal.abort();
    await expect(get('http://chain.test/', { signal })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});

describe('fetch on this machine', () => {
  it('stays there', async () => {
    const port = await webServer();
    const url = `http://127.0.0.1:${port}`;
    expect(await (await ownMachineFetch(`${url}/x`)).text()).toBe('GET /x ');
    await expect(ownMachineFetch(`${url}/away`)).rejects.toThrow();
  });
});
