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
  return JSON.stringify(withNumbers(value));
}

/** A row from its text. */
export function decodeRow(text: string): unknown {
  return withBigInts(JSON.parse(text));
}

// Walks of our own: JSON's replacer and reviver take several times as long, and rows are read at each transfer.
function withNumbers(value: unknown): unknown {
  if (typeof value === 'bigint') return { $n: value.toString() };
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withNumbers);
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    copy[key] = withNumbers((value as Record<string, unknown>)[key]);
  }
  return copy;
}

function withBigInts(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i += 1) value[i] = withBigInts(value[i]);
    return value;
  }
  const row = value as Record<string, unknown>;
  if (typeof row['$n'] === 'string') return BigInt(row['$n']);
  for (const key of Object.keys(row)) {
    const item = row[key];
    if (typeof item === 'object' && item !== null) row[key] = withBigInts(item);
  }
  return row;
}
