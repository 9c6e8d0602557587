import { type RootDatabase, open } from 'lmdb';
import {
  ByteBudget,
  DEFAULT_VALUE_BYTES,
  type StoredValue,
  type ValueStore,
} from './value-store.js';

// Two times (8 bytes each) go before the value's bytes.
const HEAD = 16;

/** Values on disk, in LMDB: they survive a crash of the process and of the machine. */
export class LmdbValueStore implements ValueStore {
  private readonly budget: ByteBudget;

  private constructor(
    private readonly db: RootDatabase<Buffer, string>,
    maxBytes: number,
  ) {
    let used = 0;
    for (const { value } of db.getRange()) used += value.length - HEAD;
    this.budget = new ByteBudget(Math.max(maxBytes, used));
    this.budget.replace(0, used);
  }

  /** @param path - the database file; it is made when it is not there */
  static open(path: string, maxBytes = DEFAULT_VALUE_BYTES): LmdbValueStore {
    return new LmdbValueStore(
      open<Buffer, string>({ path, encoding: 'binary', noSubdir: true }),
      maxBytes,
    );
  }

  get(key: string): StoredValue | undefined {
    const row = this.db.get(key);
    if (row === undefined) return undefined;
    return {
      expires: row.readDoubleBE(0),
      refreshed: row.readDoubleBE(8),
      value: new Uint8Array(row.subarray(HEAD)),
    };
  }

  async put(key: string, { value, expires, refreshed }: StoredValue): Promise<void> {
    this.budget.replace(this.sizeOf(key), value.length);
    const row = Buffer.alloc(HEAD + value.length);
    row.writeDoubleBE(expires, 0);
    row.writeDoubleBE(refreshed, 8);
    row.set(value, HEAD);
    await this.db.put(key, row);
    await this.db.flushed;
  }

  async delete(key: string): Promise<void> {
    this.budget.replace(this.sizeOf(key), 0);
    await this.db.remove(key);
  }

  *entries(): Iterable<{ key: string; expires: number; refreshed: number }> {
    for (const { key, value } of this.db.getRange()) {
      yield { key, expires: value.readDoubleBE(0), refreshed: value.readDoubleBE(8) };
    }
  }

  close(): Promise<void> {
    return this.db.close();
  }

  private sizeOf(key: string): number {
    const row = this.db.get(key);
    return row === undefined ? 0 : row.length - HEAD;
  }
}
