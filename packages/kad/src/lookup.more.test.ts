import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Contact } from './contact.js';
import { KBucket } from './k-bucket.js';
import { type LookupOptions, iterativeLookup } from './lookup.js';
import { seededRandom } from './memory-nodes.test-support.js';
import {
  ID_BITS,
  type NodeId,
  bucketIndex,
  distance,
  isNodeId,
  randomIdInBucket,
} from './node-id.js';
import { RoutingTable } from './routing-table.js';

/** A contact by its ID alone: neither the lookup nor the table looks at signatures. */
function contactOf(nodeId: NodeId, sequence = 0, addresses = ['https://node.test:1']): Contact {
  return { nodeId, publicKey: '', addresses, protocolVersion: 1, sequence, signature: '' };
}

function idsFrom(seed: string, count: number): NodeId[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => Buffer.from(random(32)).toString('hex'));
}

function sortedBy(target: NodeId, ids: readonly NodeId[]): NodeId[] {
  const big = (id: NodeId) => BigInt(`0x${id}`) ^ BigInt(`0x${target}`);
  return [...ids].sort((a, b) => (big(a) < big(b) ? -1 : 1));
}

/** Everybody's routing tables, filled as Kademlia fills them: k-buckets with what came first. */
function tablesOf(ids: readonly NodeId[], k: number): Map<NodeId, RoutingTable> {
  return new Map(
    ids.map((own, i) => {
      const table = new RoutingTable(own, k);
      // Each meets the others in another order.
      for (let j = 1; j < ids.length; j += 1) {
        table.seen(contactOf(ids[(i + j * 7919) % ids.length]!), 0);
      }
      return [own, table];
    }),
  );
}

type Ask = LookupOptions<string>['ask'];

function run(own: NodeId, target: NodeId, seeds: Contact[], ask: Ask, more = {}) {
  return iterativeLookup<string>({ own, target, seeds, k: 20, alpha: 3, ask, ...more });
}

const node = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));

describe('the XOR metric', () => {
  it('is the XOR of the IDs, as text that sorts as the number does', () => {
    fc.assert(
      fc.property(node, node, (a, b) => {
        const xor = BigInt(`0x${a}`) ^ BigInt(`0x${b}`);
        expect(distance(a, b)).toBe(xor.toString(16).padStart(64, '0'));
        expect(bucketIndex(a, b)).toBe(xor === 0n ? -1 : xor.toString(2).length - 1);
      }),
    );
  });

  it('draws an ID that falls into the bucket that was asked for', () => {
    fc.assert(
      fc.property(node, fc.nat({ max: ID_BITS - 1 }), node, (own, index, noise) => {
        const id = randomIdInBucket(own, index, () => Buffer.from(noise, 'hex'));
        expect(isNodeId(id)).toBe(true);
        expect(bucketIndex(own, id)).toBe(index);
      }),
    );
  });
});

describe('a k-bucket', () => {
  const ids = idsFrom('bucket', 12);
  const K = 3;
  const commands = fc.array(
    fc.record({
      kind: fc.constantFrom('seen', 'seen', 'seen', 'remove'),
      who: fc.nat({ max: ids.length - 1 }),
      sequence: fc.nat({ max: 5 }),
    }),
    { maxLength: 60 },
  );

  it('keeps the long-lived: only a removal makes room', () => {
    fc.assert(
      fc.property(commands, (steps) => {
        const bucket = new KBucket(K);
        const names = () => bucket.contacts.map(({ contact }) => contact.nodeId);
        steps.forEach(({ kind, who, sequence }, now) => {
          const before = names();
          const waiting = bucket.waiting.map(({ contact }) => contact.nodeId);
          const id = ids[who]!;
          if (kind === 'seen') {
            const oldest = bucket.seen(contactOf(id, sequence), now);
            if (before.includes(id)) {
              expect(oldest).toBeUndefined();
              expect(names()).toEqual([...before.filter((name) => name !== id), id]);
            } else if (before.length < K) {
              expect(oldest).toBeUndefined();
              expect(names()).toEqual([...before, id]);
            } else {
              expect(names()).toEqual(before);
              expect(oldest?.nodeId).toBe(before[0]);
              expect(bucket.waiting.at(-1)?.contact.nodeId).toBe(id);
            }
          } else if (before.includes(id)) {
            expect(bucket.remove(id)).toBe(true);
            const promoted = waiting.at(-1);
            const left = before.filter((name) => name !== id);
            expect(names()).toEqual(promoted === undefined ? left : [promoted, ...left]);
          } else {
            expect(bucket.remove(id)).toBe(false);
            expect(names()).toEqual(before);
            expect(bucket.waiting.some(({ contact }) => contact.nodeId === id)).toBe(false);
          }
          const all = [...bucket.contacts, ...bucket.waiting].map(({ contact }) => contact.nodeId);
          expect(new Set(all).size).toBe(all.length);
          expect(bucket.contacts.length).toBeLessThanOrEqual(K);
          expect(bucket.waiting.length).toBeLessThanOrEqual(K);
        });
      }),
    );
  });

  it('never goes back to an older contact of a node', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 20 }), { minLength: 1 }), (sequences) => {
        const bucket = new KBucket(K);
        for (const sequence of sequences) bucket.seen(contactOf(ids[0]!, sequence), 0);
        expect(bucket.get(ids[0]!)?.contact.sequence).toBe(Math.max(...sequences));
      }),
    );
  });
});

describe('a routing table', () => {
  it('names the closest of whom it holds, as brute force does', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(node, { maxLength: 60 }),
        node,
        node,
        fc.nat({ max: 25 }),
        (ids, own, target, count) => {
          const table = new RoutingTable(own, 20);
          for (const id of ids) table.seen(contactOf(id), 0);
          const held = table.contacts().map(({ nodeId }) => nodeId);
          const closest = table.closest(target, count).map(({ nodeId }) => nodeId);
          expect(closest).toEqual(sortedBy(target, held).slice(0, count));
          expect(table.size).toBe(held.length);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('holds each contact in the bucket of its distance', () => {
    const [own, ...ids] = idsFrom('table', 200) as [NodeId, ...NodeId[]];
    const table = new RoutingTable(own, 5);
    for (const id of ids) table.seen(contactOf(id), 0);
    for (let index = 0; index < ID_BITS; index += 1) {
      const there = ids.filter((id) => bucketIndex(own, id) === index);
      expect(table.bucket(index)?.contacts.length ?? 0).toBe(Math.min(5, there.length));
    }
  });

  it('holds neither us nor clients', () => {
    const [own, client] = idsFrom('nobody', 2) as [NodeId, NodeId];
    const table = new RoutingTable(own, 20);
    table.seen(contactOf(own), 0);
    table.seen(contactOf(client, 0, []), 0);
    expect(table.size).toBe(0);
    expect(table.lowestBucket()).toBe(-1);
    expect(table.remove(own)).toBe(false);
  });
});

describe('a lookup', () => {
  const ids = idsFrom('world', 600);
  const tables = tablesOf(ids, 20);
  const honest: Ask = ({ nodeId }) => Promise.resolve({ contacts: closestFrom(nodeId) });
  let target = '';
  const closestFrom = (nodeId: NodeId) => tables.get(nodeId)!.closest(target, 20);

  it('finds the true k closest of 600 nodes, in few hops and messages', async () => {
    for (const goal of idsFrom('goals', 20)) {
      target = goal;
      const own = ids[parseInt(goal.slice(0, 4), 16) % ids.length]!;
      const found = await run(own, goal, closestFrom(own), honest);
      const expected = sortedBy(
        goal,
        ids.filter((id) => id !== own),
      ).slice(0, 20);
      expect(found.contacts.map(({ nodeId }) => nodeId)).toEqual(expected);
      expect(found.hops).toBeLessThanOrEqual(4);
      expect(found.messages).toBeLessThanOrEqual(60);
    }
  });

  it('never has more than alpha questions under way, and asks nobody twice or itself', async () => {
    target = idsFrom('alpha', 1)[0]!;
    const own = ids[0]!;
    for (const alpha of [1, 3, 7]) {
      const asked: NodeId[] = [];
      let running = 0;
      let most = 0;
      const ask: Ask = async (contact) => {
        asked.push(contact.nodeId);
        most = Math.max(most, (running += 1));
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        return honest(contact);
      };
      const found = await run(own, target, closestFrom(own), ask, { alpha });
      expect(most).toBe(alpha);
      expect(new Set(asked).size).toBe(asked.length);
      expect(asked).not.toContain(own);
      expect(found.messages).toBe(asked.length);
    }
  });

  it('gives the closest that live when two in five are dead, and none of the dead', async () => {
    const dead = new Set(ids.filter((_, i) => i % 5 < 2));
    const ask: Ask = (contact) =>
      dead.has(contact.nodeId) ? Promise.reject(new Error('dead')) : honest(contact);
    for (const goal of idsFrom('ruins', 10)) {
      target = goal;
      const own = ids[2]!;
      const found = await run(own, goal, closestFrom(own), ask);
      const alive = ids.filter((id) => id !== own && !dead.has(id));
      const names = found.contacts.map(({ nodeId }) => nodeId);
      expect(names.filter((id) => dead.has(id))).toEqual([]);
      expect(names.slice(0, 5)).toEqual(sortedBy(goal, alive).slice(0, 5));
    }
  });

  it('ends with what it asked for, and names who had it', async () => {
    target = ids[77]!;
    const own = ids[5]!;
    const ask: Ask = async (contact) =>
      contact.nodeId === target ? { contacts: [], value: 'it' } : honest(contact);
    const found = await run(own, target, closestFrom(own), ask);
    expect(found).toMatchObject({ value: 'it', holder: { nodeId: target } });
  });

  it('takes a value that is empty for a value', async () => {
    const ask: Ask = () => Promise.resolve({ contacts: [], value: '' });
    expect((await run(ids[0]!, ids[1]!, [contactOf(ids[2]!)], ask)).value).toBe('');
  });

  it('ends, with nobody, when nobody is known or nobody answers', async () => {
    const silent: Ask = () => Promise.reject(new Error('silence'));
    expect(await run(ids[0]!, ids[1]!, [], honest)).toEqual({ contacts: [], hops: 0, messages: 0 });
    const seeds = ids.slice(2, 10).map((id) => contactOf(id));
    const found = await run(ids[0]!, ids[1]!, seeds, silent);
    expect(found).toEqual({ contacts: [], hops: 0, messages: 8 });
  });

  it('does not ask clients', async () => {
    const asked: NodeId[] = [];
    const ask: Ask = ({ nodeId }) => {
      asked.push(nodeId);
      return Promise.resolve({ contacts: [contactOf(ids[3]!, 0, [])] });
    };
    await run(ids[0]!, ids[1]!, [contactOf(ids[2]!)], ask);
    expect(asked).toEqual([ids[2]]);
  });

  it('ends when a liar always knows somebody closer', async () => {
    const goal = '0'.repeat(64);
    let left = 2n ** 256n - 1n;
    let asked = 0;
    const ask: Ask = () => {
      asked += 1;
      const contacts = Array.from({ length: 20 }, () =>
        contactOf((left -= 2n ** 200n).toString(16).padStart(64, '0')),
      );
      return Promise.resolve({ contacts });
    };
    const found = await run(ids[0]!, goal, [contactOf('f'.repeat(64))], ask);
    expect(found.contacts.length).toBeLessThanOrEqual(20);
    expect(asked).toBeLessThanOrEqual(1100);
  });

  it('looks at no more than k of an answer', async () => {
    const many = idsFrom('many', 5000).map((id) => contactOf(id));
    const seeds = [contactOf(ids[2]!)];
    const asked = new Set<NodeId>();
    const ask: Ask = ({ nodeId }) => {
      asked.add(nodeId);
      return Promise.resolve({ contacts: nodeId === ids[2] ? many : [] });
    };
    await run(ids[0]!, ids[1]!, seeds, ask);
    const first = many.slice(0, 20).map(({ nodeId }) => nodeId);
    expect([...asked].filter((id) => id !== ids[2] && !first.includes(id))).toEqual([]);
    expect(asked.size).toBeGreaterThanOrEqual(20);
  });

  it('stops when it is told to', async () => {
    const controller = new AbortController();
    let asked = 0;
    const ask: Ask = (contact) => {
      if ((asked += 1) === 4) controller.abort();
      return honest(contact);
    };
    target = idsFrom('stop', 1)[0]!;
    const { signal } = controller;
    await expect(run(ids[0]!, target, closestFrom(ids[0]!), ask, { signal })).rejects.toBeDefined();
    expect(asked).toBeLessThanOrEqual(6);
  });
});
