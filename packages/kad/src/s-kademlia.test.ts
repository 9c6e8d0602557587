import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Contact } from './contact.js';
import { type LookupAnswer, iterativeLookup } from './lookup.js';
import { type NodeId, bucketIndex, compareDistance, distance } from './node-id.js';
import { RoutingTable } from './routing-table.js';
import { SeededRandom } from './simulator/seeded-random.js';
import { VirtualClock } from './simulator/virtual-clock.js';

const random = new SeededRandom('s-kademlia');
const randomId = (): NodeId => Buffer.from(random.bytes(32)).toString('hex');
let hosts = 0;
function contactOf(nodeId: NodeId, host = `20.${(hosts += 1) >> 8}.${hosts & 255}.1`): Contact {
  const addresses = [`https://${host}:1`];
  return { nodeId, publicKey: '', addresses, protocolVersion: 1, sequence: 0, signature: '' };
}
const byDistance = (target: NodeId) => (a: Contact, b: Contact) =>
  compareDistance(a.nodeId, b.nodeId, target);

/** A world in which everybody has a table of random others. */
function world(count: number) {
  const contacts = Array.from({ length: count }, () => contactOf(randomId()));
  const tables = new Map(
    contacts.map(({ nodeId }) => {
      const table = new RoutingTable(nodeId, 20, { siblings: 40 });
      for (const other of random.shuffle([...contacts])) table.seen(other, 0);
      return [nodeId, table];
    }),
  );
  return { contacts, tables };
}

describe('compareDistance', () => {
  it('orders as the distances do', () => {
    const id = fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .map((bytes) => Buffer.from(bytes).toString('hex'));
    fc.assert(
      fc.property(id, id, id, (a, b, target) => {
        const [x, y] = [distance(a, target), distance(b, target)];
        expect(Math.sign(compareDistance(a, b, target))).toBe(x < y ? -1 : x > y ? 1 : 0);
      }),
    );
  });
});

describe('disjoint paths', () => {
  const { contacts, tables } = world(400);
  const run = (
    target: NodeId,
    paths: number,
    ask: (contact: Contact) => Promise<LookupAnswer<string>>,
    observer = {},
  ) => {
    const own = contacts[0]!.nodeId;
    const seeds = tables.get(own)!.closest(target, 20);
    return iterativeLookup<string>({ target, own, seeds, k: 20, alpha: 3, paths, ask, observer });
  };
  const honest = (target: NodeId) => (contact: Contact) =>
    Promise.resolve({ contacts: tables.get(contact.nodeId)!.closest(target, 20) });

  it('find the true closest nodes, and ask nobody twice', async () => {
    for (let i = 0; i < 10; i += 1) {
      const target = randomId();
      const asked: NodeId[] = [];
      const { contacts: found } = await run(target, 4, (contact) => {
        asked.push(contact.nodeId);
        return honest(target)(contact);
      });
      const best = contacts.slice(1).sort(byDistance(target)).slice(0, 20);
      expect(found.map(({ nodeId }) => nodeId)).toEqual(best.map(({ nodeId }) => nodeId));
      expect(new Set(asked).size).toBe(asked.length);
    }
  });

  it('follow only what was told on the same path', async () => {
    const target = randomId();
    const pathOf = new Map<NodeId, number>();
    const told = new Map<NodeId, Set<number>>();
    await run(target, 3, honest(target), {
      asked: (contact: Contact, path: number, depth: number) => {
        pathOf.set(contact.nodeId, path);
        if (depth > 1) expect(told.get(contact.nodeId)!.has(path)).toBe(true);
      },
      answered: (contact: Contact, named: readonly Contact[]) => {
        for (const { nodeId } of named) {
          const paths = told.get(nodeId) ?? new Set<number>();
          told.set(nodeId, paths.add(pathOf.get(contact.nodeId)!));
        }
      },
    });
    expect(new Set(pathOf.values())).toEqual(new Set([0, 1, 2]));
  });

  it('keep a liar to its own path: the others still find a value', async () => {
    let withOne = 0;
    let withFour = 0;
    for (let i = 0; i < 40; i += 1) {
      const target = randomId();
      const holders = new Set([...contacts].sort(byDistance(target)).slice(0, 3));
      // Whoever is asked first on path 0 is a liar that knows a thousand friends nearer than anyone.
      const friend = () => contactOf(target.slice(0, 20) + randomId().slice(20));
      const friends = new Set<NodeId>();
      const lie = () => {
        const named = Array.from({ length: 20 }, friend);
        for (const { nodeId } of named) friends.add(nodeId);
        return Promise.resolve({ contacts: named });
      };
      for (const paths of [1, 4]) {
        let first = true;
        const { value } = await run(target, paths, (contact) => {
          if (first || friends.has(contact.nodeId)) {
            first = false;
            return lie();
          }
          return holders.has(contact)
            ? Promise.resolve({ contacts: [], value: 'it' })
            : honest(target)(contact);
        });
        if (paths === 1) withOne += value === 'it' ? 1 : 0;
        else withFour += value === 'it' ? 1 : 0;
      }
    }
    expect(withFour).toBe(40);
    expect(withOne).toBeLessThan(40);
  });

  it('take no more of one network than a few on each path', async () => {
    const target = randomId();
    const crowd = Array.from({ length: 300 }, (_, i) =>
      contactOf(target.slice(0, 10) + randomId().slice(10), `66.6.6.${i % 250}`),
    );
    const asked: Contact[] = [];
    const own = contacts[0]!.nodeId;
    const { contacts: found } = await iterativeLookup<never>({
      target,
      own,
      seeds: tables.get(own)!.closest(target, 20),
      k: 20,
      alpha: 3,
      paths: 3,
      perGroup: 2,
      ask: (contact) => {
        asked.push(contact);
        return tables.has(contact.nodeId)
          ? Promise.resolve({
              contacts: [
                ...random.shuffle([...crowd]).slice(0, 10),
                ...tables.get(contact.nodeId)!.closest(target, 10),
              ],
            })
          : Promise.resolve({ contacts: random.shuffle([...crowd]).slice(0, 20) });
      },
    });
    expect(asked.filter(({ addresses }) => addresses[0]!.includes('66.6.6'))).toHaveLength(6);
    expect(found.filter(({ addresses }) => !addresses[0]!.includes('66.6.6')).length).toBe(14);
  });

  it('do not stand still behind a node that is slow', async () => {
    const clock = new VirtualClock();
    const target = randomId();
    const own = contacts[0]!.nodeId;
    let n = 0;
    const lookup = (patienceMs?: number) =>
      iterativeLookup<never>({
        target,
        own,
        seeds: tables.get(own)!.closest(target, 20),
        k: 20,
        alpha: 3,
        clock,
        ...(patienceMs !== undefined && { patienceMs }),
        ask: (contact) =>
          new Promise((resolve, reject) => {
            const slow = (n += 1) % 3 === 0;
            clock.setTimeout(
              () =>
                slow
                  ? reject(new Error('too late'))
                  : resolve({ contacts: tables.get(contact.nodeId)!.closest(target, 20) }),
              slow ? 5000 : 100,
            );
          }),
      });
    const timed = async (patienceMs?: number) => {
      n = 0;
      const began = clock.now();
      await clock.settle(lookup(patienceMs));
      return clock.now() - began;
    };
    const waiting = await timed();
    expect(await timed(500)).toBeLessThan(waiting / 2);
  });
});

describe('the sibling list', () => {
  it('has the closest of all that were seen, whatever the k-buckets hold', () => {
    for (let round = 0; round < 10; round += 1) {
      const own = randomId();
      const table = new RoutingTable(own, 4, { siblings: 10 });
      const seen = Array.from({ length: 300 }, () => contactOf(randomId()));
      seen.forEach((contact, time) => table.seen(contact, time));
      const best = [...seen].sort(byDistance(own)).slice(0, 10);
      expect(table.siblings.map(({ contact }) => contact)).toEqual(best);
      expect(table.closest(own, 10)).toEqual(best);
      for (const contact of best) expect(table.get(contact.nodeId)?.contact).toBe(contact);
      // Nobody is counted or named twice.
      const all = table.contacts();
      expect(new Set(all).size).toBe(all.length);
      expect(table.size).toBe(all.length);
      expect(table.remove(best[0]!.nodeId)).toBe(true);
      expect(table.get(best[0]!.nodeId)).toBeUndefined();
      expect(table.contacts()).toHaveLength(all.length - (table.size === all.length ? 0 : 1));
    }
  });

  it('names the closest to any target of all that the table holds', () => {
    const own = randomId();
    const table = new RoutingTable(own, 5, { siblings: 30 });
    for (let i = 0; i < 500; i += 1) table.seen(contactOf(randomId()), i);
    for (let i = 0; i < 50; i += 1) {
      const target = i % 2 === 0 ? randomId() : own.slice(0, 2) + randomId().slice(2);
      const best = table.contacts().sort(byDistance(target)).slice(0, 20);
      expect(table.closest(target, 20)).toEqual(best);
    }
  });
});

describe('a bound on contacts of one network', () => {
  it('holds in every k-bucket and in the sibling list, under any history', () => {
    const own = '0'.repeat(64);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 5 }), fc.boolean()), {
          maxLength: 200,
        }),
        (history) => {
          const table = new RoutingTable(own, 4, { siblings: 8, perGroup: 2 });
          history.forEach(([n, net, seen], time) => {
            const nodeId = `${(n % 16).toString(16)}${n.toString(16).padStart(63, '0')}`;
            if (seen) table.seen(contactOf(nodeId, `20.0.${net}.${n}`), time);
            else table.remove(nodeId);
          });
          const most = (contacts: Contact[]) => {
            const counts = new Map<string, number>();
            for (const { addresses } of contacts) {
              const net = addresses[0]!.split('.')[2]!;
              counts.set(net, (counts.get(net) ?? 0) + 1);
            }
            return Math.max(0, ...counts.values());
          };
          // Replacements that were let in beside full places may double the share, no more.
          for (let i = 0; i < 256; i += 1) {
            const bucket = table.bucket(i)?.contacts.map(({ contact }) => contact) ?? [];
            expect(most(bucket)).toBeLessThanOrEqual(4);
            for (const { nodeId } of bucket) expect(bucketIndex(own, nodeId)).toBe(i);
          }
          expect(most(table.siblings.map(({ contact }) => contact))).toBeLessThanOrEqual(3);
        },
      ),
    );
  });
});
