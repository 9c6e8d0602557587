import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { open } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Logger, silentLogger, systemClock } from '@granary/kad';
import { type BookEntry, type BookTotals, ContractBook } from './contract-book.js';
import { ShardStore } from './shard-store.js';

const { signal } = new AbortController();
let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'granary-totals-'));
  path = join(directory, 'contracts.lmdb');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const NOTHING = { stored: 0, storedBytes: 0, reservedBytes: 0, damaged: 0, unknown: 0 };
const LATER = Date.now() + 3_600_000;
const hashOf = (i: number) => i.toString(16).padStart(64, '0');
const stored = (size: number, damaged?: boolean): BookEntry => ({
  state: 'stored',
  size,
  end: LATER,
  reservedUntil: 0,
  ...(damaged !== undefined && { damaged }),
});

/** Sums over what the book should have. */
function sum(entries: Iterable<BookEntry>): BookTotals {
  const totals = { ...NOTHING };
  for (const { state, size, reservedUntil, damaged } of entries) {
    if (state === 'stored') {
      totals.stored += 1;
      totals.storedBytes += size;
      totals.damaged += damaged === true ? 1 : 0;
    } else if (state === 'reserved') totals.reservedBytes += size;
    else totals.unknown += reservedUntil === 0 ? 1 : 0;
  }
  return totals;
}

/** What somebody else changes in the file while the book is closed. */
async function meddle(change: (meta: { put(key: string, value: unknown): unknown }) => void) {
  const root = open({ path, noSubdir: true, maxDbs: 16 });
  change(root.openDB<unknown, string>({ name: 'meta' }));
  await root.flushed;
  await root.close();
}

function openStore(logger: Logger = silentLogger): Promise<ShardStore> {
  const limits = { quotaBytes: 1e9, reservationMs: 3_600_000, graceMs: 0 };
  return ShardStore.open({ directory, ...limits, clock: systemClock, logger });
}

const entryArbitrary: fc.Arbitrary<BookEntry> = fc.record({
  state: fc.constantFrom('reserved', 'stored', 'deleted'),
  size: fc.nat(1_000_000),
  end: fc.constant(LATER),
  reservedUntil: fc.constantFrom(0, LATER),
  damaged: fc.boolean(),
});

describe('the totals of the book', () => {
  it('are the sums over its entries after any writes, and when it is opened again', async () => {
    const step = fc.tuple(
      fc.nat(6),
      fc.oneof(
        fc.record({ kind: fc.constantFrom('put', 'bury'), entry: entryArbitrary }),
        fc.constant({ kind: 'forget' as const, entry: undefined }),
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        await rm(path, { force: true });
        await rm(`${path}-lock`, { force: true });
        let book = ContractBook.open(path);
        await book.seal();
        const model = new Map<string, BookEntry>();
        for (const [i, { kind, entry }] of steps) {
          const hash = hashOf(i);
          if (entry === undefined) {
            model.delete(hash);
            await book.forget(hash);
          } else if (kind === 'put') {
            model.set(hash, entry);
            await book.put(hash, entry);
          } else {
            model.set(hash, { ...entry, state: 'deleted' });
            await book.bury(hash, entry);
          }
          expect(book.totals).toEqual(sum(model.values()));
        }
        const unsettled = [...model]
          .filter(
            ([, { state, reservedUntil }]) =>
              state === 'reserved' || (state === 'deleted' && reservedUntil !== 0),
          )
          .map(([hash]) => hash);
        await book.close();
        book = ContractBook.open(path);
        expect(book.totals).toEqual(sum(model.values()));
        expect(book.unsettledHashes()).toEqual(unsettled.sort());
        expect(await book.verifyTotals(signal)).toBe(true);
        await book.close();
      }),
      { numRuns: 25 },
    );
  });

  it('are counted for a book of before there were any, in slices', async () => {
    let book = ContractBook.open(path);
    await book.seal();
    const count = 4100;
    const writes = Array.from({ length: count }, (_, i) => book.put(hashOf(i), stored(i)));
    writes.push(book.put(hashOf(count), { ...stored(7), state: 'reserved', reservedUntil: LATER }));
    await Promise.all(writes);
    const totals = book.totals;
    await book.close();
    await meddle((meta) => {
      meta.put('version', 2);
      meta.put('totals', undefined);
    });
    book = ContractBook.open(path);
    expect(book.isWhole).toBe(false);
    expect(book.totals).toEqual(NOTHING);
    await book.seal();
    expect(book.isWhole).toBe(true);
    expect(book.totals).toEqual(totals);
    expect(book.totals).toMatchObject({ stored: count, reservedBytes: 7 });
    expect(book.unsettledHashes()).toEqual([hashOf(count)]);
    await book.close();
  });

  it('are corrected when they are wrong, while others write', async () => {
    let book = ContractBook.open(path);
    await book.seal();
    const writes = Array.from({ length: 4100 }, (_, i) => book.put(hashOf(i), stored(10)));
    await Promise.all(writes);
    await book.close();
    await meddle((meta) => meta.put('totals', { ...NOTHING, stored: 5000, unknown: 3 }));
    book = ContractBook.open(path);
    const verified = book.verifyTotals(signal);
    await book.put(hashOf(9000), stored(10, true));
    expect(await verified).toBe(false);
    const right = { ...NOTHING, stored: 4101, storedBytes: 41_010, damaged: 1 };
    expect(book.totals).toEqual(right);
    expect(await book.verifyTotals(signal)).toBe(true);
    await book.close();
    book = ContractBook.open(path);
    expect(book.totals).toEqual(right);
    await book.close();
  });

  it('are verified when the store has looked at its files', async () => {
    await (await openStore()).close();
    await meddle((meta) => meta.put('totals', { ...NOTHING, stored: 1, storedBytes: 500_000_000 }));
    const errors: unknown[] = [];
    const logger: Logger = { ...silentLogger, error: (...args) => void errors.push(args[1]) };
    const store = await openStore(logger);
    expect(store.usage.usedBytes).toBe(500_000_000);
    await store.reconcile(signal);
    expect(store.usage).toMatchObject({ usedBytes: 0, shards: 0 });
    expect(errors).toEqual(['the totals of the contract book were wrong: counted anew']);
    await store.close();
  });

  it('do not count what could not be written', async () => {
    const book = ContractBook.open(path);
    await book.seal();
    await book.put(hashOf(1), stored(10));
    // A key longer than LMDB takes: the write fails.
    await expect(
      (async () => book.put(randomBytes(2000).toString('hex'), stored(99)))(),
    ).rejects.toThrow();
    expect(book.totals).toEqual({ ...NOTHING, stored: 1, storedBytes: 10 });
    expect(await book.verifyTotals(signal)).toBe(true);
    await book.close();
  });
});
