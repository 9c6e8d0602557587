import { isAlive, lookAfter, processSpace } from '#renter/processes';
import { type Clock, type Random } from '@granary/kad';
import { toHex } from '@granary/protocol';
import type { LeaseRecord } from './records.js';
import type { RenterStore } from './renter-store.js';

/** How long a lease holds without being renewed, in milliseconds. */
const LEASE_MS = 60_000;

/**
 * What this renter has taken for itself among all that share the store: the right to work on a
 * thing alone, or the right to read an object to its end. A lease ends with its process.
 */
export class Leases {
  constructor(
    private readonly store: RenterStore,
    private readonly clock: Clock,
    private readonly random: Random,
    /** Our number among those that use the store. */
    readonly process: number,
  ) {}

  /** Whether the holder of a lease is still there. Of another machine only the lease itself tells. */
  readonly isLive = ({ process: pid, space, expires }: LeaseRecord): boolean => {
    if (expires <= this.clock.now()) return false;
    const near =
      this.store.reach === 'machine' || (space !== undefined && space === processSpace());
    return near ? isAlive(pid) : true;
  };

  /** Whether an upload's process is still there, and not this one. */
  async isAnotherAlive(number: number): Promise<boolean> {
    if (number === this.process) return false;
    await lookAfter([number]);
    return isAlive(number);
  }

  /**
   * Do something that only one may do at a time; undefined when another is at it.
   *
   * @param work - is told by its signal when the lease could not be kept up
   * @param leaseMs - how long others wait for a holder that was killed, where they can't see it
   */
  async alone<T>(
    name: string,
    work: (signal: AbortSignal) => Promise<T>,
    leaseMs = LEASE_MS,
  ): Promise<{ result: T } | undefined> {
    const token = this.newToken();
    const take = async () => {
      const held = await this.store.lease(name);
      if (held !== undefined) await lookAfter([held.process]);
      return this.store.takeLease(name, this.record(token, leaseMs), this.clock.now(), this.isLive);
    };
    if (!(await take())) return undefined;
    const lost = new AbortController();
    const keep = this.every(leaseMs / 3, async () => {
      if (!(await take())) lost.abort(new Error(`the lease on ${name} was lost`));
    });
    try {
      return { result: await work(lost.signal) };
    } finally {
      keep.stop();
      await this.store.giveLease(name, this.record(token)).catch(() => undefined);
    }
  }

  /**
   * Say that something is being worked on, as long as the returned object is not given back. Where
   * processes can see each other nothing has to be said. Undefined when another works on it.
   */
  async working(name: string): Promise<{ done(): Promise<void> } | undefined> {
    if (this.store.reach === 'machine') return { done: () => Promise.resolve() };
    const token = this.newToken();
    const take = () => this.store.takeLease(name, this.record(token), this.clock.now(), () => true);
    if (!(await take())) return undefined;
    const keep = this.every(LEASE_MS / 3, async () => void (await take()));
    return {
      done: async () => {
        keep.stop();
        // A lease that can't be given back runs out.
        await this.store.giveLease(name, this.record(token)).catch(() => undefined);
      },
    };
  }

  /** Whether somebody works on something that {@link Leases.working} was told of. */
  async isWorkedOn(name: string): Promise<boolean> {
    const lease = await this.store.lease(name);
    if (lease === undefined) return false;
    await lookAfter([lease.process]);
    return this.isLive(lease);
  }

  /** Keep an object's shards until the returned function is called; it says whether it was retired. */
  async reading(objectId: string): Promise<() => Promise<boolean>> {
    const token = this.newToken();
    const begin = () => this.store.beginReading(objectId, this.record(token));
    await begin();
    const keep = this.every(LEASE_MS / 3, begin);
    return async () => {
      keep.stop();
      // What was read was read, and the lease runs out by itself.
      return this.store.endReading(objectId, this.record(token)).catch(() => false);
    };
  }

  private newToken(): string {
    return toHex(this.random(8));
  }

  private record(token: string, leaseMs = LEASE_MS): LeaseRecord {
    const space = processSpace();
    const expires = this.clock.now() + leaseMs;
    return { process: this.process, token, expires, ...(space !== undefined && { space }) };
  }

  private every(ms: number, work: () => Promise<void>): { stop(): void } {
    let timer: unknown;
    let stopped = false;
    const schedule = () => {
      timer = this.clock.setTimeout(() => {
        work()
          .catch(() => undefined)
          .finally(() => {
            if (!stopped) schedule();
          });
      }, ms);
      (timer as { unref?: () => void }).unref?.();
    };
    schedule();
    return {
      stop: () => {
        stopped = true;
        this.clock.clearTimeout(timer);
      },
    };
  }
}
