import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import { fromUtf8, utf8 } from '@granary/kad';
import { RenterError, messageOf } from './errors.js';
import type {
  KeyRange,
  RecordAnswer,
  RecordDatabase,
  RecordStep,
  RecordWork,
  StoredRecord,
  WriteOptions,
} from './record-database.js';

const STORE = 'records';

interface Schema extends DBSchema {
  // Keys as bytes: text would be in order of UTF-16, which is another than that of UTF-8.
  [STORE]: { key: Bytes; value: Bytes };
}

type Bytes = Uint8Array<ArrayBuffer>;
type Store = Pick<
  ReturnType<ReturnType<IDBPDatabase<Schema>['transaction']>['objectStore']>,
  'get' | 'getAll' | 'getAllKeys' | 'openCursor'
>;

/**
 * Records in IndexedDB, in a browser. Several pages of one origin may use them at once: the browser lets
 * one transaction write after the other. A transaction is whole or not there, and a durable write returns
 * after the browser has had it put on the disk.
 */
export class IndexedDbRecords implements RecordDatabase {
  readonly reach = 'machine';

  private constructor(private readonly db: IDBPDatabase<Schema>) {}

  /**
   * @param name - of the database, for the page's origin
   * @throws RenterError RENTER_STORE when the browser lets us have none, as some do in private windows.
   */
  static async open(name: string): Promise<IndexedDbRecords> {
    try {
      const db: IDBPDatabase<Schema> = await openDB<Schema>(name, 1, {
        upgrade: (fresh) => void fresh.createObjectStore(STORE),
        // Another page deletes the database, or has a newer form of it.
        blocking: () => db.close(),
      });
      return new IndexedDbRecords(db);
    } catch (error) {
      throw new RenterError(
        'RENTER_STORE',
        `the browser does not open the store ${name}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  get(keys: readonly string[]): Promise<readonly StoredRecord[]> {
    return pick(this.db.transaction(STORE).objectStore(STORE), keys);
  }

  range(range: KeyRange): Promise<readonly StoredRecord[]> {
    return read(this.db.transaction(STORE).objectStore(STORE), range);
  }

  async count({ start, end }: Pick<KeyRange, 'start' | 'end'>): Promise<number> {
    const within = between(start, end);
    return within === undefined ? 0 : this.db.count(STORE, within);
  }

  async write<T>(work: () => RecordWork<T>, { durable = true }: WriteOptions = {}): Promise<T> {
    const transaction = this.db.transaction(STORE, 'readwrite', {
      durability: durable ? 'strict' : 'relaxed',
    });
    const store = transaction.objectStore(STORE);
    const perform = (step: RecordStep): Promise<RecordAnswer> | RecordAnswer => {
      if (step.op === 'get') return pick(store, step.keys);
      if (step.op === 'range') return read(store, step.range);
      for (const [key, value] of step.records) {
        const done: Promise<unknown> =
          value === null ? store.delete(keyOf(key)) : store.put(own(value), keyOf(key));
        // The transaction tells of it.
        done.catch(() => undefined);
      }
      return [];
    };
    // It is awaited below, when nothing has failed before.
    transaction.done.catch(() => undefined);
    let result: T;
    try {
      const steps = work();
      let step = steps.next();
      // Nothing else may be waited for here: a transaction ends when it has nothing to do.
      while (!step.done) step = steps.next(await perform(step.value));
      result = step.value;
    } catch (error) {
      try {
        transaction.abort();
      } catch {
        // It has ended by itself, and with nothing done.
      }
      throw error;
    }
    await transaction.done;
    return result;
  }

  async close(): Promise<void> {
    // Transactions under way end first.
    this.db.close();
  }
}

function keyOf(key: string): Bytes {
  return utf8(key) as Bytes;
}

/** The bytes without what else is in their buffer, all of which would be kept. */
function own(value: Uint8Array): Bytes {
  return (value.length === value.buffer.byteLength ? value : value.slice()) as Bytes;
}

function recordOf(key: IDBValidKey, value: Bytes): StoredRecord {
  return { key: fromUtf8(new Uint8Array(key as ArrayBuffer)), value };
}

function between(start: string, end: string): IDBKeyRange | undefined {
  const [lower, upper] = [keyOf(start), keyOf(end)];
  return indexedDB.cmp(lower, upper) < 0 ? IDBKeyRange.bound(lower, upper, false, true) : undefined;
}

async function pick(store: Store, keys: readonly string[]): Promise<readonly StoredRecord[]> {
  const values = await Promise.all(keys.map((key) => store.get(keyOf(key))));
  return values.flatMap((value, i) => (value === undefined ? [] : [{ key: keys[i]!, value }]));
}

async function read(
  store: Store,
  { start, end, limit = Infinity, reverse = false }: KeyRange,
): Promise<readonly StoredRecord[]> {
  const within = between(start, end);
  if (within === undefined || limit <= 0) return [];
  if (reverse) {
    const found: StoredRecord[] = [];
    let cursor = await store.openCursor(within, 'prev');
    while (cursor !== null && found.length < limit) {
      found.push(recordOf(cursor.key, cursor.value));
      cursor = found.length < limit ? await cursor.continue() : null;
    }
    return found;
  }
  const most = Number.isFinite(limit) ? limit : undefined;
  const [keys, values] = await Promise.all([
    store.getAllKeys(within, most),
    store.getAll(within, most),
  ]);
  return keys.map((key, i) => recordOf(key, values[i]!));
}
