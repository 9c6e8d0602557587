// A page that runs the tests of records on IndexedDB, and of the rows of a book of payments. The test calls
// `globalThis.records`.
import { IndexedDbRows } from '@granary/payments';
import { IndexedDbRecords, type RecordDatabase, type RecordWork } from '@granary/renter';
import { recordsSuite } from '../../../../packages/bridge/src/records/records-suite.test-support.js';
import { tests } from './vitest-in-browser.js';

let opened: RecordDatabase[] = [];

recordsSuite(async () => {
  const name = `test ${crypto.randomUUID()}`;
  return async () => {
    const database = await IndexedDbRecords.open(name);
    opened.push(database);
    return database;
  };
});

const durabilities: string[] = [];
const original = IDBDatabase.prototype.transaction;
IDBDatabase.prototype.transaction = function (...args) {
  const transaction = original.apply(this, args);
  if (transaction.mode === 'readwrite') durabilities.push(transaction.durability);
  return transaction;
};

let rows: IndexedDbRows | undefined;

const records = {
  durabilities,
  names: () => [...tests.keys()],
  async run(name: string) {
    try {
      await tests.get(name)!();
    } finally {
      for (const database of opened) await database.close();
      opened = [];
    }
  },
  /** Count up in one transaction after the other. */
  async countUp(name: string, times: number) {
    const database = await IndexedDbRecords.open(name);
    for (let i = 0; i < times; i += 1) {
      await database.write(function* (): RecordWork<void> {
        const [found] = yield { op: 'get', keys: ['counter'] };
        const value = Uint8Array.of((found?.value[0] ?? 0) + 1);
        yield { op: 'write', records: new Map([['counter', value]]) };
      });
    }
    const [counter] = await database.get(['counter']);
    await database.close();
    return counter!.value[0]!;
  },
  /** As above, and do not durable. */
  async writeRelaxed() {
    const database = await IndexedDbRecords.open('shared');
    await database.write(
      function* (): RecordWork<void> {
        yield { op: 'write', records: new Map([['lease', Uint8Array.of(1)]]) };
      },
      { durable: false },
    );
    await database.close();
  },
  async openRows(name: string) {
    rows = await IndexedDbRows.open(name);
  },
  closeRows: () => rows!.close(),
  async addRows(times: number, prefix: string) {
    for (let i = 0; i < times; i += 1) {
      await rows!.transaction((t) => {
        const sum = (rows!.get('sum') as bigint | undefined) ?? 0n;
        t.put('sum', sum + 1n);
        t.put(`${prefix}/${String(i).padStart(4, '0')}`, { sum });
      });
    }
  },
  async failRows() {
    await rows!.transaction((t) => {
      t.put('sum', 0n);
      throw new Error('no');
    });
  },
  async removeRow(key: string) {
    await rows!.transaction((t) => t.remove(key));
  },
  sum: () => String(rows!.get('sum')),
  range: (prefix: string, from?: string) =>
    [...rows!.range(prefix, from)].map(([key, value]) => [
      key,
      String((value as { sum: bigint }).sum),
    ]),
};

export type Records = typeof records;
Object.assign(globalThis, { records });
