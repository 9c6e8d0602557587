import { readFile } from 'node:fs/promises';
import * as https from 'node:https';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import {
  Identity,
  type TlsCredentials,
  createTlsCredentials,
  dialTls,
  directDialer,
  openEnvelope,
  sealEnvelope,
  signContact,
} from '@granary/kad';
import { TRANSFER_SUBPROTOCOL, signToken, toHex } from '@granary/protocol';
import { type FarmerProcess, TestNetwork, granary, realFile } from './support/granary.js';

// Seeded, so that what fails once fails again.
const SEED = 20260117;
let network: TestNetwork;
let victim: FarmerProcess;
const identity = Identity.generate();
let credentials: TlsCredentials;
let agent: https.Agent;
let cases = 0;

beforeAll(async () => {
  network = await TestNetwork.start(4);
  victim = network.farmers[0]!;
  credentials = await createTlsCredentials(identity);
  agent = new https.Agent({
    keepAlive: true,
    maxSockets: 8,
    rejectUnauthorized: false,
    ...credentials,
  });
});
afterAll(async () => {
  agent.destroy();
  await network.stop();
});

/** Resident memory of the victim, in bytes; fails when it is gone. */
async function memory(): Promise<number> {
  const status = await readFile(`/proc/${victim.child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1024;
}

function request(
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: Uint8Array,
): Promise<{ status: number; text: Buffer }> {
  return new Promise((resolve, reject) => {
    const sent = https.request(
      { agent, host: '127.0.0.1', port: victim.port, method, path, headers },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () =>
          resolve({ status: response.statusCode!, text: Buffer.concat(parts) }),
        );
        response.on('error', reject);
      },
    );
    sent.setTimeout(60_000, () => sent.destroy(new Error('no answer in 60 s')));
    sent.on('error', (error: NodeJS.ErrnoException) =>
      // A body that is refused before it is read may find its connection closed.
      error.code === 'ECONNRESET' || error.code === 'EPIPE'
        ? resolve({ status: 0, text: Buffer.alloc(0) })
        : reject(error),
    );
    sent.end(body);
  });
}

/** Sixteen at a time: the next begins when any is done. */
async function atOnce<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const rest = all.values();
  const lane = async () => {
    for (const one of rest) await work(one);
  };
  await Promise.all(Array.from({ length: 16 }, lane));
}

const typedError = (text: Buffer) =>
  expect(JSON.parse(text.toString())).toMatchObject({
    error: { code: expect.stringMatching(/^[A-Z]+_[A-Z_]+$/) as string },
  });

it('answers 3,000 HTTP requests with typed errors', async () => {
  const arbitrary = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'),
    path: fc.webPath({ size: 'small' }).map((path) => `/${path.replace(/^\/+/, '')}`),
    rpc: fc.boolean(),
    headers: fc.dictionary(
      fc.stringMatching(/^x-[a-z0-9]{1,20}$/),
      fc.stringMatching(/^[!-~]{0,100}$/),
      { maxKeys: 5 },
    ),
    body: fc.oneof(
      fc.uint8Array({ maxLength: 500 }),
      fc.json().map((text) => Buffer.from(text)),
    ),
  });
  let typed = 0;
  await atOnce(fc.sample(arbitrary, { seed: SEED, numRuns: 3000 }), async (one) => {
    cases += 1;
    const path = one.rpc ? '/rpc' : one.path;
    const body = one.method === 'GET' ? undefined : one.body;
    const { status, text } = await request(one.method, path, one.headers, body);
    if (status === 0) return;
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    typedError(text);
    typed += 1;
  });
  expect(typed).toBeGreaterThan(2900);
});

it('answers 2,500 signed messages with senseless content with typed errors', async () => {
  const payload = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({
        jsonrpc: fc.constantFrom('2.0', '1.0'),
        method: fc.oneof(
          fc.constantFrom('PING', 'FIND_NODE', 'FIND_VALUE', 'STORE', 'FARMER_TERMS', '__proto__'),
          fc.string(),
        ),
        id: fc.oneof(fc.string(), fc.integer(), fc.constant(null)),
        params: fc.anything({ maxDepth: 3, withNullPrototype: false }),
      })
      .map((value) => JSON.stringify(value)),
  );
  const sender = signContact(identity, { addresses: [], sequence: 1 });
  let answered = 0;
  await atOnce(fc.sample(payload, { seed: SEED, numRuns: 2500 }), async (text) => {
    cases += 1;
    const nonce = toHex(crypto.getRandomValues(new Uint8Array(16)));
    const message = sealEnvelope(identity, {
      sender,
      recipient: victim.nodeId,
      nonce,
      kind: 'request',
      time: Date.now(),
      payload: text,
    });
    const { status, text: answer } = await request('POST', '/rpc', {}, message);
    expect(status).toBe(200);
    const envelope = openEnvelope(answer, {
      recipient: identity.nodeId,
      kind: 'response',
      nonce,
      sender: victim.nodeId,
      now: Date.now(),
    });
    const response = JSON.parse(envelope.payload) as { error?: { data: { code: string } } };
    if (response.error !== undefined) expect(response.error.data.code).toMatch(/^KAD_/);
    expect(response.error?.data.code).not.toBe('KAD_INTERNAL');
    answered += 1;
  });
  expect(answered).toBe(2500);
});

it('refuses 2,500 damaged messages', async () => {
  const sender = signContact(identity, { addresses: [], sequence: 1 });
  const damage = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat({ max: 3 }));
  await atOnce(fc.sample(damage, { seed: SEED, numRuns: 2500 }), async ([at, mask, kind]) => {
    cases += 1;
    const message = Uint8Array.from(
      sealEnvelope(identity, {
        sender,
        recipient: victim.nodeId,
        nonce: toHex(crypto.getRandomValues(new Uint8Array(16))),
        kind: 'request',
        time: Date.now(),
        payload: '{"jsonrpc":"2.0","method":"PING","params":{},"id":"1"}',
      }),
    );
    message[at % message.length]! ^= mask;
    const sent = kind === 0 ? message.subarray(0, at % message.length) : message;
    const { status, text } = await request('POST', '/rpc', {}, sent);
    if (status === 0) return;
    expect(status).toBeGreaterThanOrEqual(400);
    typedError(text);
  });
});

async function connect(): Promise<TLSSocket> {
  return dialTls({
    dialer: directDialer,
    host: '127.0.0.1',
    port: victim.port,
    credentials,
    expectedNodeId: victim.nodeId,
    timeoutMs: 60_000,
  });
}

it('survives 1,000 connections that speak no HTTP', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 2000 }),
    fc.string().map((text) => Buffer.from(`GET ${text} HTTP/1.1\r\nHost: x\r\n`)),
    fc.string().map((text) => Buffer.from(`POST /rpc HTTP/1.1\r\nContent-Length: ${text}\r\n\r\n`)),
    fc.constant(
      Buffer.from('GET /transfer HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
    ),
  );
  await atOnce(fc.sample(bytes, { seed: SEED, numRuns: 1000 }), async (one) => {
    cases += 1;
    const socket = await connect();
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const timer = setTimeout(() => socket.destroy(), 200);
    socket.resume();
    socket.end(Buffer.from(one));
    await closed;
    clearTimeout(timer);
  });
});

it('answers 2,500 senseless transfer frames with typed errors, or closes', async () => {
  const token = () =>
    signToken(identity, {
      contract: 'ab'.repeat(32),
      renter: identity.nodeId,
      renterKey: toHex(identity.publicKey),
      farmer: victim.nodeId,
      direction: 'download',
      offset: 0,
      length: 10,
      expires: Date.now() + 60_000,
      nonce: toHex(crypto.getRandomValues(new Uint8Array(16))),
    });
  const frame = fc.oneof(
    fc.string(),
    fc.json(),
    fc.uint8Array({ maxLength: 300 }),
    fc
      .record(
        {
          type: fc.constantFrom('upload', 'download', 'delete', 'countersign', 'cancel'),
          proposal: fc.anything({ maxDepth: 2, withNullPrototype: false }),
          token: fc.oneof(fc.anything({ maxDepth: 2 }), fc.constant('GOOD')),
          level: fc.oneof(fc.integer({ min: 0, max: 16 }), fc.anything()),
        },
        { requiredKeys: ['type'] },
      )
      .map((value) => ({ value })),
  );
  let errors = 0;
  await atOnce(fc.sample(frame, { seed: SEED, numRuns: 2500 }), async (one) => {
    cases += 1;
    const tls = await connect();
    const socket = new WebSocket(`wss://127.0.0.1:${victim.port}/transfer`, TRANSFER_SUBPROTOCOL, {
      createConnection: () => tls,
    });
    socket.on('error', () => undefined);
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('close', () => reject(new Error('closed before it was open')));
    });
    const answered = new Promise<string>((resolve) => {
      socket.once('message', (data: Buffer) => resolve(data.toString()));
      socket.once('close', () => resolve(''));
    });
    if (one instanceof Uint8Array) {
      socket.send(one);
    } else if (typeof one === 'string') {
      socket.send(one);
    } else {
      const value = one.value.token === 'GOOD' ? { ...one.value, token: token() } : one.value;
      socket.send(
        JSON.stringify(value, (_k, v: unknown) => (typeof v === 'bigint' ? `${v}` : v)) ?? '',
      );
    }
    const answer = await answered;
    if (answer !== '') {
      const { type, code } = JSON.parse(answer) as { type: string; code?: string };
      if (type === 'error') {
        expect(code).toMatch(/^(FARMER|PROTOCOL)_[A-Z_]+$/);
        expect(code).not.toBe('FARMER_INTERNAL');
        errors += 1;
      } else {
        expect(type).toBe('cancelled');
      }
    }
    socket.terminate();
  });
  expect(errors).toBeGreaterThan(2000);
});

it('is alive after all of it, small, and still a farmer', async () => {
  expect(cases).toBeGreaterThanOrEqual(10_000);
  expect(victim.child.exitCode).toBeNull();
  expect(await memory()).toBeLessThan(350 * 1024 * 1024);
  const { status } = await request('GET', '/health', {});
  expect(status).toBe(200);
  const source = join(network.directory, 'source.bin');
  const content = await realFile(source, 3_000_000);
  const put = await granary(['put', source, 'after/fuzz', '--scheme', '2/3/4/4'], {
    home: network.home,
  });
  expect(put.code).toBe(0);
  const got = await granary(['cat', 'after/fuzz'], { home: network.home });
  expect(got.stdout.equals(content)).toBe(true);
});
