import { KadError } from './errors.js';

/** The most bytes in a value. */
export const MAX_VALUE_SIZE = 64 * 1024;

/** A value and how long it is kept. Times are milliseconds since the epoch. */
export interface StoredValue {
  readonly value: Uint8Array;
  readonly expires: number;
  /** When it last came in or was republished from here. */
  readonly refreshed: number;
}

/** Where a node keeps the values of the DHT. Keys are SHA-256 hashes in hex. */
export interface ValueStore {
  get(key: string): StoredValue | undefined;
  /**
   * Keep a value; durable, where the store is, when the promise resolves.
   *
   * @throws KadError KAD_FULL.
   */
  put(key: string, entry: StoredValue): Promise<void>;
  delete(key: string): Promise<void>;
  /** Keys and times of everything kept. */
  entries(): Iterable<{ key: string; expires: number; refreshed: number }>;
  close(): Promise<void>;
}

/** The most values that a store keeps: small ones cost more than their bytes. */
export const MAX_VALUES = 250_000;

/** Counts a store's bytes and values, and refuses what goes beyond its limits. */
export class ByteBudget {
  private used = 0;
  private count = 0;

  constructor(private readonly limit: number) {}

  /**
   * One value takes the place of another; undefined stands for none.
   *
   * @throws KadError KAD_FULL.
   */
  replace(oldSize: number | undefined, newSize: number | undefined): void {
    const used = this.used - (oldSize ?? 0) + (newSize ?? 0);
    const count = this.count - (oldSize === undefined ? 0 : 1) + (newSize === undefined ? 0 : 1);
    if (used > this.used && used > this.limit) {
      throw new KadError('KAD_FULL', `this node keeps at most ${this.limit} bytes of values`);
    }
    if (count > this.count && count > MAX_VALUES) {
      throw new KadError('KAD_FULL', `this node keeps at most ${MAX_VALUES} values`);
    }
    this.used = used;
    this.count = count;
  }
}

/** The default for the bytes of values that a node keeps. */
export const DEFAULT_VALUE_BYTES = 256 * 1024 * 1024;

/** Values in memory. */
export class MemoryValueStore implements ValueStore {
  private readonly values = new Map<string, StoredValue>();
  private readonly budget: ByteBudget;

  constructor(maxBytes = DEFAULT_VALUE_BYTES) {
    this.budget = new ByteBudget(maxBytes);
  }

  get(key: string): StoredValue | undefined {
    return this.values.get(key);
  }

  put(key: string, entry: StoredValue): Promise<void> {
    return Promise.resolve().then(() => {
      this.budget.replace(this.values.get(key)?.value.length, entry.value.length);
      this.values.set(key, entry);
    });
  }

  delete(key: string): Promise<void> {
    this.budget.replace(this.values.get(key)?.value.length, undefined);
    this.values.delete(key);
    return Promise.resolve();
  }

  *entries(): Iterable<{ key: string; expires: number; refreshed: number }> {
    for (const [key, { expires, refreshed }] of this.values) yield { key, expires, refreshed };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
