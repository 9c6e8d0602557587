import { type RootDatabase, open } from 'lmdb';
import type { Clock } from '@granary/kad';
import type { RootRecord } from '@granary/protocol';
import { FarmerError } from './errors.js';

/** How long a root record is kept after it last came in, in milliseconds. */
const KEEP_MS = 180 * 24 * 3600 * 1000;
/** The most bytes of root records kept for renters without a contract here, and for all. */
const MAX_STRANGER_BYTES = 256 * 1024 * 1024;
const MAX_BYTES = 1024 * 1024 * 1024;

interface Kept {
  readonly record: RootRecord;
  readonly refreshed: number;
}

const sizeOf = ({ body }: RootRecord) => body.sealed.length + 512;

/** Root records that this farmer keeps for renters: one each, the highest number winning. */
export class RootBook {
  private bytes = 0;

  private constructor(
    private readonly records: RootDatabase<Kept, string>,
    private readonly clock: Clock,
  ) {
    for (const { value } of records.getRange()) this.bytes += sizeOf(value.record);
  }

  static open(path: string, clock: Clock): RootBook {
    return new RootBook(open<Kept, string>({ path, noSubdir: true }), clock);
  }

  get(renter: string): RootRecord | undefined {
    return this.records.get(renter)?.record;
  }

  /**
   * Keep a record that was checked. Durable when the promise resolves.
   *
   * @param known - whether the renter has contracts here
   * @returns the record kept now: not the one given when there is another with its number or a higher
   * @throws FarmerError FARMER_FULL.
   */
  async put(record: RootRecord, known: boolean): Promise<RootRecord> {
    const { renter, sequence } = record.body;
    const old = this.records.get(renter)?.record;
    if (old !== undefined && old.body.sequence >= sequence && old.signature !== record.signature) {
      return old;
    }
    const growth = sizeOf(record) - (old === undefined ? 0 : sizeOf(old));
    if (growth > 0 && this.bytes + growth > (known ? MAX_BYTES : MAX_STRANGER_BYTES)) {
      throw new FarmerError('FARMER_FULL', 'there is no room for more root records');
    }
    this.bytes += growth;
    await this.records.put(renter, { record, refreshed: this.clock.now() });
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
