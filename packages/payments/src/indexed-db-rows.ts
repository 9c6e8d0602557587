import { type DBSchema, type IDBPDatabase, openDB } from 'idb';
import { messageOf } from '@granary/kad';
import { PaymentError } from './errors.js';
import { type RowWriter, type Rows, decodeRow, encodeRow } from './rows.js';

interface Schema extends DBSchema {
  rows: { key: string; value: string };
  /** Which rows every transaction has changed, numbered by the browser. */
  changes: { key: number; value: readonly string[] };
}

/** Changes that are kept for other pages to catch up by; who is farther behind reads everything anew. */
const KEPT_CHANGES = 1000;

/**
 * Rows in IndexedDB, in a browser. IndexedDB answers later, and a book of accounts wants its rows at once:
 * so all of them are in memory, too. Several pages of one origin may use them at once. A transaction first
 * catches up with what others have changed, with IndexedDB's own transaction held open over it, so that none
 * comes between; reads outside of transactions learn of it by a message. A call returns after the browser has
 * had its changes put on the disk.
 */
export class IndexedDbRows implements Rows {
  private readonly rows = new Map<string, unknown>();
  /** The keys in order; made when they are asked for. */
  private ordered: string[] | undefined;
  /** The number of the last change that is in memory. */
  private seen = 0;
  /** What the transaction at work has changed; null removes. */
  private changed: Map<string, unknown> | undefined;

  private constructor(
    private readonly db: IDBPDatabase<Schema>,
    private readonly others: BroadcastChannel,
  ) {
    others.onmessage = () => void this.catchUp().catch(() => undefined);
  }

  /**
   * @param name - of the database, for the page's origin
   * @throws PaymentError PAYMENT_BOOK when the browser lets us have none.
   */
  static async open(name: string): Promise<IndexedDbRows> {
    try {
      const db: IDBPDatabase<Schema> = await openDB<Schema>(name, 1, {
        upgrade: (fresh) => {
          fresh.createObjectStore('rows');
          fresh.createObjectStore('changes', { autoIncrement: true });
        },
        blocking: () => db.close(),
      });
      const rows = new IndexedDbRows(db, new BroadcastChannel(name));
      await rows.catchUp();
      return rows;
    } catch (error) {
      throw new PaymentError(
        'PAYMENT_BOOK',
        `the browser does not open the book of payments ${name}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  get(key: string): unknown {
    if (this.changed?.has(key) === true) return this.changed.get(key) ?? undefined;
    return this.rows.get(key);
  }

  *range(prefix: string, from = prefix): Iterable<readonly [string, unknown]> {
    const keys = this.keys();
    for (let at = firstAtLeast(keys, from); at < keys.length; at += 1) {
      const key = keys[at]!;
      if (!key.startsWith(prefix)) return;
      const value = this.get(key);
      if (value !== undefined) yield [key, value];
    }
  }

  async transaction<T>(work: (writer: RowWriter) => T): Promise<T> {
    const transaction = this.db.transaction(['rows', 'changes'], 'readwrite', {
      durability: 'strict',
    });
    transaction.done.catch(() => undefined);
    const changed = new Map<string, unknown>();
    let result: T;
    let number = 0;
    try {
      await this.apply(transaction);
      // From here to the end of the work nothing is waited for: it sees one state of the rows.
      result = this.withChanges(changed, work);
      if (changed.size > 0) {
        const rows = transaction.objectStore('rows');
        for (const [key, value] of changed) {
          const done: Promise<unknown> =
            value === null ? rows.delete(key) : rows.put(encodeRow(value), key);
          done.catch(() => undefined);
        }
        const changes = transaction.objectStore('changes');
        number = await changes.add([...changed.keys()]);
        changes.delete(IDBKeyRange.upperBound(number - KEPT_CHANGES)).catch(() => undefined);
      }
    } catch (error) {
      try {
        transaction.abort();
      } catch {
        // It has ended by itself, and with nothing done.
      }
      throw error;
    }
    await transaction.done;
    if (changed.size > 0) {
      // Another of this page may have come after us, and caught up with us already.
      if (number > this.seen) {
        for (const [key, value] of changed) this.set(key, value ?? undefined);
        this.seen = number;
      }
      this.others.postMessage(number);
    }
    return result;
  }

  async close(): Promise<void> {
    this.others.close();
    this.db.close();
  }

  private withChanges<T>(changed: Map<string, unknown>, work: (writer: RowWriter) => T): T {
    this.changed = changed;
    this.ordered = undefined;
    try {
      return work({
        put: (key, value) => {
          if (!this.rows.has(key) && !changed.has(key)) this.ordered = undefined;
          // As it will be read back.
          changed.set(key, decodeRow(encodeRow(value)));
        },
        remove: (key) => void changed.set(key, null),
      });
    } finally {
      this.changed = undefined;
      this.ordered = undefined;
    }
  }

  private async catchUp(): Promise<void> {
    const transaction = this.db.transaction(['rows', 'changes']);
    await this.apply(transaction);
    await transaction.done;
  }

  /** Take over what was changed since we last looked. */
  private async apply(transaction: { objectStore: Reader }): Promise<void> {
    const changes = transaction.objectStore('changes');
    const rows = transaction.objectStore('rows');
    const after = IDBKeyRange.lowerBound(this.seen, true);
    const [[first], numbers, lists] = await Promise.all([
      changes.getAllKeys(undefined, 1),
      changes.getAllKeys(after),
      changes.getAll(after),
    ]);
    const last = numbers.at(-1);
    if (last === undefined || last <= this.seen) return;
    if (this.seen + 1 < (first ?? 0) || this.seen === 0) {
      const [keys, texts] = await Promise.all([rows.getAllKeys(), rows.getAll()]);
      this.rows.clear();
      keys.forEach((key, i) => this.rows.set(key, decodeRow(texts[i]!)));
      this.ordered = undefined;
    } else {
      const keys = [...new Set(lists.flat())];
      const texts = await Promise.all(keys.map((key) => rows.get(key)));
      keys.forEach((key, i) => {
        const text = texts[i];
        this.set(key, text === undefined ? undefined : decodeRow(text));
      });
    }
    this.seen = Math.max(this.seen, last);
  }

  private set(key: string, value: unknown): void {
    if (value === undefined) {
      if (this.rows.delete(key)) this.ordered = undefined;
      return;
    }
    if (!this.rows.has(key)) this.ordered = undefined;
    this.rows.set(key, value);
  }

  private keys(): string[] {
    this.ordered ??= [...new Set([...this.rows.keys(), ...(this.changed?.keys() ?? [])])].sort();
    return this.ordered;
  }
}

/** What catching up needs of a transaction, whether it may write or not. */
type Reader = <Name extends 'rows' | 'changes'>(
  name: Name,
) => {
  get(key: Schema[Name]['key']): Promise<Schema[Name]['value'] | undefined>;
  getAll(range?: IDBKeyRange): Promise<Schema[Name]['value'][]>;
  getAllKeys(range?: IDBKeyRange, count?: number): Promise<Schema[Name]['key'][]>;
};

/** Where a key is, or would be, among keys in order. */
function firstAtLeast(keys: readonly string[], key: string): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
