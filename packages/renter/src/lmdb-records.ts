import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '@granary/kad';
import { type Database, type RootDatabase, open } from 'lmdb';
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

/**
 * Records in LMDB, in a directory of this machine. Several processes may use it at once; a transaction
 * is whole or not there, and a durable write returns after its pages are on the disk.
 */
export class LmdbRecords implements RecordDatabase {
  readonly reach = 'machine';

  private constructor(
    private readonly root: RootDatabase<Buffer, string>,
    private readonly rows: Database<Buffer, Buffer>,
  ) {}

  /** @throws RenterError RENTER_STORE when the directory can't be used. */
  static async open(directory: string): Promise<LmdbRecords> {
    try {
      await makeDirectory(directory);
      await chmod(directory, 0o700);
      const root = open<Buffer, string>({
        path: join(directory, 'renter.lmdb'),
        encoding: 'binary',
        maxDbs: 4,
        noSubdir: true,
      });
      // lmdb's own encoding of texts as keys reads those of 64 characters and more with a NUL as two.
      const rows = root.openDB<Buffer, Buffer>({
        name: 'rows',
        encoding: 'binary',
        keyEncoding: 'binary',
      });
      upgradeKeys(root, rows);
      return new LmdbRecords(root, rows);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'EACCES' || code === 'ENOSPC' || code === 'EROFS') throw error;
      throw new RenterError(
        'RENTER_STORE',
        `the store in ${directory} can't be opened: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  async get(keys: readonly string[]): Promise<readonly StoredRecord[]> {
    return this.pick(keys);
  }

  async range(range: KeyRange): Promise<readonly StoredRecord[]> {
    return this.read(range);
  }

  async count({ start, end }: Pick<KeyRange, 'start' | 'end'>): Promise<number> {
    return this.rows.getKeysCount({ start: bytesOf(start), end: bytesOf(end) });
  }

  async write<T>(work: () => RecordWork<T>, { durable = true }: WriteOptions = {}): Promise<T> {
    // A child, since LMDB writes several transactions as one: only so what an error ended is undone.
    const result = await this.root.childTransaction(() => {
      const steps = work();
      let step = steps.next();
      while (!step.done) step = steps.next(this.perform(step.value));
      return step.value;
    });
    if (durable) await this.root.flushed;
    return result;
  }

  close(): Promise<void> {
    return this.root.close();
  }

  private perform(step: RecordStep): RecordAnswer {
    if (step.op === 'range') return this.read(step.range);
    if (step.op === 'get') return this.pick(step.keys);
    for (const [key, value] of step.records) {
      if (value === null) void this.rows.remove(bytesOf(key));
      else
        void this.rows.put(bytesOf(key), Buffer.from(value.buffer, value.byteOffset, value.length));
    }
    return [];
  }

  private pick(keys: readonly string[]): StoredRecord[] {
    return keys.flatMap((key) => {
      const value = this.rows.get(bytesOf(key));
      return value === undefined ? [] : [{ key, value }];
    });
  }

  private read({ start, end, limit = Infinity, reverse = false }: KeyRange): StoredRecord[] {
    if (reverse) return this.readBackwards(start, end, limit);
    const range = { start: bytesOf(start), end: bytesOf(end) };
    const most = Number.isFinite(limit) ? { limit } : {};
    return [...this.rows.getRange({ ...range, ...most })].map(({ key, value }) => ({
      key: key.toString('utf8'),
      value,
    }));
  }

  private readBackwards(start: string, end: string, limit: number): StoredRecord[] {
    const found: StoredRecord[] = [];
    if (Buffer.compare(bytesOf(start), bytesOf(end)) >= 0) return found;
    // Backwards LMDB begins with the end itself, and leaves the start out.
    const range = { start: bytesOf(end), end: bytesOf(start), reverse: true };
    for (const { key, value } of this.rows.getRange(range)) {
      if (found.length >= limit) return found;
      const text = key.toString('utf8');
      if (text !== end) found.push({ key: text, value });
    }
    const first = found.length < limit ? this.rows.get(range.end) : undefined;
    return first === undefined ? found : [...found, { key: start, value: first }];
  }
}

function bytesOf(key: string): Buffer {
  return Buffer.from(key, 'utf8');
}

/** What an older Granary had lmdb encode: in short keys there is a byte 4 before bytes of 4 and less. */
function upgradeKeys(root: RootDatabase<Buffer, string>, rows: Database<Buffer, Buffer>): void {
  const form = root.openDB<Buffer, string>({ name: 'form', encoding: 'binary' });
  root.transactionSync(() => {
    if (form.get('keys') !== undefined) return;
    // Only objects have such bytes in their keys.
    const objects = { start: bytesOf('object/'), end: bytesOf('object0') };
    for (const key of [...rows.getKeys(objects)].filter((bytes) => bytes.includes(4))) {
      const plain = unescaped(key);
      // Keys of 64 characters and more were written as they are.
      if (plain.toString('utf8').length >= 64) continue;
      const value = rows.get(key)!;
      rows.removeSync(key);
      rows.putSync(plain, value);
    }
    form.putSync('keys', bytesOf('2'));
  });
}

function unescaped(key: Buffer): Buffer {
  const bytes: number[] = [];
  for (let i = 0; i < key.length; i += 1) {
    if (key[i] === 4 && key[i + 1]! <= 4) i += 1;
    bytes.push(key[i]!);
  }
  return Buffer.from(bytes);
}
