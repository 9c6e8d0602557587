/** An object of the journal in the network. */
export interface JournalEntry {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

/** Where the journal is kept: a few objects by name. */
export interface JournalBackend {
  /** Store an object; it is there whole, or not at all. One of the same name is replaced. */
  putEntry(name: string, stream: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  /** Read an object. Every byte was verified. @throws when there is none. */
  getEntry(name: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** All objects, in order of name. */
  listEntries(): Promise<readonly JournalEntry[]>;
  /** That it is not there is no error. */
  deleteEntry(name: string, signal: AbortSignal): Promise<void>;
  /** IDs of all contents that the network has. */
  listContents(): Promise<readonly string[]>;
}
