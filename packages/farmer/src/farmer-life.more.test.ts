import { mkdtemp, readdir, rm } from 'node:fs/promises';
import * as https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Identity, type Logger, silentLogger, systemClock } from '@granary/kad';
import { FARMER_TERMS_METHOD, parseFarmerTerms } from '@granary/protocol';
import { Farmer, type FarmerOptions } from './farmer.js';

let directory: string;
const farmers: Farmer[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-life-'));
});
afterEach(async () => {
  await Promise.all(farmers.splice(0).map((farmer) => farmer.stop()));
  await rm(directory, { recursive: true, force: true });
});

async function open(name: string, change: Partial<FarmerOptions> = {}): Promise<Farmer> {
  const farmer = await Farmer.open({
    directory: join(directory, name),
    identity: Identity.generate(),
    host: '127.0.0.1',
    port: 0,
    bootstrap: [],
    quotaBytes: 1_000_000,
    logger: silentLogger,
    ...change,
  });
  farmers.push(farmer);
  return farmer;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

function get(farmer: Farmer, path: string, method = 'GET') {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const url = new URL(farmer.address);
    const request = https.request(
      {
        host: url.hostname,
        port: url.port,
        path,
        method,
        rejectUnauthorized: false,
        agent: false,
      },
      (response) => {
        let text = '';
        response.on('data', (part: Buffer) => (text += part.toString()));
        response.on('end', () => resolve({ status: response.statusCode!, text }));
      },
    );
    request.on('error', reject);
    request.end();
  });
}

it('joins another, is found by it, and tells it its terms', async () => {
  const first = await open('first');
  const policy = { storagePrice: '7', egressPrice: '9', currency: 'coin', maxShardSize: 5000 };
  const second = await open('second', { bootstrap: [first.address], policy });
  await until(() => first.stats().peers === 1 && second.stats().peers === 1);
  const found = await first.node.lookup(second.contact.nodeId);
  expect(found.contacts.map(({ nodeId }) => nodeId)).toContain(second.contact.nodeId);
  const answer = await first.node.call(second.contact, FARMER_TERMS_METHOD, {});
  expect(parseFarmerTerms(answer)).toEqual({
    version: 1,
    freeBytes: 1_000_000,
    maxDurationMs: 366 * 24 * 3600 * 1000,
    ...policy,
    leaving: false,
    operator: null,
    payment: { settlement: 'ledger', contract: null, creditLimit: '160' },
  });
});

it('joins when its bootstrap node comes later, and stops while it does not', async () => {
  const probe = await open('probe');
  const port = Number(new URL(probe.address).port);
  await probe.stop();
  const bootstrap = [probe.address];
  const setTimeout = (run: () => void, ms: number) => systemClock.setTimeout(run, ms / 20);
  const hasty = { ...systemClock, setTimeout };
  const warnings: unknown[] = [];
  const logger: Logger = {
    ...silentLogger,
    warn: (...said: unknown[]) => void warnings.push(said),
  };
  const early = await open('early', { bootstrap, clock: hasty, logger });
  const never = await open('never', { bootstrap, clock: hasty });
  await until(() => warnings.length >= 2);
  expect(early.stats().peers).toBe(0);
  await never.stop();
  const late = await open('late', { port });
  await until(() => early.stats().peers > 0 && late.stats().peers > 0);
});

it('tells its health to anybody, and nothing else', async () => {
  const farmer = await open('one');
  const { status, text } = await get(farmer, '/health');
  expect(status).toBe(200);
  expect(JSON.parse(text)).toEqual({ status: 'ok', ...farmer.stats() });
  expect(JSON.parse(text)).toMatchObject({
    nodeId: farmer.contact.nodeId,
    quotaBytes: 1_000_000,
    freeBytes: 1_000_000,
  });
  expect(text).not.toContain(directory);
  for (const [path, method] of [
    ['/', 'GET'],
    ['/health', 'POST'],
    ['/shards', 'GET'],
    ['/transfer', 'GET'],
  ] as const) {
    const refused = await get(farmer, path, method);
    expect(refused.status).toBe(404);
    expect(JSON.parse(refused.text)).toMatchObject({ error: { code: 'KAD_NOT_FOUND' } });
  }
});

it('gives everything back when it can not begin or has stopped', async () => {
  const first = await open('first');
  const port = Number(new URL(first.address).port);
  await expect(open('second', { port })).rejects.toMatchObject({ code: 'KAD_PORT_IN_USE' });
  expect(await readdir(join(directory, 'second'))).not.toContain('lock');
  await open('second');
  await Promise.all([first.stop(), first.stop()]);
  expect(await readdir(join(directory, 'first'))).not.toContain('lock');
  // The same directory and port at once again.
  await open('first', { port });
});
