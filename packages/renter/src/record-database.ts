/** A record as it is kept: bytes (sealed) under a key. */
export interface StoredRecord {
  readonly key: string;
  readonly value: Uint8Array;
}

/** A run of keys in order of their UTF-8 bytes. */
export interface KeyRange {
  /** The first key that may be in it. */
  readonly start: string;
  /** The first key behind it. */
  readonly end: string;
  readonly limit?: number;
  /** From the end backwards. */
  readonly reverse?: boolean;
}

/** What a transaction asks of a database. */
export type RecordStep =
  | { readonly op: 'get'; readonly keys: readonly string[] }
  | { readonly op: 'range'; readonly range: KeyRange }
  /** Write records; null removes one. */
  | { readonly op: 'write'; readonly records: ReadonlyMap<string, Uint8Array | null> };

/** What it is answered: of `get` and `range` the records that are there, of `write` nothing. */
export type RecordAnswer = readonly StoredRecord[];

/**
 * A transaction's work, as a generator that yields steps and is handed the answers. So the same code runs
 * inside of a transaction of LMDB, which must not wait for anything, and over a connection to a server.
 * It may be run more than once, and must change nothing but the records.
 */
export type RecordWork<T> = Generator<RecordStep, T, RecordAnswer>;

/** How a transaction is to be run. */
export interface WriteOptions {
  /**
   * Whether to wait until it is on the disk: the default. Without it the next that is durable, or the
   * system, puts it there.
   */
  readonly durable?: boolean;
  /**
   * Names what all transactions of this name change: where several run at a time these had better wait for
   * each other than find out at the end.
   */
  readonly turn?: string;
}

/**
 * Records in order of key, with transactions: what a renter's store is kept in. Keys have no more than
 * 1,400 bytes in UTF-8.
 */
export interface RecordDatabase {
  /** Who may use it at one time: processes of one machine, which can see each other, or of many. */
  readonly reach: 'machine' | 'network';
  /** Those of the records that are there. */
  get(keys: readonly string[]): Promise<readonly StoredRecord[]>;
  range(range: KeyRange): Promise<readonly StoredRecord[]>;
  count(range: Pick<KeyRange, 'start' | 'end'>): Promise<number>;
  /**
   * Do work in one transaction, as if no other ran at the same time: all of it happens, or nothing.
   */
  write<T>(work: () => RecordWork<T>, options?: WriteOptions): Promise<T>;
  close(): Promise<void>;
}
