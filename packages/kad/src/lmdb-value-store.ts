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
  /**
   * Sizes and times of everything kept, as they will be when all writes under way are done. LMDB
   * itself shows a write only after its transaction, which is too late to count by, and would have
   * to read all values to list their times.
   */
  private readonly index = new Map<string, { size: number; expires: number; refreshed: number }>();

  private constructor(
    private readonly db: RootDatabase<Buffer, string>,
    maxBytes: number,
  ) {
    let used = 0;
    for (const { key, value } of db.getRange()) {
      const size = value.length - HEAD;
      used += size;
      this.index.set(key, {
        size,
        expires: value.readDoubleBE(0),
        refreshed: value.readDoubleBE(8),
      });
    }
    this.budget = new ByteBudget(Math.max(maxBytes, used));
    for (const { size } of this.index.values()) this.budget.replace(undefined, size);
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
    this.budget.replace(this.index.get(key)?.size, value.length);
    this.index.set(key, { size: value.length, expires, refreshed });
    const row = Buffer.alloc(HEAD + value.length);
    row.writeDoubleBE(expires, 0);
    row.writeDoubleBE(refreshed, 8);
    row.set(value, HEAD);
    await this.db.put(key, row);
    await this.db.flushed;
  }

  async delete(key: string): Promise<void> {
    this.budget.replace(this.index.get(key)?.size, undefined);
    this.index.delete(key);
    await this.db.remove(key);
  }

  *entries(): Iterable<{ key: string; expires: number; refreshed: number }> {
    for (const [key, { expires, refreshed }] of this.index) yield { key, expires, refreshed };
  }

  close(): Promise<void> {
    return this.db.close();
  }
}
