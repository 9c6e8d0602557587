import { type RootDatabase, open } from 'lmdb';
import type { Clock } from '@granary/kad';
import { MAX_GRANT_LIFETIME, type ReadGrant, type ReaderRevocation } from '@granary/protocol';
import { FarmerError } from './errors.js';

/** The most readers of one contract whose use is kept count of. */
const MAX_READERS = 64;
/** The most readers that one renter may have taken its grants back from. */
const MAX_REVOKED = 4096;
/** Between two looks for what is over, in milliseconds. */
const SWEEP_MS = 3600 * 1000;

/** What a reader has had of one contract, or that a renter has taken its grants back. */
interface Row {
  /** Bytes sent. */
  readonly bytes?: number;
  /** Milliseconds since the epoch; the row is of no use any more after that. */
  readonly until: number;
}

const usedKey = (contract: string, reader: string) => `used/${contract}/${reader}`;
const revokedKey = (renter: string, reader: string) => `revoked/${renter}/${reader}`;

/**
 * What was read under grants, and which were taken back. Counts are in the file when a transfer ends,
 * and on the disk soon after: a failure of the power may forget the last seconds of them. Revocations
 * are on the disk when they are confirmed.
 */
export class GrantBook {
  /** Bytes being sent now, by the key of their count. */
  private readonly sending = new Map<string, number>();
  private swept = 0;

  private constructor(
    private readonly rows: RootDatabase<Row, string>,
    private readonly clock: Clock,
  ) {}

  static open(path: string, clock: Clock): GrantBook {
    return new GrantBook(open<Row, string>({ path, noSubdir: true }), clock);
  }

  /**
   * Let a reader have some bytes under a grant that was checked. They count against its limit until
   * what was sent of them is told.
   *
   * @param renter - who has granted it
   * @returns to be called once with the bytes that went out
   * @throws FarmerError FARMER_REVOKED, FARMER_USED_UP or FARMER_BUSY.
   */
  admit(renter: string, { body }: ReadGrant, bytes: number): (sent: number) => Promise<void> {
    const { contract, reader, expires, limit } = body;
    if (this.isRevoked(renter, reader)) {
      throw new FarmerError('FARMER_REVOKED', 'the owner has taken this share back');
    }
    const key = usedKey(contract, reader);
    const used = this.rows.get(key)?.bytes;
    if (used === undefined && !this.sending.has(key) && this.readers(contract) >= MAX_READERS) {
      throw new FarmerError('FARMER_BUSY', 'this shard is shared too often at this time');
    }
    const underWay = this.sending.get(key) ?? 0;
    if ((used ?? 0) + underWay + bytes > limit) {
      throw new FarmerError(
        'FARMER_USED_UP',
        'as much was read by this share as its owner has allowed',
      );
    }
    this.sending.set(key, underWay + bytes);
    let done = false;
    return async (sent) => {
      if (done) return;
      done = true;
      const left = (this.sending.get(key) ?? 0) - bytes;
      if (left > 0) this.sending.set(key, left);
      else this.sending.delete(key);
      await this.rows.transaction(() => {
        const known = this.rows.get(key);
        void this.rows.put(key, {
          bytes: (known?.bytes ?? 0) + sent,
          until: Math.max(known?.until ?? 0, expires),
        });
      });
    };
  }

  /** Bytes that a reader has had of a contract's shard. */
  used(contract: string, reader: string): number {
    return this.rows.get(usedKey(contract, reader))?.bytes ?? 0;
  }

  /**
   * A renter takes back all that it has granted a reader. On the disk when the promise resolves.
   *
   * @throws FarmerError FARMER_FULL.
   */
  async revoke(renter: string, { reader, until }: ReaderRevocation): Promise<void> {
    const key = revokedKey(renter, reader);
    const known = this.rows.get(key);
    const longest = this.clock.now() + MAX_GRANT_LIFETIME;
    if (known === undefined && this.count(`revoked/${renter}/`) >= MAX_REVOKED) {
      throw new FarmerError('FARMER_FULL', 'too many shares were taken back here');
    }
    await this.rows.put(key, { until: Math.max(known?.until ?? 0, Math.min(until, longest)) });
    await this.rows.flushed;
  }

  /** Whether a renter has taken back what it has granted a reader. */
  isRevoked(renter: string, reader: string): boolean {
    return this.rows.doesExist(revokedKey(renter, reader));
  }

  /** Forget what is over. */
  async sweep(): Promise<void> {
    const now = this.clock.now();
    if (now - this.swept < SWEEP_MS) return;
    this.swept = now;
    for (const { key, value } of [...this.rows.getRange()]) {
      if (value.until < now) await this.rows.remove(key);
    }
  }

  close(): Promise<void> {
    return this.rows.close();
  }

  private readers(contract: string): number {
    const prefix = usedKey(contract, '');
    let sending = 0;
    for (const key of this.sending.keys()) {
      if (key.startsWith(prefix) && !this.rows.doesExist(key)) sending += 1;
    }
    return this.count(prefix) + sending;
  }

  private count(prefix: string): number {
    return this.rows.getKeysCount({ start: prefix, end: `${prefix}\u{10ffff}` });
  }
}
