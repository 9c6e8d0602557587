import { type Database, type RootDatabase, open } from 'lmdb';
import type { Contract } from '@granary/protocol';

/** Where a contract stands here. */
export type ContractState = 'reserved' | 'stored' | 'deleted';

/** What has to be known of every contract at all times. Kept small: there may be millions. */
export interface BookEntry {
  readonly state: ContractState;
  /** Bytes of the shard. */
  readonly size: number;
  /** End of the contract, milliseconds since the epoch. */
  readonly end: number;
  /** Until when a reservation holds without news; milliseconds since the epoch. */
  readonly reservedUntil: number;
}

/** A farmer's contracts, durable. */
export class ContractBook {
  private constructor(
    private readonly root: RootDatabase,
    private readonly entries: Database<BookEntry, string>,
    private readonly contracts: Database<Contract, string>,
    private readonly receipts: Database<string, string>,
  ) {}

  static open(path: string): ContractBook {
    const root = open({ path, noSubdir: true, maxDbs: 8 });
    return new ContractBook(
      root,
      root.openDB<BookEntry, string>({ name: 'entries' }),
      root.openDB<Contract, string>({ name: 'contracts' }),
      root.openDB<string, string>({ name: 'countersignatures' }),
    );
  }

  entry(hash: string): BookEntry | undefined {
    return this.entries.get(hash);
  }

  contract(hash: string): Contract | undefined {
    return this.contracts.get(hash);
  }

  /** All entries. */
  *all(): Generator<readonly [string, BookEntry]> {
    for (const { key, value } of this.entries.getRange()) yield [key, value];
  }

  /** Write an entry, and its contract when it is new. Durable when the promise resolves. */
  async put(hash: string, entry: BookEntry, contract?: Contract): Promise<void> {
    const done = [this.entries.put(hash, entry)];
    if (contract !== undefined) done.push(this.contracts.put(hash, contract));
    await Promise.all(done);
    // Commits are batched and synced together: parallel uploads share one fsync.
    await this.root.flushed;
  }

  /** Keep the renter's signature on the last receipt of a contract. */
  async putCountersignature(hash: string, receiptAndSignature: string): Promise<void> {
    await this.receipts.put(hash, receiptAndSignature);
  }

  /** Keep only that a contract was deleted, so that it can't be replayed. */
  async bury(hash: string, entry: BookEntry): Promise<void> {
    await Promise.all([
      this.entries.put(hash, { ...entry, state: 'deleted' }),
      this.contracts.remove(hash),
      this.receipts.remove(hash),
    ]);
    await this.root.flushed;
  }

  /** Forget a contract altogether. */
  async forget(hash: string): Promise<void> {
    await Promise.all([
      this.entries.remove(hash),
      this.contracts.remove(hash),
      this.receipts.remove(hash),
    ]);
  }

  close(): Promise<void> {
    return this.root.close();
  }
}
