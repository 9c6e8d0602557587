import { type Database, type RangeOptions, type RootDatabase, open } from 'lmdb';
import type { SignedTransfer } from '@granary/payments';
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

/** Sums over all entries, kept with them: to walk a million would take seconds at every start. */
export interface BookTotals {
  /** Shards stored, and their bytes. */
  readonly stored: number;
  readonly storedBytes: number;
  /** Bytes that reservations keep room for. */
  readonly reservedBytes: number;
  /** Stored shards that the scrubber found damaged. */
  readonly damaged: number;
  /** Marks of contracts that were deleted before they were heard of. */
  readonly unknown: number;
}

const NOTHING: BookTotals = {
  stored: 0,
  storedBytes: 0,
  reservedBytes: 0,
  damaged: 0,
  unknown: 0,
};

/** The form of the book: what an older one has not got is made up when it is opened. */
const BOOK_VERSION = 3;
/** Since this form, it is noted when something is due, and of whom contracts are. */
const INDEXED_VERSION = 2;
/** Entries that are looked at in one go. */
const SLICE = 2000;
/** Receipts that may be known to be in the book of payments and still be kept. */
const MAX_BOOKED = 1024;

/** Let others work for a moment. */
const breathe = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Whether a mark is of a contract that was deleted before it was heard of. */
function isUnknown({ state, reservedUntil }: BookEntry): boolean {
  return state === 'deleted' && reservedUntil === 0;
}

/** Whether a crash may have left the files of an entry other than it says. */
function isUnsettled(entry: BookEntry): boolean {
  return entry.state !== 'stored' && !isUnknown(entry);
}

/** A token's nonce is good for one transfer. */
function unbookedKey({ receipt }: SignedTransfer): string {
  return `${receipt.body.contract}/${receipt.body.token}`;
}

/** Totals with an entry more, or with `sign` -1 one less. */
function counted(totals: BookTotals, entry: BookEntry | undefined, sign: 1 | -1): BookTotals {
  if (entry === undefined) return totals;
  const { state, size, damaged } = entry;
  if (state === 'reserved') {
    return { ...totals, reservedBytes: totals.reservedBytes + sign * size };
  }
  if (state === 'deleted') {
    return isUnknown(entry) ? { ...totals, unknown: totals.unknown + sign } : totals;
  }
  return {
    ...totals,
    stored: totals.stored + sign,
    storedBytes: totals.storedBytes + sign * size,
    damaged: totals.damaged + (damaged === true ? sign : 0),
  };
}

/** When there is something to do about an entry, if nothing happens before. */
function dueAt({ state, end, reservedUntil }: BookEntry): number {
  return state === 'reserved' ? reservedUntil : end;
}

/** A farmer's contracts, durable. */
export class ContractBook {
  private sums: BookTotals;
  /** Keys of receipts that are kept no longer than until the next write. */
  private booked: string[] = [];

  private constructor(
    private readonly root: RootDatabase,
    private readonly entries: Database<BookEntry, string>,
    private readonly contracts: Database<Contract, string>,
    private readonly receipts: Database<string, string>,
    private readonly unbooked: Database<SignedTransfer, string>,
    private readonly audits: Database<Buffer, string>,
    private readonly renewals: Database<Renewal, string>,
    private readonly endings: Database<string, string>,
    private readonly byRenter: Database<1, string>,
    private readonly due: Database<1, [number, string]>,
    private readonly unsettled: Database<1, string>,
    private readonly meta: Database<unknown, string>,
  ) {
    this.sums = (meta.get('totals') as BookTotals | undefined) ?? NOTHING;
  }

  static open(path: string): ContractBook {
    const root = open({ path, noSubdir: true, maxDbs: 16 });
    return new ContractBook(
      root,
      root.openDB<BookEntry, string>({ name: 'entries' }),
      root.openDB<Contract, string>({ name: 'contracts' }),
      root.openDB<string, string>({ name: 'countersignatures' }),
      root.openDB<SignedTransfer, string>({ name: 'unbooked' }),
      root.openDB<Buffer, string>({ name: 'audits', encoding: 'binary' }),
      root.openDB<Renewal, string>({ name: 'renewals' }),
      root.openDB<string, string>({ name: 'endings' }),
      root.openDB<1, string>({ name: 'renters' }),
      root.openDB<1, [number, string]>({ name: 'due' }),
      root.openDB<1, string>({ name: 'unsettled' }),
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
    const version = (this.meta.get('version') as number | undefined) ?? 0;
    let totals = NOTHING;
    for (let slice = this.slice(''); slice.length > 0; slice = this.slice(slice.at(-1)!.key)) {
      for (const { key, value } of slice) {
        totals = counted(totals, value, 1);
        if (isUnsettled(value)) void this.unsettled.put(key, 1);
        if (version >= INDEXED_VERSION) continue;
        void this.due.put([dueAt(value), key], 1);
        const contract = this.contracts.get(key);
        if (contract !== undefined) void this.byRenter.put(`${contract.terms.renter}/${key}`, 1);
      }
      await breathe();
    }
    this.sums = totals;
    await Promise.all([this.meta.put('totals', totals), this.meta.put('version', BOOK_VERSION)]);
    await this.root.flushed;
  }

  private slice(after: string, options: RangeOptions = {}) {
    const start = after === '' ? {} : { start: `${after}\0` };
    return [...this.entries.getRange({ ...options, ...start, limit: SLICE })];
  }

  /** Sums over all entries, those whose writing has begun included. */
  get totals(): BookTotals {
    return this.sums;
  }

  /**
   * Count everything, and correct the totals if they were not the sum.
   *
   * @returns false when they were not
   */
  async verifyTotals(signal: AbortSignal): Promise<boolean> {
    // As all was at one moment, whatever is written meanwhile.
    const transaction = this.root.useReadTransaction();
    try {
      const noted = (this.meta.get('totals', { transaction }) as BookTotals | undefined) ?? NOTHING;
      let found = NOTHING;
      let slice = this.slice('', { transaction });
      while (slice.length > 0) {
        for (const { value } of slice) found = counted(found, value, 1);
        await breathe();
        if (signal.aborted) return true;
        slice = this.slice(slice.at(-1)!.key, { transaction });
      }
      const names = Object.keys(NOTHING) as (keyof BookTotals)[];
      if (names.every((name) => found[name] === noted[name])) return true;
      const right = names.map((name) => [name, this.sums[name] + found[name] - noted[name]]);
      this.sums = Object.fromEntries(right) as unknown as BookTotals;
      await this.meta.put('totals', this.sums);
      return false;
    } finally {
      transaction.done();
    }
  }

  /** Contracts whose files a crash may have left other than their entries say. */
  unsettledHashes(): string[] {
    return [...this.unsettled.getKeys()];
  }

  /** The files are as the entry says. If this is forgotten in a crash, they are looked at once more. */
  settle(hash: string): Promise<boolean> {
    return this.unsettled.remove(hash);
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

  /** Write an entry, and its contract when it is new. Durable when the promise resolves. */
  async put(
    hash: string,
    entry: BookEntry,
    contract?: Contract,
    audits?: Uint8Array,
  ): Promise<void> {
    await this.write(hash, entry, () => [
      ...(contract === undefined
        ? []
        : [
            this.contracts.put(hash, contract),
            this.byRenter.put(`${contract.terms.renter}/${hash}`, 1),
          ]),
      ...(audits === undefined || audits.length === 0
        ? []
        : [this.audits.put(hash, Buffer.from(audits))]),
    ]);
    // Commits are batched and synced together: parallel uploads share one fsync.
    await this.root.flushed;
  }

  /** Write a renewal and the new end. Durable when the promise resolves. */
  async renew(hash: string, entry: BookEntry, renewal: Renewal): Promise<void> {
    await this.write(hash, entry, () => [this.renewals.put(hash, renewal)]);
    await this.root.flushed;
  }

  /**
   * The receipt of a contract's upload with the renter's signature, in JSON; of another transfer when an
   * older version has written it.
   */
  countersignature(hash: string): string | undefined {
    return this.receipts.get(hash);
  }

  /** How many receipts are kept because they may not be in the book of payments, or were a write ago. */
  get unbookedReceipts(): number {
    return (this.unbooked.getStats() as { entryCount: number }).entryCount;
  }

  /**
   * Keep a receipt that the renter has signed until {@link ContractBook.putBooked} is called. That of an
   * upload is kept with the contract, too: if the book of payments is lost, it says since when the
   * shard has been here. A crash of the process does not take it when the promise resolves.
   *
   * @param counts - whether it belongs in the book of payments
   */
  async putReceipt(signed: SignedTransfer, counts: boolean): Promise<void> {
    const { receipt, renterSignature } = signed;
    const { contract, direction } = receipt.body;
    const done = this.dropBooked();
    if (counts) done.push(this.unbooked.put(unbookedKey(signed), signed));
    const isHere = this.entries.get(contract)?.state === 'stored';
    if (direction === 'upload' && isHere && this.receipts.get(contract) === undefined) {
      done.push(this.receipts.put(contract, JSON.stringify({ receipt, renterSignature })));
    }
    await Promise.all(done);
  }

  /**
   * A receipt is in the book of payments. It is removed with the next write, so that nothing is synced
   * for it; if that is forgotten in a crash, the book of payments knows it by its nonce.
   */
  putBooked(signed: SignedTransfer): void {
    this.booked.push(unbookedKey(signed));
    if (this.booked.length < MAX_BOOKED) return;
    // Those that stay are looked at once more at the next start.
    Promise.all(this.dropBooked()).catch(() => undefined);
  }

  /** Some of the receipts that may not be in the book of payments, by key, those after `after`. */
  *unbookedFrom(after: string): Generator<readonly [string, SignedTransfer]> {
    const start = after === '' ? {} : { start: `${after}\0` };
    for (const { key, value } of this.unbooked.getRange({ ...start, limit: SLICE })) {
      yield [key, value];
    }
  }

  private dropBooked(): Promise<boolean>[] {
    const keys = this.booked;
    this.booked = [];
    return keys.map((key) => this.unbooked.remove(key));
  }

  /**
   * Keep only that a contract was deleted, so that it can't be replayed, and who wanted it.
   *
   * @param ending - the renter's signed leave
   */
  async bury(hash: string, entry: BookEntry, ending?: string): Promise<void> {
    await this.write(hash, { ...entry, state: 'deleted' }, () => [
      ...this.strip(hash),
      ...(ending === undefined ? [] : [this.endings.put(hash, ending)]),
    ]);
    await this.root.flushed;
  }

  /** Forget a contract altogether. */
  async forget(hash: string): Promise<void> {
    await this.write(hash, undefined, () => [this.endings.remove(hash), ...this.strip(hash)]);
  }

  /**
   * Write an entry, or remove it, with all that follows from it, in one transaction: what is called in
   * one turn of the event loop is committed together. The totals count it from now on.
   */
  private async write(
    hash: string,
    entry: BookEntry | undefined,
    besides: () => Promise<boolean>[],
  ): Promise<void> {
    const old = this.entries.get(hash);
    this.sums = counted(counted(this.sums, old, -1), entry, 1);
    try {
      const done = [this.meta.put('totals', this.sums), ...besides(), ...this.dropBooked()];
      if (old !== undefined) done.push(this.due.remove([dueAt(old), hash]));
      if (entry === undefined) {
        done.push(this.entries.remove(hash), this.unsettled.remove(hash));
      } else {
        done.push(this.entries.put(hash, entry), this.due.put([dueAt(entry), hash], 1));
        done.push(isUnsettled(entry) ? this.unsettled.put(hash, 1) : this.unsettled.remove(hash));
      }
      await Promise.all(done);
    } catch (error) {
      this.sums = counted(counted(this.sums, old, 1), entry, -1);
      // Another write may have taken the totals along in a transaction that did not fail.
      await this.meta.put('totals', this.sums).catch(() => false);
      throw error;
    }
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

  async close(): Promise<void> {
    await Promise.all(this.dropBooked());
    await this.root.close();
  }
}
