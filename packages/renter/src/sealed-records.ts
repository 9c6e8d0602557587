import { RenterError, messageOf } from './errors.js';
import type {
  KeyRange,
  RecordDatabase,
  RecordStep,
  RecordWork,
  WriteOptions,
} from './record-database.js';
import { seal, unseal } from './sealed-box.js';

/** Records fetched at one time by a scan: few at first, since many scans want only the first. */
const PAGES = [4, 16, 64, 256];

/**
 * Records as values, sealed in their database and bound to their keys. Keys (names of buckets and
 * objects) are not sealed, so that listings are ordered.
 */
export class SealedRecords {
  constructor(
    readonly database: RecordDatabase,
    private readonly key: Uint8Array,
  ) {}

  async get(key: string): Promise<unknown> {
    return (await this.getAll([key])).get(key);
  }

  /** The records that are there, by key. */
  async getAll(keys: readonly string[]): Promise<ReadonlyMap<string, unknown>> {
    if (keys.length === 0) return new Map();
    const records = await this.reading(() => this.database.get(keys));
    return new Map(records.map(({ key, value }) => [key, unseal(this.key, key, value)]));
  }

  async has(key: string): Promise<boolean> {
    return (await this.reading(() => this.database.get([key]))).length > 0;
  }

  /** Keys and values of a range, page by page: what changes meanwhile may be seen or not. */
  async *entries(range: KeyRange): AsyncGenerator<readonly [string, unknown]> {
    let { start, limit = Infinity } = range;
    for (let page = 0; limit > 0; page += 1) {
      const size = Math.min(limit, PAGES[Math.min(page, PAGES.length - 1)]!);
      const next = { start, end: range.end, limit: size };
      const records = await this.reading(() => this.database.range(next));
      for (const { key, value } of records) yield [key, unseal(this.key, key, value)];
      if (records.length < size) return;
      limit -= records.length;
      start = `${records.at(-1)!.key}\0`;
    }
  }

  async *values<T>(range: KeyRange, parse: (value: unknown) => T): AsyncGenerator<T> {
    for await (const [, value] of this.entries(range)) yield parse(value);
  }

  /** The first key of a range, or the last one; undefined when it is empty. */
  async firstKey(range: Omit<KeyRange, 'limit'>): Promise<string | undefined> {
    const [record] = await this.reading(() => this.database.range({ ...range, limit: 1 }));
    return record?.key;
  }

  count(range: Pick<KeyRange, 'start' | 'end'>): Promise<number> {
    return this.reading(() => this.database.count(range));
  }

  /**
   * Do work in one transaction: all of it happens, or nothing.
   *
   * @throws RenterError RENTER_STORE when the store did not take it
   */
  async transaction<T>(
    work: (t: Transaction) => RecordWork<T>,
    options?: WriteOptions,
  ): Promise<T> {
    const attempt = () => {
      const t = new Transaction(this.key);
      return t.run(work(t));
    };
    try {
      return await this.database.write(attempt, options);
    } catch (error) {
      if (error instanceof RenterError) throw error;
      throw new RenterError('RENTER_STORE', `the store did not take a write: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** As {@link SealedRecords.transaction}, for work that reads nothing. */
  change(work: (t: Transaction) => void, options?: WriteOptions): Promise<void> {
    return this.transaction(function* (t) {
      yield* [];
      work(t);
    }, options);
  }

  private async reading<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (error instanceof RenterError) throw error;
      throw new RenterError('RENTER_STORE', `the store can't be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

/** Reads and writes of one transaction. What it wrote is there for what it reads. */
export class Transaction {
  private pending = new Map<string, Uint8Array | null>();

  constructor(private readonly key: Uint8Array) {}

  *get(key: string): RecordWork<unknown> {
    return (yield* this.getAll([key])).get(key);
  }

  /** The records that are there, by key. */
  *getAll(keys: readonly string[]): RecordWork<ReadonlyMap<string, unknown>> {
    if (keys.length === 0) return new Map();
    yield* this.flush();
    const records = yield { op: 'get', keys } satisfies RecordStep;
    return new Map(records.map(({ key, value }) => [key, unseal(this.key, key, value)]));
  }

  *range(range: KeyRange): RecordWork<readonly (readonly [string, unknown])[]> {
    yield* this.flush();
    const records = yield { op: 'range', range } satisfies RecordStep;
    return records.map(({ key, value }) => [key, unseal(this.key, key, value)] as const);
  }

  /** Written at once with others, before the next read or at the end. */
  put(key: string, value: unknown): void {
    this.pending.set(key, seal(this.key, key, value));
  }

  remove(key: string): void {
    this.pending.set(key, null);
  }

  /** Run work to its end, and write what is left to be written. */
  *run<T>(work: RecordWork<T>): RecordWork<T> {
    const result = yield* work;
    yield* this.flush();
    return result;
  }

  private *flush(): RecordWork<void> {
    if (this.pending.size === 0) return;
    const records = this.pending;
    this.pending = new Map();
    yield { op: 'write', records } satisfies RecordStep;
  }
}
