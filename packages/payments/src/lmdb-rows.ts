import { type RootDatabase, open } from 'lmdb';
import { messageOf } from '@granary/kad';
import { PaymentError } from './errors.js';
import { type RowWriter, type Rows, decodeRow, encodeRow } from './rows.js';

/**
 * Rows in LMDB: several processes may use them at once, transactions are whole or not there, and a
 * call returns after its pages are on the disk.
 */
export class LmdbRows implements Rows {
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
    const text = this.db.get(key);
    return text === undefined ? undefined : decodeRow(text);
  }

  *range(prefix: string, from = prefix): Iterable<readonly [string, unknown]> {
    for (const { key, value } of this.db.getRange({ start: from, end: `${prefix}\u{10ffff}` })) {
      yield [key, decodeRow(value)];
    }
  }

  async transaction<T>(work: (writer: RowWriter) => T): Promise<T> {
    const writer: RowWriter = {
      put: (key, value) => void this.db.put(key, encodeRow(value)),
      remove: (key) => void this.db.remove(key),
    };
    const result = await this.db.transaction(() => work(writer));
    await this.db.flushed;
    return result;
  }

  async close(): Promise<void> {
    // lmdb puts back its read transaction in the next turn of the event loop, and throws there when the
    // database was closed in between.
    await new Promise((resolve) => setTimeout(resolve, 1));
    await this.db.close();
  }
}
