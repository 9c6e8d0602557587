import { chmod, open, rename, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, type Logger, makeDirectory, messageOf } from '@granary/kad';
import { type SignedTransfer, isFree } from '@granary/payments';
import {
  type Contract,
  type ContractTerms,
  MAX_TOKEN_LIFETIME,
  type Receipt,
  type Renewal,
  contractHash,
  fromHex,
  toHex,
} from '@granary/protocol';
import { type BookEntry, ContractBook } from './contract-book.js';
import { lockDirectory } from './directory-lock.js';
import { FarmerError } from './errors.js';
import { KeyedQueue } from './keyed-queue.js';
import { type PartialShard, ShardFiles, type StoredShard } from './shard-files.js';

/** What a {@link ShardStore} is made of. */
export interface ShardStoreOptions {
  readonly directory: string;
  /** The most bytes of shards, reservations included. */
  readonly quotaBytes: number;
  /** How long a reservation and its part wait for the upload to go on. */
  readonly reservationMs: number;
  /** How long shards are kept after their contract has ended. */
  readonly graceMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Bytes of the disk that are never promised to anybody. */
const HEADROOM = 32 * 1024 * 1024;
/** Entries that are looked at in one go. */
const SLICE = 2000;
/** The most deletes of contracts not heard of that are remembered: anybody can ask for them. */
const MAX_UNKNOWN = 100_000;
/** The most receipts that wait for the book of payments: more can only be when that fails. */
const MAX_UNBOOKED = 65_536;

/** Let others work for a moment. */
const breathe = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * Shards and contracts on disk. A shard counts as stored only after its bytes, its place and its
 * contract are on the disk for good; what was stored once is never dropped by recovery.
 */
export class ShardStore {
  private closed = false;
  private missingCount = 0;
  /** Bytes of shards that are being written and are not in the book yet. */
  private arriving = 0;
  private diskFree = Infinity;
  // The book is read, and then written in batches: between the two nobody else may change a contract.
  private readonly changes = new KeyedQueue();

  private constructor(
    private readonly options: ShardStoreOptions,
    private readonly book: ContractBook,
    private readonly files: ShardFiles,
    private readonly unlock: () => Promise<void>,
  ) {}

  /**
   * Open a store, finishing what a crash left undone.
   *
   * @throws FarmerError FARMER_DIRECTORY or FARMER_LOCKED.
   */
  static async open(options: ShardStoreOptions): Promise<ShardStore> {
    const { directory } = options;
    try {
      await makeDirectory(directory);
      await chmod(directory, 0o700);
      const unlock = await lockDirectory(join(directory, 'lock'));
      const files = new ShardFiles(directory);
      await files.prepare();
      const book = await openBook(join(directory, 'contracts.lmdb'), options);
      const store = new ShardStore(options, book, files, unlock);
      await store.makeWhole();
      await store.recover();
      return store;
    } catch (error) {
      if (error instanceof FarmerError) throw error;
      throw new FarmerError(
        'FARMER_DIRECTORY',
        `the directory ${directory} can't be used: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /** Figures, in bytes and counts. */
  get usage() {
    const { stored, storedBytes, damaged } = this.book.totals;
    const reservedBytes = this.book.totals.reservedBytes + this.arriving;
    const free = Math.min(
      this.options.quotaBytes - storedBytes - reservedBytes,
      this.diskFree - reservedBytes,
    );
    return {
      quotaBytes: this.options.quotaBytes,
      usedBytes: storedBytes,
      reservedBytes,
      freeBytes: Math.max(0, free),
      shards: stored,
      missing: this.missingCount,
      damaged,
    };
  }

  entry(hash: string): BookEntry | undefined {
    return this.book.entry(hash);
  }

  /**
   * How many contracts whose shards are here end before each of some times (milliseconds since the
   * epoch, ascending). Others get their turn while it counts.
   */
  async endings(bounds: readonly number[], signal: AbortSignal): Promise<number[]> {
    const counts = bounds.map(() => 0);
    const to = bounds.at(-1) ?? 0;
    // Read in slices: a view of the book is not held while others write.
    for (let from: readonly [number, string] | undefined = [0, '']; from !== undefined;) {
      let next: readonly [number, string] | undefined;
      let looked = 0;
      for (const key of this.book.dueFrom(from, to)) {
        if ((looked += 1) > SLICE) {
          next = key;
          break;
        }
        const [end, hash] = key;
        if (this.book.entry(hash)?.state !== 'stored') continue;
        counts[bounds.findIndex((bound) => end < bound)]! += 1;
      }
      from = next;
      await breathe();
      signal.throwIfAborted();
    }
    for (let i = 1; i < counts.length; i += 1) counts[i]! += counts[i - 1]!;
    return counts;
  }

  /** How many renters have contracts here; counted up to a limit. */
  countRenters(limit: number): number {
    return this.book.countRenters(limit);
  }

  contract(hash: string): Contract | undefined {
    return this.book.contract(hash);
  }

  /** The last renewal of a contract. */
  renewal(hash: string): Renewal | undefined {
    return this.book.renewal(hash);
  }

  /** The leaves of a contract's precomputed audits. */
  auditLeaves(hash: string): Uint8Array | undefined {
    return this.book.audit(hash);
  }

  /** The renter's signed leave to delete what was deleted, kept until the contract would have ended. */
  ending(hash: string): string | undefined {
    return this.book.ending(hash);
  }

  /** A renter's contracts whose hashes follow `after`, in order, at most `limit`. */
  contractsOf(renter: string, after: string, limit: number): string[] {
    const found: string[] = [];
    for (const hash of this.book.hashesOf(renter, after)) {
      if (found.push(hash) >= limit) break;
    }
    return found;
  }

  /**
   * Keep a renewal, and the shard for longer.
   *
   * @throws FarmerError FARMER_NOT_FOUND when the shard is not here, FARMER_TERMS when it is not the
   * present end that is renewed.
   */
  renew(hash: string, renewal: Renewal): Promise<void> {
    return this.changes.run(hash, async () => {
      const entry = this.book.entry(hash);
      if (entry?.state !== 'stored' || !(await this.holds(hash))) {
        throw new FarmerError('FARMER_NOT_FOUND', 'there is no such shard here');
      }
      const { previousEnd, end } = renewal.body;
      if (entry.end !== previousEnd) {
        throw new FarmerError(
          'FARMER_TERMS',
          `the contract ends at ${entry.end}, not ${previousEnd}`,
        );
      }
      await this.files.appendTrailer(hash, {
        contract: this.book.contract(hash)!,
        renewal,
        audits: toHex(this.book.audit(hash) ?? new Uint8Array(0)),
      });
      await this.book.renew(hash, { ...entry, end }, renewal);
    });
  }

  /**
   * Keep room for a shard. The room is taken before the first wait, so that negotiations at the
   * same time can't both have it.
   *
   * @param audits - leaves of the contract's precomputed audits
   * @throws FarmerError FARMER_FULL, or FARMER_GONE when the contract was deleted.
   */
  reserve(hash: string, contract: Contract, audits?: Uint8Array): Promise<void> {
    return this.changes.run(hash, () => this.reserveAlone(hash, contract, audits));
  }

  private async reserveAlone(
    hash: string,
    contract: Contract,
    audits: Uint8Array | undefined,
  ): Promise<void> {
    const { terms } = contract;
    const known = this.admit(hash, terms);
    const reservedUntil = this.options.clock.now() + this.options.reservationMs;
    const entry = {
      state: 'reserved',
      size: terms.shardSize,
      end: terms.end,
      reservedUntil,
    } as const;
    if (known === undefined) return this.enter(hash, entry, contract, audits);
    if (known.state === 'reserved') await this.book.put(hash, entry);
  }

  /**
   * A contract's entry, if there is one, when its shard may come.
   *
   * @throws FarmerError FARMER_GONE, or FARMER_FULL when it is not known and there is no room for it.
   */
  admit(hash: string, { shardSize }: ContractTerms): BookEntry | undefined {
    const known = this.book.entry(hash);
    if (known?.state === 'deleted') {
      throw new FarmerError('FARMER_GONE', 'this contract was ended and its shard deleted');
    }
    if (known === undefined && shardSize > this.usage.freeBytes) {
      throw new FarmerError('FARMER_FULL', `there is no room for ${shardSize} bytes`);
    }
    return known;
  }

  /** Write a contract down that was not known. @throws FarmerError FARMER_DISK. */
  private async enter(
    hash: string,
    entry: BookEntry,
    contract: Contract,
    audits: Uint8Array | undefined,
  ): Promise<void> {
    try {
      await this.book.put(hash, entry, contract, audits);
    } catch (error) {
      throw new FarmerError('FARMER_DISK', "the farmer's contract book failed", { cause: error });
    }
  }

  /**
   * Check a shard that came in one piece, keep it, and write down that it is kept: all at once, since nobody comes back to
   * a part of it. A crash between file and book leaves a whole shard that the next start takes in.
   *
   * @param audits - leaves of the contract's precomputed audits
   * @throws FarmerError FARMER_GONE, FARMER_FULL, FARMER_WRONG_BYTES or FARMER_DISK.
   */
  keepWhole(
    hash: string,
    contract: Contract,
    audits: Uint8Array,
    bytes: Uint8Array,
  ): Promise<void> {
    return this.changes.run(hash, () => this.keepWholeAlone(hash, contract, audits, bytes));
  }

  private async keepWholeAlone(
    hash: string,
    contract: Contract,
    audits: Uint8Array,
    bytes: Uint8Array,
  ): Promise<void> {
    const { shardSize, end } = contract.terms;
    const known = this.admit(hash, contract.terms);
    // What is reserved has its room.
    const room = known === undefined ? shardSize : 0;
    this.arriving += room;
    try {
      const renewal = this.book.renewal(hash) ?? null;
      const trailer = { contract, renewal, audits: toHex(audits) };
      await this.files.keepWhole(hash, bytes, trailer);
      if (known?.state === 'stored') return;
      const entry = { state: 'stored', size: shardSize, end, reservedUntil: 0 } as const;
      if (known === undefined) await this.enter(hash, entry, contract, audits);
      else await this.book.put(hash, { ...known, state: 'stored' });
      this.diskFree -= shardSize;
    } finally {
      this.arriving -= room;
    }
  }

  /** Open the part of a reserved shard. */
  openPartial(hash: string, terms: ContractTerms): Promise<PartialShard> {
    return this.files.openPartial(hash, terms.shardSize);
  }

  /** A shard's last byte has come: check it, keep it, and write down that it is kept. */
  commit(hash: string, terms: ContractTerms, part: PartialShard): Promise<void> {
    return this.changes.run(hash, () => this.commitAlone(hash, terms, part));
  }

  private async commitAlone(hash: string, terms: ContractTerms, part: PartialShard): Promise<void> {
    const reserved = this.book.entry(hash);
    if (reserved === undefined || reserved.state === 'deleted') {
      await part.discard();
      throw new FarmerError('FARMER_GONE', 'this contract was ended while its shard came in');
    }
    await part.finish(terms.shardHash, {
      contract: this.book.contract(hash)!,
      renewal: this.book.renewal(hash) ?? null,
      audits: toHex(this.book.audit(hash) ?? new Uint8Array(0)),
    });
    // It was stored and acknowledged before; the same verified bytes are in its place again.
    if (reserved.state === 'stored') return;
    await this.book.put(hash, { ...reserved, state: 'stored' });
    this.diskFree -= terms.shardSize;
  }

  /**
   * Give a reservation up, and its part.
   *
   * @param expiredAt - only if nobody came back to it by this time
   */
  release(hash: string, expiredAt = Infinity): Promise<void> {
    return this.changes.run(hash, () => this.releaseAlone(hash, expiredAt));
  }

  private async releaseAlone(hash: string, expiredAt: number): Promise<void> {
    const entry = this.book.entry(hash);
    if (entry?.state !== 'reserved' || entry.reservedUntil > expiredAt) return;
    await this.files.removePartial(hash);
    await this.book.forget(hash);
  }

  /** Whether a shard is stored and its file is whole. */
  async holds(hash: string): Promise<boolean> {
    const entry = this.book.entry(hash);
    return (
      entry?.state === 'stored' &&
      entry.damaged !== true &&
      (await this.files.hasShard(hash, entry.size))
    );
  }

  /** Open a stored shard. @throws FarmerError FARMER_NOT_FOUND. */
  openShard(hash: string): Promise<StoredShard> {
    const entry = this.book.entry(hash);
    if (entry?.state !== 'stored') {
      throw new FarmerError('FARMER_NOT_FOUND', 'there is no such shard here');
    }
    return this.files.openShard(hash, entry.size);
  }

  /**
   * Delete a shard or a reservation; bytes freed. Deleting what is not there is no error: it is
   * remembered for as long as an upload of it, let in by an older token, may be on its way.
   *
   * @param ending - the renter's signed leave, kept as proof that it wanted this
   */
  delete(hash: string, ending?: string): Promise<number> {
    return this.changes.run(hash, () => this.deleteAlone(hash, ending));
  }

  private async deleteAlone(hash: string, ending: string | undefined): Promise<number> {
    const entry = this.book.entry(hash);
    if (entry?.state === 'deleted') return 0;
    if (entry === undefined) {
      if (this.book.totals.unknown >= MAX_UNKNOWN) {
        throw new FarmerError('FARMER_BUSY', 'too many deletes of unknown contracts: try later');
      }
      const end = this.options.clock.now() + 2 * MAX_TOKEN_LIFETIME;
      await this.book.bury(hash, { state: 'deleted', size: 0, end, reservedUntil: 0 });
      return 0;
    }
    // First the book: a crash between the two leaves a file without an entry, which recovery removes.
    await this.book.bury(hash, entry, ending);
    if (entry.state === 'stored') await this.files.removeShard(hash);
    else await this.files.removePartial(hash);
    this.settle(hash);
    return entry.state === 'stored' ? entry.size : 0;
  }

  /**
   * Keep a receipt that the renter has signed until it is in the book of payments, which a crash of the
   * process does not take from when the promise resolves on.
   *
   * @throws FarmerError FARMER_DISK when the book of payments has failed to take very many.
   */
  async keepReceipt(signed: SignedTransfer): Promise<void> {
    const counts = !isFree(signed.terms);
    if (counts && this.book.unbookedReceipts >= MAX_UNBOOKED) {
      throw new FarmerError('FARMER_DISK', "the farmer's book of payments failed");
    }
    await this.book.putReceipt(signed, counts);
  }

  /** A receipt is in the book of payments: it need not be kept any more. */
  bookedReceipt(signed: SignedTransfer): void {
    if (!isFree(signed.terms)) this.book.putBooked(signed);
  }

  /** Receipts that may not be in the book of payments. */
  *unbookedReceipts(): Generator<SignedTransfer> {
    for (let after: string | undefined = ''; after !== undefined;) {
      const slice: (readonly [string, SignedTransfer])[] = [...this.book.unbookedFrom(after)];
      for (const [, signed] of slice) yield signed;
      after = slice.at(-1)?.[0];
    }
  }

  /** Contracts whose shards are held, with the receipts of their uploads that renters have signed. */
  *stored(): Generator<{
    contract: string;
    terms: ContractTerms;
    signed?: { receipt: Receipt; renterSignature: string };
  }> {
    for (let hash = this.book.next(''); hash !== undefined; hash = this.book.next(hash)) {
      const terms = this.book.contract(hash)?.terms;
      if (this.book.entry(hash)?.state !== 'stored' || terms === undefined) continue;
      const text = this.book.countersignature(hash);
      yield {
        contract: hash,
        terms,
        ...(text !== undefined && {
          signed: JSON.parse(text) as { receipt: Receipt; renterSignature: string },
        }),
      };
    }
  }

  /**
   * Drop what has run out: reservations nobody came back to, shards whose contract ended long ago,
   * marks of deleted contracts that could not be replayed any more.
   *
   * @param busy - contracts that are being worked on
   * @param signal - ends it after the entry that it is at
   */
  async sweep(busy: ReadonlySet<string>, signal?: AbortSignal): Promise<void> {
    const now = this.options.clock.now();
    await this.measureDisk();
    for (const hash of [...this.book.dueBy(now)]) {
      if (signal?.aborted === true) return;
      const entry = this.book.entry(hash);
      if (entry === undefined || busy.has(hash)) continue;
      if (entry.state === 'reserved' && entry.reservedUntil <= now) await this.release(hash, now);
      if (entry.state === 'deleted' && entry.end <= now) {
        await this.changes.run(hash, () => this.book.forget(hash));
      }
      if (entry.state === 'stored' && entry.end + this.options.graceMs <= now) {
        this.options.logger.info({ contract: hash }, 'a contract has ended: its shard is deleted');
        await this.delete(hash);
      }
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.book.close();
    await this.unlock();
  }

  private async measureDisk(): Promise<void> {
    try {
      const { bavail, bsize } = await statfs(this.options.directory);
      this.diskFree = Math.max(0, bavail * bsize - HEADROOM);
    } catch (error) {
      this.options.logger.warn({ error: messageOf(error) }, 'the free space is not known');
    }
  }

  private async recover(): Promise<void> {
    const { logger, clock } = this.options;
    const now = clock.now();
    await this.measureDisk();
    const partials = new Set(await this.files.listPartials());
    for (const hash of this.book.unsettledHashes()) {
      const entry = this.book.entry(hash);
      if (entry?.state === 'reserved' && entry.reservedUntil > now) {
        // A crash between file and book left a shard that nobody was told of: it begins anew.
        if (!partials.has(hash)) await this.files.removeShard(hash);
        partials.delete(hash);
        continue;
      }
      // A crash between book and file may have left the file.
      if (entry?.state !== 'stored') await this.files.removeShard(hash);
      if (entry?.state === 'reserved') await this.book.forget(hash);
      else this.settle(hash);
    }
    for (const hash of partials) await this.files.removePartial(hash);
    if (partials.size > 0) {
      logger.info({ count: partials.size }, 'removed parts of shards that nobody waits for');
    }
  }

  private settle(hash: string): void {
    // Then the next start looks at the file.
    if (this.closed) return;
    this.book.settle(hash).catch((error: unknown) => {
      this.options.logger.warn({ error: messageOf(error) }, 'a file is looked at again next time');
    });
  }

  /**
   * A book that was lost is made anew from the files; one of an older form gets what it lacks.
   */
  private async makeWhole(): Promise<void> {
    if (this.book.isWhole) return;
    if (this.book.isEmpty) {
      let adopted = 0;
      for await (const hash of this.files.listShards()) {
        if (await this.adopt(hash)) adopted += 1;
      }
      if (adopted > 0) {
        this.options.logger.warn(
          { shards: adopted },
          'the contract book was made anew from the files',
        );
      }
    }
    await this.book.seal();
  }

  /** Take a file into the book by what its trailer says. What says nothing is put aside. */
  private async adopt(hash: string): Promise<boolean> {
    const { logger } = this.options;
    const trailer = await this.files.trailer(hash).catch(() => undefined);
    if (trailer === undefined || contractHash(trailer.contract.terms) !== hash) {
      logger.error({ contract: hash }, 'a file that is no whole shard was put aside in quarantine');
      await this.files.putAside(hash);
      return false;
    }
    const { contract, renewal, audits } = trailer;
    const { shardSize } = contract.terms;
    const end = renewal?.body.end ?? contract.terms.end;
    const entry = { state: 'stored', size: shardSize, end, reservedUntil: 0 } as const;
    await this.book.put(hash, entry, contract, fromHex(audits));
    if (renewal !== null) await this.book.renew(hash, entry, renewal);
    return true;
  }

  /** How far the scrubber is. */
  get scrubbedTo(): string {
    return this.book.scrubbedTo;
  }

  noteScrubbed(hash: string): Promise<void> {
    return this.book.putScrubbedTo(hash);
  }

  /** The first contract after a hash, whatever its state. */
  nextShard(hash: string): string | undefined {
    return this.book.next(hash);
  }

  /**
   * Read a shard and check every byte of it. One that is not what it was is marked, so that it is
   * not held to be here any more.
   *
   * @returns bytes read
   */
  async scrub(hash: string): Promise<number> {
    const entry = this.book.entry(hash);
    const contract = this.book.contract(hash);
    if (entry?.state !== 'stored' || contract === undefined) return 0;
    let whole: boolean;
    try {
      const shard = await this.files.openShard(hash, entry.size);
      try {
        whole = await shard.matches(contract.terms.shardHash);
      } finally {
        await shard.close();
      }
    } catch (error) {
      if (!(error instanceof FarmerError)) throw error;
      whole = false;
    }
    if (whole !== (entry.damaged !== true)) await this.mark(hash, !whole);
    return entry.size;
  }

  private mark(hash: string, damaged: boolean): Promise<void> {
    return this.changes.run(hash, async () => {
      const entry = this.book.entry(hash);
      if (entry?.state !== 'stored' || (entry.damaged === true) === damaged) return;
      await this.book.put(hash, { ...entry, damaged });
      if (damaged) this.options.logger.error({ contract: hash }, 'a stored shard is damaged');
    });
  }

  /**
   * Compare files and book: a file that the book has deleted goes, one that it does not know is
   * taken in by its trailer, entries without a file are reported. Runs in the background, since it
   * visits every shard.
   */
  async reconcile(signal: AbortSignal): Promise<void> {
    let missing = 0;
    for await (const hash of this.files.listShards()) {
      if (signal.aborted) return;
      await this.changes.run(hash, () => this.reconcileFile(hash));
    }
    let looked = 0;
    for (let hash = this.book.next(''); hash !== undefined; hash = this.book.next(hash)) {
      if (signal.aborted) return;
      if ((looked += 1) % SLICE === 0) await breathe();
      const entry = this.book.entry(hash);
      if (entry?.state !== 'stored' || (await this.files.hasShard(hash, entry.size))) continue;
      if (this.book.entry(hash)?.state !== 'stored') continue;
      missing += 1;
      this.options.logger.error({ contract: hash }, 'a stored shard is missing or cut short');
    }
    this.missingCount = missing;
    if (!(await this.book.verifyTotals(signal))) {
      this.options.logger.error({}, 'the totals of the contract book were wrong: counted anew');
    }
  }

  private async reconcileFile(hash: string): Promise<void> {
    const entry = this.book.entry(hash);
    if (entry?.state === 'deleted') return this.files.removeShard(hash);
    if (entry !== undefined || !(await this.adopt(hash))) return;
    this.options.logger.warn(
      { contract: hash },
      'a shard that the book had lost was taken in again',
    );
  }
}

/** Open the book. One that does not open is put aside, and a new one begun. */
async function openBook(path: string, { logger, clock }: ShardStoreOptions): Promise<ContractBook> {
  try {
    await checkHeader(path);
    return ContractBook.open(path);
  } catch (error) {
    const aside = `${path}.damaged-${clock.now()}`;
    logger.error({ error: messageOf(error), aside }, 'the contract book does not open: put aside');
    await rename(path, aside);
    await rename(`${path}-lock`, `${aside}-lock`).catch(() => undefined);
    return ContractBook.open(path);
  }
}

/** The magic number of LMDB, which stands behind the header of its first page, in either byte order. */
const LMDB_MAGICS = [Buffer.from('dec0efbe', 'hex'), Buffer.from('beefc0de', 'hex')];

/** LMDB itself ends the process when a file is not its own, so that is looked at before. */
async function checkHeader(path: string): Promise<void> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return;
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(64), 0, 64, 0);
    if (bytesRead === 0) return;
    if (!LMDB_MAGICS.some((magic) => buffer.includes(magic))) throw new Error('it is no LMDB file');
  } finally {
    await file.close();
  }
}
