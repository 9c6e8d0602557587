import { type Database, type RootDatabase, open } from 'lmdb';
import type { Contract, Renewal } from '@granary/protocol';

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
  /** Whether the scrubber found that it is not what it was. */
  readonly damaged?: boolean;
}

/** The form of the book: what an older one has not got is made up when it is opened. */
const BOOK_VERSION = 2;

/** When there is something to do about an entry, if nothing happens before. */
function dueAt({ state, end, reservedUntil }: BookEntry): number {
  return state === 'reserved' ? reservedUntil : end;
}

/** A farmer's contracts, durable. */
export class ContractBook {
  private constructor(
    private readonly root: RootDatabase,
    private readonly entries: Database<BookEntry, string>,
    private readonly contracts: Database<Contract, string>,
    private readonly receipts: Database<string, string>,
    private readonly audits: Database<Buffer, string>,
    private readonly renewals: Database<Renewal, string>,
    private readonly endings: Database<string, string>,
    private readonly byRenter: Database<1, string>,
    private readonly due: Database<1, [number, string]>,
    private readonly meta: Database<unknown, string>,
  ) {}

  static open(path: string): ContractBook {
    const root = open({ path, noSubdir: true, maxDbs: 16 });
    return new ContractBook(
      root,
      root.openDB<BookEntry, string>({ name: 'entries' }),
      root.openDB<Contract, string>({ name: 'contracts' }),
      root.openDB<string, string>({ name: 'countersignatures' }),
      root.openDB<Buffer, string>({ name: 'audits', encoding: 'binary' }),
      root.openDB<Renewal, string>({ name: 'renewals' }),
      root.openDB<string, string>({ name: 'endings' }),
      root.openDB<1, string>({ name: 'renters' }),
      root.openDB<1, [number, string]>({ name: 'due' }),
      root.openDB<unknown, string>({ name: 'meta' }),
    );
  }

  entry(hash: string): BookEntry | undefined {
    return this.entries.get(hash);
  }

  contract(hash: string): Contract | undefined {
    return this.contracts.get(hash);
  }

  /** The leaves of a contract's precomputed audits, concatenated. */
  audit(hash: string): Uint8Array | undefined {
    return this.audits.get(hash);
  }

  /** The last renewal of a contract. */
  renewal(hash: string): Renewal | undefined {
    return this.renewals.get(hash);
  }

  /** The renter's signed leave to delete a shard that was deleted. */
  ending(hash: string): string | undefined {
    return this.endings.get(hash);
  }

  /** Hashes of a renter's contracts that follow `after`, in order. */
  *hashesOf(renter: string, after: string): Generator<string> {
    const start = `${renter}/${after === '' ? '' : `${after}\0`}`;
    for (const key of this.byRenter.getKeys({ start, end: `${renter}0` })) {
      yield key.slice(renter.length + 1);
    }
  }

  /**
   * Whether this book is known to be whole: one that was lost, or is new, is not, until
   * {@link ContractBook.seal} is called.
   */
  get isWhole(): boolean {
    return this.meta.get('version') === BOOK_VERSION;
  }

  /** Whether anything is written here. */
  get isEmpty(): boolean {
    return [...this.entries.getKeys({ limit: 1 })].length === 0;
  }

  /** Make up for what an older book has not got, and note that this one is whole. */
  async seal(): Promise<void> {
    for (const { key, value } of this.entries.getRange()) {
      void this.due.put([dueAt(value), key], 1);
      const contract = this.contracts.get(key);
      if (contract !== undefined) void this.byRenter.put(`${contract.terms.renter}/${key}`, 1);
    }
    await this.meta.put('version', BOOK_VERSION);
    await this.root.flushed;
  }

  /** How far the scrubber is: it goes on with the contract after this one. */
  get scrubbedTo(): string {
    return (this.meta.get('scrubbedTo') as string | undefined) ?? '';
  }

  async putScrubbedTo(hash: string): Promise<void> {
    await this.meta.put('scrubbedTo', hash);
  }

  /** The first contract after a hash. */
  next(hash: string): string | undefined {
    const range = hash === '' ? { limit: 1 } : { start: `${hash}\0`, limit: 1 };
    return [...this.entries.getKeys(range)][0];
  }

  /** Contracts about which there is something to do by now. */
  *dueBy(now: number): Generator<string> {
    for (const [, hash] of this.due.getKeys({ end: [now + 1, ''] })) yield hash;
  }

  /**
   * Contracts about which there is something to do before a time, soonest first.
   *
   * @param from - the time and the contract to begin with
   */
  *dueFrom(from: readonly [number, string], to: number): Generator<readonly [number, string]> {
    for (const key of this.due.getKeys({ start: [...from], end: [to, ''] })) yield key;
  }

  /** How many renters have contracts here; counted up to a limit. */
  countRenters(limit: number): number {
    let count = 0;
    for (let start = ''; count < limit; count += 1) {
      const [key] = this.byRenter.getKeys(start === '' ? { limit: 1 } : { start, limit: 1 });
      if (key === undefined) break;
      // "0" follows "/": the first key of the next renter.
      start = `${key.slice(0, key.indexOf('/'))}0`;
    }
    return count;
  }

  /** All entries. */
  *all(): Generator<readonly [string, BookEntry]> {
    for (const { key, value } of this.entries.getRange()) yield [key, value];
  }

  /** Write an entry, and its contract when it is new. Durable when the promise resolves. */
  async put(
    hash: string,
    entry: BookEntry,
    contract?: Contract,
    audits?: Uint8Array,
  ): Promise<void> {
    const done = this.set(hash, entry);
    if (contract !== undefined) {
      done.push(this.contracts.put(hash, contract));
      done.push(this.byRenter.put(`${contract.terms.renter}/${hash}`, 1));
    }
    if (audits !== undefined && audits.length > 0) {
      done.push(this.audits.put(hash, Buffer.from(audits)));
    }
    await Promise.all(done);
    // Commits are batched and synced together: parallel uploads share one fsync.
    await this.root.flushed;
  }

  /** Write a renewal and the new end. Durable when the promise resolves. */
  async renew(hash: string, entry: BookEntry, renewal: Renewal): Promise<void> {
    await Promise.all([...this.set(hash, entry), this.renewals.put(hash, renewal)]);
    await this.root.flushed;
  }

  /** The last receipt of a contract with the renter's signature. */
  countersignature(hash: string): string | undefined {
    return this.receipts.get(hash);
  }

  /** Keep the renter's signature on the last receipt of a contract. */
  async putCountersignature(hash: string, receiptAndSignature: string): Promise<void> {
    await this.receipts.put(hash, receiptAndSignature);
  }

  /**
   * Keep only that a contract was deleted, so that it can't be replayed, and who wanted it.
   *
   * @param ending - the renter's signed leave
   */
  async bury(hash: string, entry: BookEntry, ending?: string): Promise<void> {
    const done = [...this.set(hash, { ...entry, state: 'deleted' }), ...this.strip(hash)];
    if (ending !== undefined) done.push(this.endings.put(hash, ending));
    await Promise.all(done);
    await this.root.flushed;
  }

  /** Forget a contract altogether. */
  async forget(hash: string): Promise<void> {
    await Promise.all([this.entries.remove(hash), this.endings.remove(hash), ...this.strip(hash)]);
  }

  /** Write an entry and when it is due. */
  private set(hash: string, entry: BookEntry): Promise<boolean>[] {
    return [
      ...this.unset(hash),
      this.entries.put(hash, entry),
      this.due.put([dueAt(entry), hash], 1),
    ];
  }

  private unset(hash: string): Promise<boolean>[] {
    const old = this.entries.get(hash);
    return old === undefined ? [] : [this.due.remove([dueAt(old), hash])];
  }

  /** Remove everything about a contract but its entry and its ending. */
  private strip(hash: string): Promise<boolean>[] {
    const renter = this.contracts.get(hash)?.terms.renter;
    const done = [
      this.contracts.remove(hash),
      this.receipts.remove(hash),
      this.audits.remove(hash),
      this.renewals.remove(hash),
    ];
    if (renter !== undefined) done.push(this.byRenter.remove(`${renter}/${hash}`));
    return done;
  }

  close(): Promise<void> {
    return this.root.close();
  }
}
