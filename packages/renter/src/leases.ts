import { isAlive, lookAfter } from '#renter/processes';
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
  readonly isLive = ({ process: pid, expires }: LeaseRecord): boolean => {
    if (expires <= this.clock.now()) return false;
    if (this.store.reach === 'network') return true;
    return isAlive(pid);
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
   */
  async alone<T>(
    name: string,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<{ result: T } | undefined> {
    const token = this.newToken();
    const take = async () => {
      const held = await this.store.lease(name);
      if (held !== undefined) await lookAfter([held.process]);
      return this.store.takeLease(name, this.record(token), this.clock.now(), this.isLive);
    };
    if (!(await take())) return undefined;
    const lost = new AbortController();
    const keep = this.every(LEASE_MS / 3, async () => {
      if (!(await take())) lost.abort(new Error(`the lease on ${name} was lost`));
    });
    try {
      return { result: await work(lost.signal) };
    } finally {
      keep.stop();
      await this.store.giveLease(name, this.record(token));
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
        await this.store.giveLease(name, this.record(token));
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
      return this.store.endReading(objectId, this.record(token));
    };
  }

  private newToken(): string {
    return toHex(this.random(8));
  }

  private record(token: string): LeaseRecord {
    return { process: this.process, token, expires: this.clock.now() + LEASE_MS };
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
