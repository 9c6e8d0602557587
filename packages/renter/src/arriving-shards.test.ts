import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArrivingShards } from './arriving-shards.js';

const K = 2;
/** Bytes sent before the stretch that is wanted, and those of the stretch. */
const SKIP = 10;
const LENGTH = 100;

class Memory {
  readonly given: Uint8Array[] = [];
  readonly back: Uint8Array[] = [];
  constructor(readonly sharesMemory = true) {}
  shardBuffer(size: number): Uint8Array {
    const bytes = new Uint8Array(size).fill(this.given.length);
    this.given.push(bytes);
    return bytes;
  }
  recycleShard(bytes: Uint8Array): void {
    this.back.push(bytes);
  }
}

function begin(memory = new Memory()) {
  const arriving = new ArrivingShards(K, SKIP, LENGTH, memory);
  const start = (index: number) => {
    const room = arriving.memoryFor(index);
    return { room, bytes: room.shardBuffer(SKIP + LENGTH) };
  };
  return { memory, arriving, start };
}

/** What a promise has come to by now. */
async function now<T>(promise: Promise<T>): Promise<T | 'waits' | Error> {
  const later = new Promise<'waits'>((resolve) => setImmediate(() => resolve('waits')));
  return Promise.race([promise.catch((error: unknown) => error as Error), later]);
}

describe('shards on their way', () => {
  it('can be read as far as k of them are verified, data shards before others', async () => {
    const { arriving, start } = begin();
    for (const index of [5, 1, 3]) start(index);
    const asked = arriving.upTo(40);
    arriving.verified(5, SKIP + 40);
    arriving.verified(1, SKIP + 39);
    expect(await now(asked)).toBe('waits');
    arriving.verified(1, 1);
    const first = await asked;
    expect([...first.keys()]).toEqual([1, 5]);
    for (const bytes of first.values()) expect(bytes).toHaveLength(40);
    arriving.verified(3, SKIP + 60);
    expect([...(await arriving.upTo(40)).keys()]).toEqual([1, 3]);
    expect(await now(arriving.upTo(41))).toBe('waits');
  });

  it('are as far read as they came from one that then failed, and no further', async () => {
    const { memory, arriving, start } = begin();
    const failing = start(0);
    const good = start(1);
    arriving.verified(0, SKIP + 50);
    arriving.verified(1, SKIP + LENGTH);
    expect((await arriving.upTo(50)).size).toBe(2);
    failing.room.recycleShard(failing.bytes);
    // Somebody may be reading it.
    expect(memory.back).toEqual([]);
    expect((await arriving.upTo(50)).size).toBe(2);
    const more = arriving.upTo(60);
    expect(await now(more)).toBe('waits');
    // The same shard on another connection.
    start(0);
    arriving.verified(0, SKIP + 60);
    expect([...(await more).keys()]).toEqual([0, 1]);
    arriving.whole(good.bytes, true);
    const never = arriving.upTo(61);
    arriving.finish(new Error('too few'));
    await expect(never).rejects.toThrow('too few');
    await expect(arriving.upTo(61)).rejects.toThrow('too few');
  });

  it('are read only when they are whole where their memory is given away', async () => {
    const { arriving, start } = begin(new Memory(false));
    const [one, other] = [start(0), start(1)];
    for (const index of [0, 1]) arriving.verified(index, SKIP + LENGTH);
    const asked = arriving.upTo(10);
    arriving.whole(one.bytes, true);
    expect(await now(asked)).toBe('waits');
    arriving.whole(other.bytes, true);
    expect([...(await asked).keys()]).toEqual([0, 1]);
  });

  it('give back all memory once, none of it while it may be read, and only what is verified', async () => {
    const event = fc.record({
      what: fc.constantFrom('start', 'say', 'say', 'fail', 'whole', 'ask', 'release'),
      index: fc.nat(4),
      count: fc.nat(60),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 60 }), async (events) => {
        const { memory, arriving, start } = begin();
        const running = new Map<number, ReturnType<typeof start> & { sent: number }>();
        const sent = new Map<Uint8Array, number>();
        const lent = new Set<Uint8Array>();
        let [wholes, released] = [0, false];
        const check = () => {
          expect(new Set(memory.back).size).toBe(memory.back.length);
          for (const bytes of memory.back) expect(!released && lent.has(bytes)).toBe(false);
        };
        for (const { what, index, count } of events) {
          const one = running.get(index);
          if (what === 'start' && one === undefined) {
            running.set(index, { ...start(index), sent: 0 });
          } else if (what === 'say' && one !== undefined) {
            const more = Math.min(count, SKIP + LENGTH - one.sent);
            one.sent += more;
            sent.set(one.bytes, one.sent);
            arriving.verified(index, more);
          } else if (what === 'fail' && one !== undefined) {
            one.room.recycleShard(one.bytes);
            running.delete(index);
          } else if (what === 'whole' && one?.sent === SKIP + LENGTH) {
            arriving.whole(one.bytes, (wholes += 1) <= K);
            running.delete(index);
          } else if (what === 'ask' && !released) {
            const shards = await now(arriving.upTo(count));
            if (shards === 'waits' || shards instanceof Error) continue;
            expect(shards.size).toBe(K);
            for (const { buffer, length } of shards.values()) {
              const bytes = memory.given.find((given) => given.buffer === buffer)!;
              lent.add(bytes);
              expect(length).toBe(count);
              expect(sent.get(bytes) ?? 0).toBeGreaterThanOrEqual(SKIP + count);
            }
          } else if (what === 'release') {
            arriving.release();
            released = true;
          }
          check();
        }
        for (const { room, bytes } of running.values()) room.recycleShard(bytes);
        arriving.finish();
        arriving.release();
        released = true;
        check();
        expect(memory.back).toHaveLength(memory.given.length);
      }),
    );
  });
});
