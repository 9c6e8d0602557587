import { type RootDatabase, open } from 'lmdb';
import { messageOf } from '@granary/kad';
import { PaymentError } from './errors.js';
import { type RowWriter, type Rows, decodeRow, encodeRow } from './rows.js';

/**
 * Rows in LMDB: several processes may use them at once, transactions are whole or not there, and a
 * call returns after its pages are on the disk.
 */
export class LmdbRows implements Rows {
  /** Rows that the transaction at work has changed, so that each is written once; null removes. */
  private changed: Map<string, unknown> | undefined;

  private constructor(private readonly db: RootDatabase<string, string>) {}

  /** @throws PaymentError PAYMENT_BOOK when the file can't be used. */
  static open(path: string): LmdbRows {
    try {
      return new LmdbRows(open<string, string>({ path, noSubdir: true, encoding: 'string' }));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'ENOSPC' || code === 'EROFS') throw error;
      throw new PaymentError(
        'PAYMENT_BOOK',
        `the book of payments in ${path} can't be opened: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  get(key: string): unknown {
    if (this.changed?.has(key) === true) return this.changed.get(key) ?? undefined;
    const text = this.db.get(key);
    return text === undefined ? undefined : decodeRow(text);
  }

  *range(prefix: string, from = prefix): Iterable<readonly [string, unknown]> {
    this.write();
    for (const { key, value } of this.db.getRange({ start: from, end: `${prefix}\u{10ffff}` })) {
      yield [key, decodeRow(value)];
    }
  }

  async transaction<T>(work: (writer: RowWriter) => T): Promise<T> {
    const writer: RowWriter = {
      put: (key, value) => void this.changed!.set(key, value),
      remove: (key) => void this.changed!.set(key, null),
    };
    const result = await this.db.transaction(() => {
      this.changed = new Map();
      try {
        const done = work(writer);
        this.write();
        return done;
      } finally {
        this.changed = undefined;
      }
    });
    await this.db.flushed;
    return result;
  }

  private write(): void {
    for (const [key, value] of this.changed ?? []) {
      if (value === null) void this.db.remove(key);
      else void this.db.put(key, encodeRow(value));
    }
    this.changed?.clear();
  }

  async close(): Promise<void> {
    // lmdb puts back its read transaction in the next turn of the event loop, and throws there when the
    // database was closed in between.
    await new Promise((resolve) => setTimeout(resolve, 1));
    await this.db.close();
  }
}
