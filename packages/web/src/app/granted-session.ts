import { pause, systemClock } from '@granary/kad';
import { type GetOptions, type GrantedScope, type ObjectPath, openGrant } from '@granary/renter';
import { Store } from './store.js';
import { type ShareTrouble, shareTroubleOf } from '../share/share-trouble.js';

/** Between two looks for what has come or gone, while the page is seen. */
const LOOK_MS = 30_000;

/** Somebody signed in by an access grant: what it is of can be listed and read. Nothing is kept. */
export class GrantedSession {
  /** Grows when something has come or gone. */
  readonly changes = new Store(0);
  /** Why the grant is good for nothing any more, or can't be looked at now. */
  readonly trouble = new Store<ShareTrouble | undefined>(undefined);
  private readonly stop = new AbortController();

  private constructor(readonly scope: GrantedScope) {
    void this.keepLooking();
  }

  /** Sign in. @throws what {@link openGrant} throws. */
  static async open(grant: string, bootstrap: readonly string[]): Promise<GrantedSession> {
    return new GrantedSession(await openGrant(grant, { bootstrap }));
  }

  /** Read an object of the scope. */
  get({ name }: ObjectPath, options: GetOptions): AsyncIterable<Uint8Array> {
    return this.scope.get(name, options);
  }

  /** Look now whether something has come or gone. */
  async look(): Promise<void> {
    try {
      if (await this.scope.refresh()) this.changes.set(this.changes.get() + 1);
      this.trouble.set(undefined);
    } catch (error) {
      if (!this.stop.signal.aborted) this.trouble.set(shareTroubleOf(error, 'access grant'));
    }
  }

  async close(): Promise<void> {
    this.stop.abort(new DOMException('the session is over', 'AbortError'));
    await this.scope.close();
  }

  private async keepLooking(): Promise<void> {
    const { signal } = this.stop;
    for (;;) {
      await pause(systemClock, LOOK_MS, signal);
      if (signal.aborted) return;
      if (document.visibilityState === 'visible') await this.look();
    }
  }
}
