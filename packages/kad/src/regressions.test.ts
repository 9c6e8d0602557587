import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createTlsCredentials } from './certificate.js';
import { signContact } from './contact.js';
import { KadError } from './errors.js';
import { HttpsTransport } from './https-transport.js';
import { loadIdentity, saveIdentity } from './identity-file.js';
import { Identity } from './identity.js';
import { parseResponse } from './json-rpc.js';
import { KademliaNode } from './kademlia-node.js';
import type { KademliaOptions } from './kademlia-options.js';
import { LmdbValueStore } from './lmdb-value-store.js';
import { ManualClock } from './memory-nodes.test-support.js';
import { MemoryNetwork, MemoryTransport } from './memory-transport.js';
import { MAX_SKEW_MS, NonceCache } from './envelope.js';
import { sha256 } from './sha256.js';
import { MemoryValueStore, type ValueStore } from './value-store.js';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Extras {
  clock?: ManualClock;
  storage?: ValueStore;
  options?: Partial<KademliaOptions>;
}

async function memoryNode(network: MemoryNetwork, address: string, extras: Extras = {}) {
  const identity = Identity.generate();
  const storage = extras.storage ?? new MemoryValueStore();
  const node = new KademliaNode({
    identity,
    transport: new MemoryTransport(network, identity.nodeId, address),
    storage,
    ...(extras.clock !== undefined && { clock: extras.clock }),
    ...(extras.options !== undefined && { options: extras.options }),
  });
  cleanups.push(() => node.stop());
  await node.start();
  return { node, identity, storage };
}

async function httpsNode() {
  const identity = Identity.generate();
  const credentials = await createTlsCredentials(identity);
  const transport = new HttpsTransport({ credentials, listen: { host: '127.0.0.1', port: 0 } });
  const node = new KademliaNode({ identity, transport, storage: new MemoryValueStore() });
  cleanups.push(() => node.stop());
  await node.start();
  return node;
}

async function directory(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'kad-regression-'));
  cleanups.push(() => rm(made, { recursive: true, force: true }));
  return made;
}

describe('a call that is aborted before it begins', () => {
  it('is refused, and does not end the process', async () => {
    const uncaught: Error[] = [];
    const note = (error: Error) => uncaught.push(error);
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', note);
    cleanups.push(() => {
      process.removeListener('uncaughtException', note);
      for (const other of others) process.on('uncaughtException', other);
    });
    const [a, b] = [await httpsNode(), await httpsNode()];
    await expect(a.ping(b.contact, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'KAD_ABORTED',
    });
    // The same happens to whatever a node still wants to say after it was stopped.
    await a.stop();
    await expect(a.ping(b.contact)).rejects.toBeInstanceOf(KadError);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(uncaught).toEqual([]);
  });

  it('is refused with a typed error by lookup, put and get', async () => {
    const network = new MemoryNetwork();
    const { node: a } = await memoryNode(network, 'https://a.test:1');
    const { node: b } = await memoryNode(network, 'https://b.test:1');
    await b.join(['https://a.test:1']);
    void a;
    const signal = AbortSignal.abort();
    const key = 'ab'.repeat(32);
    for (const call of [
      () => b.lookup(key, { signal }),
      () => b.get(key, { signal }),
      () => b.put(Buffer.from('x'), { signal }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'KAD_ABORTED' });
    }
  });
});

describe('the LMDB store', () => {
  it('counts a value once, however many store it at one time', async () => {
    const store = LmdbValueStore.open(join(await directory(), 'values.lmdb'), 1000);
    cleanups.push(() => store.close());
    const entry = { value: new Uint8Array(100), expires: 5, refreshed: 4 };
    await Promise.all(Array.from({ length: 30 }, () => store.put('a', entry)));
    for (const key of 'bcdefghij') await store.put(key, entry);
  });

  it('gives room back once, however many delete a value at one time', async () => {
    const store = LmdbValueStore.open(join(await directory(), 'values.lmdb'), 1000);
    cleanups.push(() => store.close());
    const entry = { value: new Uint8Array(100), expires: 5, refreshed: 4 };
    await store.put('a', entry);
    await Promise.all(Array.from({ length: 30 }, () => store.delete('a')));
    await expect(store.put('b', { ...entry, value: new Uint8Array(1001) })).rejects.toMatchObject({
      code: 'KAD_FULL',
    });
  });
});

describe('a routing table', () => {
  it('does not lose a live contact to an old contact of the same node', async () => {
    const network = new MemoryNetwork();
    const { node } = await memoryNode(network, 'https://node.test:1');
    const friend = await memoryNode(network, 'https://friend.test:1');
    await node.ping(friend.node.contact);
    // Signed by the friend long ago; anybody who kept it can name it in an answer to FIND_NODE.
    const old = signContact(friend.identity, { addresses: ['https://old.test:1'], sequence: 1 });
    await node.ping(old).catch(() => undefined);
    expect(node.contacts()).toEqual([friend.node.contact]);
  });

  it('is whole again some time after an outage, without a new join', async () => {
    let cut = false;
    const clock = new ManualClock();
    const network = new MemoryNetwork((from, to) =>
      cut && from.includes('alone') !== to.includes('alone')
        ? Promise.reject(new KadError('KAD_UNREACHABLE', 'cut'))
        : Promise.resolve(),
    );
    const alone = await memoryNode(network, 'https://alone.test:1', { clock });
    const others = [];
    for (let i = 0; i < 4; i += 1) {
      const other = await memoryNode(network, `https://other-${i}.test:1`, { clock });
      await other.node.join(['https://alone.test:1']);
      others.push(other);
    }
    const all = [alone, ...others];
    cut = true;
    for (const { node } of all) await node.lookup('ab'.repeat(32));
    cut = false;
    for (let i = 0; i < 3; i += 1) {
      clock.advance(1.5 * 3600 * 1000);
      for (const { node } of all) await node.maintain();
    }
    expect(alone.node.contacts().length).toBeGreaterThan(0);
  });
});

describe('values', () => {
  it('are published again by a publisher that slept through their time', async () => {
    const network = new MemoryNetwork();
    const clock = new ManualClock();
    const { node: a } = await memoryNode(network, 'https://a.test:1', { clock });
    const b = await memoryNode(network, 'https://b.test:1', { clock });
    await b.node.join(['https://a.test:1']);
    const { key } = await a.put(Buffer.from('mine'));
    clock.advance(30 * 3600 * 1000);
    await a.maintain();
    expect(Buffer.from(await b.node.get(key)).toString()).toBe('mine');
  });

  it('keep the longer life that came in while they were being republished', async () => {
    const hour = 3600 * 1000;
    const clock = new ManualClock();
    const options = { refreshMs: Infinity };
    let inBetween: (() => Promise<unknown>) | undefined;
    const network = new MemoryNetwork(async (from, to) => {
      if (from !== 'https://b.test:1' || to !== 'https://a.test:1') return;
      const run = inBetween;
      inBetween = undefined;
      await run?.();
    });
    const { node: a } = await memoryNode(network, 'https://a.test:1', { clock, options });
    const b = await memoryNode(network, 'https://b.test:1', { clock, options });
    await b.node.join(['https://a.test:1']);
    const value = Buffer.from('renewed');
    const key = Buffer.from(sha256(value)).toString('hex');
    await b.storage.put(key, { value, expires: clock.now() + 3 * hour, refreshed: clock.now() });
    clock.advance(2 * hour);
    const params = { key, value: value.toString('base64'), ttl: 24 * hour };
    // The publisher's STORE comes while b waits for an answer to its own.
    inBetween = () => a.call(b.node.contact, 'STORE', params);
    await b.node.maintain();
    expect(inBetween).toBeUndefined();
    expect(b.storage.get(key)?.expires).toBe(clock.now() + 24 * hour);
  });

  it('of one sender do not take all the room', async () => {
    const network = new MemoryNetwork();
    const { node } = await memoryNode(network, 'https://node.test:1', {
      storage: new MemoryValueStore(40_000),
      options: { senderBytes: 10_000 },
    });
    const greedy = await memoryNode(network, 'https://greedy.test:1');
    const modest = await memoryNode(network, 'https://modest.test:1');
    const store = (from: KademliaNode, text: string) => {
      const value = Buffer.from(text.padEnd(1000));
      const key = Buffer.from(sha256(value)).toString('hex');
      const params = { key, value: value.toString('base64'), ttl: 1e6 };
      return from.call(node.contact, 'STORE', params);
    };
    for (let i = 0; i < 50; i += 1) await store(greedy.node, `${i}`).catch(() => undefined);
    await expect(store(modest.node, 'one value')).resolves.toBeDefined();
  });
});

describe('messages', () => {
  it('of one sender do not fill the nonce cache for the others', () => {
    const clock = new ManualClock();
    const cache = new NonceCache(clock, 100);
    try {
      for (let i = 0; i < 200; i += 1) cache.take('greedy', `${i}`);
    } catch {
      // Refused at some point: as it should be.
    }
    clock.advance(MAX_SKEW_MS / 2);
    expect(() => cache.take('modest', '1')).not.toThrow();
  });

  it('that answer with an error of a strange shape are a typed error', () => {
    for (const message of [{ toString: 1, valueOf: 1 }, [{ toString: null }]]) {
      const text = JSON.stringify({ jsonrpc: '2.0', id: '1', error: { code: 1, message } });
      expect(() => parseResponse(text, '1')).toThrow(KadError);
    }
  });
});

describe('an identity file', () => {
  it('is written by one of two that want to, and the other is told', async () => {
    const path = join(await directory(), 'identity.json');
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, () => saveIdentity(path, Identity.generate())),
    );
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(7);
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'KAD_IDENTITY_EXISTS' });
    await expect(loadIdentity(path)).resolves.toBeDefined();
  });

  it('that is a directory is a typed error', async () => {
    await expect(loadIdentity(await directory())).rejects.toBeInstanceOf(KadError);
  });
});

describe('a node over LMDB', () => {
  it('stops in the middle of maintenance without a complaint of the store', async () => {
    const network = new MemoryNetwork(() => new Promise((resolve) => setTimeout(resolve, 5)));
    const clock = new ManualClock();
    const warnings: object[] = [];
    const storage = LmdbValueStore.open(join(await directory(), 'values.lmdb'));
    const { node: a } = await memoryNode(network, 'https://a.test:1', { clock });
    const options = { refreshMs: Infinity };
    const { node: b } = await memoryNode(network, 'https://b.test:1', { clock, storage, options });
    await b.join(['https://a.test:1']);
    for (let i = 0; i < 3; i += 1) await b.put(Buffer.from(`${i}`));
    clock.advance(2 * 3600 * 1000);
    const work = b.maintain().catch((error: Error) => warnings.push(error));
    await new Promise((resolve) => setTimeout(resolve, 3));
    await b.stop();
    await work;
    void a;
    expect(warnings).toEqual([]);
  });
});
