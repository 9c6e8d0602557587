/** Rows by key, in order of key: what books are kept in. */
export interface Rows {
  get(key: string): unknown;
  /** Rows whose keys begin with `prefix`, from `from` (a whole key) on. */
  range(prefix: string, from?: string): Iterable<readonly [string, unknown]>;
  /**
   * Do several changes as one: all of them are there, or none. Reads inside see the changes. On the
   * disk when the promise resolves.
   */
  transaction<T>(work: (writer: RowWriter) => T): Promise<T>;
  close(): Promise<void>;
}

/** Changes of one transaction. */
export interface RowWriter {
  put(key: string, value: unknown): void;
  remove(key: string): void;
}

/** A row as text: JSON, with big integers as `{"$n": "…"}`. */
export function encodeRow(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'bigint' ? { $n: item.toString() } : item,
  );
}

/** A row from its text. */
export function decodeRow(text: string): unknown {
  return JSON.parse(text, (_, item: unknown) => {
    if (typeof item !== 'object' || item === null || !('$n' in item)) return item;
    return BigInt(item.$n as string);
  });
}
