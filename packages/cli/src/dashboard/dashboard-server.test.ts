import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger, systemClock, systemRandom } from '@granary/kad';
import { type State, helloSchema, sampleSchema, stateSchema } from '@granary/web';
import { DashboardServer, type DashboardParts } from './dashboard-server.js';
import type { DashboardSource } from './dashboard-source.js';

const ID = 'ab'.repeat(32);

/** A source whose state can be made large. */
class TestSource implements DashboardSource {
  readonly kind = 'network';
  farmers = 1;
  taken = 0;
  closed = false;
  failure: Error | undefined;

  state(): Promise<State> {
    this.taken += 1;
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const farmer = {
      nodeId: ID,
      address: 'x'.repeat(1000),
      pid: 1,
      state: 'running' as const,
      ended: null,
      since: 0,
      rttMs: null,
      figures: null,
    };
    return Promise.resolve({
      kind: 'network',
      time: Date.now(),
      home: '/home',
      directory: '/dir',
      farmers: Array.from({ length: this.farmers }, (_, index) => ({ ...farmer, index })),
    });
  }
  sample(): readonly number[] {
    return [1, 2, 3, 4, 5, 6];
  }
  objects(page: number) {
    return { surveyedAt: null, total: 0, listed: 0, page, pages: 1, objects: [] };
  }
  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

let directory: string;
let source: TestSource;
let server: DashboardServer;

async function start(parts: Partial<DashboardParts> = {}): Promise<DashboardServer> {
  return DashboardServer.start({
    address: { host: '127.0.0.1', port: 0 },
    source,
    site: pathToFileURL(`${directory}/`),
    version: '1.2.3',
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    ...parts,
  });
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-dashboard-'));
  await mkdir(join(directory, 'assets'));
  await writeFile(join(directory, 'dashboard.html'), '<!doctype html><title>It</title>');
  await writeFile(join(directory, 'assets', 'a-1.js'), 'export {};');
  await writeFile(join(directory, 'secret.txt'), 'not for the web');
  source = new TestSource();
  server = await start();
});
afterEach(async () => {
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

function get(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port: server.port, path, headers, method, agent: false },
      (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (body += part));
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, body }),
        );
      },
    );
    sent.on('error', reject);
    sent.end();
  });
}

const pathOf = (url: string) => url.slice(url.indexOf('/', 'http://'.length));
const signIn = async () => {
  const { headers } = await get(pathOf(server.url));
  return { cookie: headers['set-cookie']![0]!.split(';')[0]! };
};

/** A stream of events that is read as it comes. */
class Events {
  private text = '';
  private waiting: (() => void) | undefined;
  ended = false;
  status = 0;

  static open(headers: Record<string, string>): Promise<Events> {
    const events = new Events();
    return new Promise((resolve, reject) => {
      const sent = request(
        { host: '127.0.0.1', port: server.port, path: '/api/events', headers, agent: false },
        (response) => {
          events.status = response.statusCode!;
          response.setEncoding('utf8');
          const end = () => {
            events.ended = true;
            events.waiting?.();
          };
          response.on('data', (part: string) => {
            events.text += part;
            events.waiting?.();
          });
          response.on('close', end);
          response.on('error', end);
          events.leave = () => sent.destroy();
          resolve(events);
        },
      );
      sent.on('error', reject);
      sent.end();
    });
  }

  leave: () => void = () => undefined;

  /** The next event of a name; others are passed over. */
  async next(name: string): Promise<unknown> {
    for (;;) {
      const end = this.text.indexOf('\n\n');
      if (end < 0) {
        if (this.ended) throw new Error(`the stream ended before ${name}`);
        await new Promise<void>((resolve) => (this.waiting = resolve));
        continue;
      }
      const block = this.text.slice(0, end);
      this.text = this.text.slice(end + 2);
      const [head, data] = block.split('\n');
      if (head === `event: ${name}`) return JSON.parse(data!.slice('data: '.length)) as unknown;
    }
  }
}

describe('who may look', () => {
  it('is who has the token, and then a cookie that no script reads and no other site sends', async () => {
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{43}$/);
    for (const path of ['/', '/dashboard.html', '/assets/a-1.js', '/?token=wrong', '/?token=']) {
      const denied = await get(path);
      expect([path, denied.status]).toEqual([path, 401]);
      expect(denied.body).not.toContain('<title>It</title>');
    }
    for (const path of ['/api/events', '/api/objects', '/api/session']) {
      expect((await get(path)).status).toBe(401);
    }
    const exchange = await get(pathOf(server.url));
    expect(exchange).toMatchObject({ status: 303, headers: { location: './' } });
    const [cookie] = exchange.headers['set-cookie']!;
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(new URL(server.url).searchParams.get('token'));
    const headers = { cookie: `other=1; ${cookie!.split(';')[0]!}` };
    expect(await get('/', headers)).toMatchObject({
      status: 200,
      body: '<!doctype html><title>It</title>',
    });
    expect((await get('/api/session', headers)).status).toBe(200);
    expect((await get('/api/session', { cookie: headers.cookie.slice(0, -1) })).status).toBe(401);
  });

  it('is nobody of another process: each start has a token and a cookie of its own', async () => {
    const old = { url: server.url, ...(await signIn()) };
    const { port } = server;
    await server.close();
    server = await start({ address: { host: '127.0.0.1', port } });
    expect((await get(pathOf(old.url))).status).toBe(401);
    expect((await get('/', { cookie: old.cookie })).status).toBe(401);
  });

  it('comes by a name of this machine, and not by one that was made to lead here', async () => {
    const { cookie } = await signIn();
    const status = async (host: string) => (await get('/', { cookie, host })).status;
    expect(await status('evil.example')).toBe(421);
    expect(await status(`evil.example:${server.port}`)).toBe(421);
    expect(await status('127.0.0.1.evil.example')).toBe(421);
    expect(await status('localhost.evil.example:80')).toBe(421);
    // Also who has the token: it must not be given away by that name.
    expect((await get(pathOf(server.url), { host: 'evil.example' })).status).toBe(421);
    for (const host of ['localhost', `LOCALHOST:${server.port}`, '[::1]:80', '192.168.1.7:8080']) {
      expect([host, await status(host)]).toEqual([host, 200]);
    }
  });

  it('reads and does nothing else', async () => {
    const headers = await signIn();
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      expect((await get('/api/events', headers, method)).status).toBe(405);
    }
    expect(await get('/', headers, 'HEAD')).toMatchObject({ status: 200, body: '' });
    expect((await get('/api/events', headers, 'HEAD')).status).toBe(404);
  });
});

describe('what is served', () => {
  it('is the folder and nothing beside it, under a policy without exceptions', async () => {
    const headers = await signIn();
    const script = await get('/assets/a-1.js', headers);
    expect(script).toMatchObject({ status: 200, body: 'export {};' });
    expect(script.headers['cache-control']).toContain('immutable');
    expect(script.headers['content-type']).toContain('javascript');
    for (const path of [
      '/secret.txt',
      '/../package.json',
      '/assets/../../etc/passwd',
      '/assets/..%2f..%2fdashboard.html',
      '/%2e%2e/secret.txt',
      '//evil.example/',
      '/assets',
      '/app.html',
    ]) {
      const answer = await get(path, headers);
      expect([path, answer.status]).toEqual([path, path === '//evil.example/' ? 200 : 404]);
    }
    for (const path of ['/', '/nothing', '/api/session']) {
      const policy = (await get(path, headers)).headers['content-security-policy'] as string;
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toMatch(/unsafe|data:|https?:|\*/);
    }
    expect((await get('/', headers)).headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
    });
  });

  it('says so when the pages are not built', async () => {
    await rm(join(directory, 'dashboard.html'));
    const answer = await get('/', await signIn());
    expect(answer.status).toBe(503);
    expect(answer.body).toContain('npm run build');
  });

  it('gives pages of objects, and refuses what is no page', async () => {
    const headers = await signIn();
    expect(JSON.parse((await get('/api/objects?page=3', headers)).body)).toMatchObject({ page: 3 });
    for (const page of ['-1', '1.5', 'x', '1e99']) {
      expect((await get(`/api/objects?page=${page}`, headers)).status).toBe(400);
    }
  });

  it('survives what is no HTTP', async () => {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    socket.end('\x16\x03\x01 nonsense\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    const long = await get(`/${'x'.repeat(20_000)}`).catch((error: Error) => error);
    expect(long instanceof Error || long.status === 431).toBe(true);
    expect((await get('/api/session')).status).toBe(401);
  });
});

describe('the stream', () => {
  it('begins with the past, goes on with states and samples, all of them as they are described', async () => {
    const headers = await signIn();
    const events = await Events.open(headers);
    const hello = helloSchema.parse(await events.next('hello'));
    expect(hello).toMatchObject({ protocol: 1, kind: 'network', version: '1.2.3' });
    expect(hello.recent.rows[0]!.slice(1)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(stateSchema.parse(await events.next('state'))).toMatchObject({ home: '/home' });
    stateSchema.parse(await events.next('state'));
    sampleSchema.parse(await events.next('sample'));
    // A second listener is shown the same state, and does not have it taken twice.
    const before = source.taken;
    const second = await Events.open(headers);
    await second.next('state');
    expect(source.taken - before).toBeLessThanOrEqual(1);
    events.leave();
    second.leave();
  });

  it('has no more listeners than it was told, and room again when one goes', async () => {
    await server.close();
    server = await start({ limits: { listeners: 2 } });
    const headers = await signIn();
    const [first, second] = [await Events.open(headers), await Events.open(headers)];
    expect((await Events.open(headers)).status).toBe(503);
    first.leave();
    let third: Events;
    do third = await Events.open(headers);
    while (third.status !== 200);
    await third.next('state');
    await second.next('state');
    third.leave();
    second.leave();
  });

  it('takes no states while nobody looks', async () => {
    await server.close();
    source = new TestSource();
    server = await start({ limits: { stateMs: 10 } });
    const events = await Events.open(await signIn());
    await events.next('state');
    await events.next('state');
    events.leave();
    let before: number;
    do {
      before = source.taken;
      await new Promise((resolve) => setTimeout(resolve, 100));
    } while (source.taken !== before);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(source.taken).toBe(before);
  });

  it('goes on when a state can not be taken, and says meanwhile that it is there', async () => {
    await server.close();
    source.failure = new Error('not now');
    server = await start({ limits: { stateMs: 20, beatMs: 50 } });
    const events = await Events.open(await signIn());
    await events.next('beat');
    await events.next('beat');
    source.failure = undefined;
    await events.next('state');
    events.leave();
  });

  it('queues nothing for who does not read, lets it go in time, and serves the others', async () => {
    await server.close();
    source = new TestSource();
    source.farmers = 200; // 200 kB a state
    server = await start({ limits: { stateMs: 5, stallMs: 400 } });
    const headers = await signIn();
    // A client that reads nothing at all.
    const deaf = connect(server.port, '127.0.0.1');
    deaf.on('error', () => undefined);
    deaf.pause();
    deaf.write(`GET /api/events HTTP/1.1\r\nHost: localhost\r\nCookie: ${headers.cookie}\r\n\r\n`);
    const other = await Events.open(headers);
    const states = 200;
    for (let i = 0; i < states; i += 1) await other.next('state');
    // What it gets when it reads at last is what the sockets held, and then the end.
    let received = 0;
    deaf.on('data', (part: Buffer) => (received += part.length));
    const gone = new Promise((resolve) => deaf.once('close', resolve));
    deaf.resume();
    await gone;
    expect(received).toBeGreaterThan(0);
    expect(received).toBeLessThan((states * 200_000) / 2);
    other.leave();
  });

  it('ends when the server closes, and the source with it', async () => {
    const events = await Events.open(await signIn());
    await events.next('state');
    await server.close();
    expect(source.closed).toBe(true);
    await expect(events.next('never')).rejects.toThrow('ended');
    server = await start();
  });
});

it('says which option to change when the port is taken, and closes the source', async () => {
  const other = new TestSource();
  const taken = start({ address: { host: '127.0.0.1', port: server.port }, source: other });
  await expect(taken).rejects.toThrow(/EADDRINUSE.*--dashboard PORT/);
  expect(other.closed).toBe(true);
});
