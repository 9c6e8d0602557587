import { deleteDB } from 'idb';
import { pause, silentLogger, systemClock } from '@granary/kad';
import { type CareReport, Renter, RenterKeys } from '@granary/renter';
import type { StreamDesk } from '../stream-worker/stream-desk.js';
import type { AppDatabase } from './app-database.js';
import type { AppSettings } from './network-settings.js';
import { removeAllParts } from './part-store.js';
import { Store } from './store.js';
import type { Transfer } from './transfer-queue.js';
import { Transfers } from './transfers.js';
import { type Trouble, troubleOf } from './trouble.js';

/** How a session is. */
export interface SessionStatus {
  /** Whether the network was found. */
  readonly network: 'joining' | 'joined' | 'unreachable';
  readonly trouble?: Trouble;
  /** Whether the browser says that there is a connection. */
  readonly online: boolean;
  /** Nodes of the network that are known here. */
  readonly nodes: number;
  /** When files were last looked after in this tab, and what came of it. */
  readonly care?: { readonly at: number; readonly report?: CareReport; readonly trouble?: Trouble };
}

/** What other tabs are told. */
type Message = { readonly kind: 'changed' } | { readonly kind: 'over'; readonly why: Over };
/** Why a session is over. */
export type Over = 'signed-out' | 'erased' | 'renewed';

/**
 * Whether to bring back what is in the network, when there is nothing here yet: `no`, for new words;
 * `try`: there may be nothing; `must`: it is an error when there is nothing.
 */
export type Recover = 'no' | 'try' | 'must';

/** What a {@link Session} is made of. */
export interface SessionParts {
  /** The master secret, 32 bytes. */
  readonly secret: Uint8Array;
  readonly settings: AppSettings;
  readonly db: AppDatabase;
  readonly desk: Promise<StreamDesk>;
  readonly recover: Recover;
  readonly onStep: (step: string) => void;
  readonly onEnd: (transfer: Transfer) => void;
  /** Another tab has ended the session. */
  readonly onOver: (why: Over) => void;
}

const REJOIN_MS = 10_000;
const LOOK_MS = 3_000;
const CHANGE_MS = 250;
/** Files are looked after when the page has been open for a while, and then every ten minutes. */
const CARE_AFTER_MS = 60_000;

const OFFLINE: Trouble = {
  text: 'There is no connection.',
  advice: 'It goes on by itself when there is one.',
  passing: true,
  code: 'WEB_OFFLINE',
};

/** A renter that somebody is signed in as, and all that goes on in its name in this tab. */
export class Session {
  readonly status = new Store<SessionStatus>({
    network: 'joining',
    online: navigator.onLine,
    nodes: 0,
  });
  /** Grows when what is stored has changed, here or in another tab; a few times a second at most. */
  readonly changes = new Store(0);
  /** Grows when it is known better how objects are. */
  readonly looks = new Store(0);
  readonly transfers: Transfers;
  private readonly stop = new AbortController();
  private changing: ReturnType<typeof setTimeout> | undefined;
  private readonly others: BroadcastChannel;

  private constructor(
    readonly renter: Renter,
    /** The node ID, which stands for the account. */
    readonly account: string,
    private settingsNow: AppSettings,
    private readonly parts: SessionParts,
  ) {
    const { db, desk, onEnd, onOver } = parts;
    this.transfers = new Transfers({
      renter,
      account,
      db,
      desk,
      settings: () => this.settingsNow,
      onStored: () => this.changed(),
      onEnd,
    });
    this.others = new BroadcastChannel(`granary-app ${account}`);
    this.others.onmessage = ({ data }: MessageEvent<Message>) => {
      if (data.kind === 'changed') this.noteChange();
      else onOver(data.why);
    };
    const { signal } = this.stop;
    addEventListener('online', () => this.heard(true), { signal });
    addEventListener('offline', () => this.heard(false), { signal });
  }

  /**
   * Sign in.
   *
   * @throws RenterError RENTER_BAD_WORDS, RENTER_STORE, and what recovery throws.
   */
  static async open(parts: SessionParts): Promise<Session> {
    const { settings, onStep } = parts;
    const keys = RenterKeys.fromEntropy(parts.secret);
    const account = keys.identity.nodeId;
    onStep('Opening the store of this browser …');
    const renter = await Renter.open({
      directory: directoryOf(account),
      keys,
      bootstrap: settings.bootstrap,
      logger: silentLogger,
      settings: {
        ...(settings.scheme !== undefined && { scheme: settings.scheme }),
        ...(settings.diversity !== undefined && { diversity: settings.diversity }),
      },
    });
    try {
      if (parts.recover !== 'no') await bringBack(renter, parts.recover, onStep);
    } catch (error) {
      await renter.close();
      throw error;
    }
    const session = new Session(renter, account, settings, parts);
    session.begin();
    return session;
  }

  /** The master secret, to sign in with again. */
  get secret(): Uint8Array {
    return this.parts.secret;
  }

  /** What is in force now. */
  get settings(): AppSettings {
    return this.settingsNow;
  }

  /** Go by other settings from now on; addresses of the network count at the next sign-in. */
  apply(settings: AppSettings): void {
    this.settingsNow = settings;
  }

  /** Tell this tab and others that what is stored has changed. */
  changed(): void {
    this.noteChange();
    this.tell({ kind: 'changed' });
  }

  /** Tell who shows how objects are that farmers were asked. */
  looked(): void {
    this.looks.set(this.looks.get() + 1);
  }

  /** End it: what is under way stops and can go on the next time. */
  async close(): Promise<void> {
    if (this.stop.signal.aborted) return;
    this.stop.abort(new DOMException('the session is over', 'AbortError'));
    this.transfers.close();
    this.others.close();
    await this.renter.close();
  }

  /** End it in every tab. @param why - `erased` and `renewed` remove all that this browser has of it */
  async end(why: Over): Promise<void> {
    this.tell({ kind: 'over', why });
    await this.close();
    if (why !== 'signed-out') await erase(this.parts.db, this.account);
  }

  private begin(): void {
    void this.join();
    void this.transfers.restore().catch(() => undefined);
    void this.look();
  }

  private async join(): Promise<void> {
    const { signal } = this.stop;
    while (!signal.aborted) {
      try {
        await this.renter.join();
        this.change({ network: 'joined' });
        this.transfers.queue.retryNow();
        void this.care();
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.change({ network: 'unreachable', trouble: troubleOf(error) });
        await pause(systemClock, REJOIN_MS, signal);
      }
    }
  }

  /** Audits, renewals, repair: in one tab at a time. */
  private async care(): Promise<void> {
    const { signal } = this.stop;
    try {
      await navigator.locks.request(`granary care ${this.account}`, { signal }, async () => {
        await pause(systemClock, CARE_AFTER_MS, signal);
        if (signal.aborted) return;
        await this.renter.keepCare(signal, (result) => {
          const at = Date.now();
          this.looked();
          this.change({
            care:
              'error' in result ? { at, trouble: troubleOf(result.error) } : { at, report: result },
          });
        });
      });
    } catch {
      // The session is over.
    }
  }

  private async look(): Promise<void> {
    while (!this.stop.signal.aborted) {
      const nodes = this.renter.node.contacts().length;
      if (nodes !== this.status.get().nodes) this.change({ nodes });
      await pause(systemClock, LOOK_MS, this.stop.signal);
    }
  }

  /** Many changes come together, and each has lists read anew. */
  private noteChange(): void {
    this.changing ??= setTimeout(() => {
      this.changing = undefined;
      this.changes.set(this.changes.get() + 1);
    }, CHANGE_MS);
  }

  private heard(online: boolean): void {
    this.change({ online });
    if (online) this.transfers.queue.retryNow();
    else this.transfers.queue.interrupt(OFFLINE);
  }

  private change(changes: Partial<SessionStatus>): void {
    this.status.set({ ...this.status.get(), ...changes });
  }

  private tell(message: Message): void {
    if (!this.stop.signal.aborted) this.others.postMessage(message);
  }
}

async function bringBack(
  renter: Renter,
  recover: Recover,
  onStep: (step: string) => void,
): Promise<void> {
  onStep('Looking for your files in the network …');
  try {
    await renter.recover();
  } catch (error) {
    const { code } = error as { code?: unknown };
    // They are here already.
    if (code === 'RENTER_NOT_EMPTY') return;
    if (code !== 'RENTER_NOTHING_TO_RECOVER' || recover === 'must') throw error;
  }
}

/** Remove all that this browser has of an account. */
async function erase(db: AppDatabase, account: string): Promise<void> {
  const directory = directoryOf(account);
  await Promise.all(['records', 'payments'].map((name) => deleteDB(`${directory}/${name}`)));
  for (const { id, account: whose } of await db.getAll('transfers')) {
    if (whose === account) await db.delete('transfers', id);
  }
  await removeAllParts(account).catch(() => undefined);
}

function directoryOf(account: string): string {
  return `granary-${account.slice(0, 16)}`;
}
