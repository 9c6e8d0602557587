import { type RootDatabase, open } from 'lmdb';
import type { Clock } from '@granary/kad';
import { FarmerError } from './errors.js';

/** How long a record is kept after it last came in, in milliseconds. */
const KEEP_MS = 180 * 24 * 3600 * 1000;

/** A sealed record that its owner has signed and numbered. */
export interface NumberedRecord {
  readonly body: { readonly sequence: number; readonly sealed: string };
  readonly signature: string;
}

/** The most bytes of records kept: for those without a contract here, and for all. */
export interface BookLimits {
  readonly strangerBytes: number;
  readonly bytes: number;
}

interface Kept<R> {
  readonly record: R;
  readonly refreshed: number;
}

const sizeOf = ({ body }: NumberedRecord) => body.sealed.length + 512;

/** Sealed records that this farmer keeps for others: one under each name, the highest number winning. */
export class SealedRecordBook<R extends NumberedRecord> {
  private bytes = 0;

  private constructor(
    private readonly records: RootDatabase<Kept<R>, string>,
    private readonly limits: BookLimits,
    private readonly clock: Clock,
    /** What the records are called in errors. */
    private readonly what: string,
  ) {
    for (const { value } of records.getRange()) this.bytes += sizeOf(value.record);
  }

  static open<R extends NumberedRecord>(
    path: string,
    limits: BookLimits,
    clock: Clock,
    what: string,
  ): SealedRecordBook<R> {
    const records = open<Kept<R>, string>({ path, noSubdir: true });
    return new SealedRecordBook(records, limits, clock, what);
  }

  get(name: string): R | undefined {
    return this.records.get(name)?.record;
  }

  /**
   * Keep a record that was checked. Durable when the promise resolves.
   *
   * @param known - whether who brings it has contracts here
   * @returns the record kept now: not the one given when there is another with its number or a higher
   * @throws FarmerError FARMER_FULL.
   */
  async put(name: string, record: R, known: boolean): Promise<R> {
    const old = this.records.get(name)?.record;
    const { sequence } = record.body;
    if (old !== undefined && old.body.sequence >= sequence && old.signature !== record.signature) {
      return old;
    }
    const growth = sizeOf(record) - (old === undefined ? 0 : sizeOf(old));
    const limit = known ? this.limits.bytes : this.limits.strangerBytes;
    if (growth > 0 && this.bytes + growth > limit) {
      throw new FarmerError('FARMER_FULL', `there is no room for more ${this.what}`);
    }
    this.bytes += growth;
    await this.records.put(name, { record, refreshed: this.clock.now() });
    await this.records.flushed;
    return record;
  }

  /** Drop what nobody has refreshed for long. */
  async sweep(): Promise<void> {
    const before = this.clock.now() - KEEP_MS;
    for (const { key, value } of [...this.records.getRange()]) {
      if (value.refreshed >= before) continue;
      this.bytes -= sizeOf(value.record);
      await this.records.remove(key);
    }
  }

  close(): Promise<void> {
    return this.records.close();
  }
}
