import { rm, writeFile, access } from 'node:fs/promises';
import { join } from 'node:path';
import { FarmerError } from './errors.js';

/** Whom a farmer makes contracts with: not those it blocks, and nobody once it is leaving. */
export class Admission {
  private constructor(
    private readonly marker: string,
    private readonly blocked: ReadonlySet<string>,
    private isLeaving: boolean,
  ) {}

  /** Whether this farmer was told to leave is kept in its directory, so that a restart changes nothing. */
  static async open(directory: string, blocked: readonly string[]): Promise<Admission> {
    const marker = join(directory, 'leaving');
    const leaving = await access(marker).then(
      () => true,
      () => false,
    );
    return new Admission(marker, new Set(blocked), leaving);
  }

  /** Whether this farmer wants its shards taken over. */
  get leaving(): boolean {
    return this.isLeaving;
  }

  /** Begin to leave, or stay after all. */
  async setLeaving(leaving: boolean): Promise<void> {
    if (leaving) await writeFile(this.marker, '', { mode: 0o600 });
    else await rm(this.marker, { force: true });
    this.isLeaving = leaving;
  }

  /** @throws FarmerError FARMER_BLOCKED or FARMER_LEAVING. */
  check(renter: string): void {
    if (this.blocked.has(renter)) {
      throw new FarmerError('FARMER_BLOCKED', 'this farmer makes no contracts with this renter');
    }
    if (this.isLeaving) {
      throw new FarmerError('FARMER_LEAVING', 'this farmer is leaving: place the shard elsewhere');
    }
  }
}
