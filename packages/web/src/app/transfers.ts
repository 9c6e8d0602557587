import { systemClock } from '@granary/kad';
import type { ObjectSummary, OnShard, Renter } from '@granary/renter';
import type { StreamDesk } from '../stream-worker/stream-desk.js';
import type { AppDatabase, SavedTransfer } from './app-database.js';
import type { ChosenFile } from './chosen-files.js';
import { holdersOf, takeLock } from './locks.js';
import { mediaTypeOf } from './media-type.js';
import type { AppSettings } from './network-settings.js';
import { contentOf, hasRoomFor, openParts, removePartsExcept } from './part-store.js';
import { saveBlob } from './save-blob.js';
import {
  type Transfer,
  type TransferReport,
  type TransferTask,
  TransferQueue,
} from './transfer-queue.js';

/** What {@link Transfers} are made of. */
export interface TransfersParts {
  readonly renter: Renter;
  /** The node ID. */
  readonly account: string;
  readonly db: AppDatabase;
  readonly settings: () => AppSettings;
  readonly desk: Promise<StreamDesk>;
  /** Told when an object was stored. */
  readonly onStored: (bucket: string, name: string) => void;
  readonly onEnd: (transfer: Transfer) => void;
}

/** At work at a time, of uploads and of downloads. */
const PARALLEL = 3;

/** The uploads and downloads of a session: with the files that they are of, and kept over reloads. */
export class Transfers {
  readonly queue: TransferQueue;
  private readonly files = new Map<string, File>();
  private readonly saved = new Map<string, SavedTransfer>();
  /** Gives back the locks that show other tabs that a transfer is ours. */
  private readonly ours = new Map<string, (() => void)[]>();

  constructor(private readonly parts: TransfersParts) {
    this.queue = new TransferQueue({
      run: (task, report, signal) =>
        task.kind === 'upload'
          ? this.runUpload(task, report, signal)
          : this.runDownload(task, report, signal),
      onEnd: (transfer) => {
        if (transfer.state === 'done') void this.forget(transfer.id);
        parts.onEnd(transfer);
      },
      clock: systemClock,
      parallel: PARALLEL,
    });
  }

  /** Take up what an earlier life of this page, or a tab that is gone, has left. */
  async restore(): Promise<void> {
    const { db, account } = this.parts;
    for (const saved of await db.getAll('transfers')) {
      if (saved.account !== account || !(await this.take(saved.id))) continue;
      this.saved.set(saved.id, saved);
      const { id, kind, bucket, name, size, paused } = saved;
      const task = { id, kind, bucket, name, size };
      if (kind === 'download') this.queue.add(task, paused ? 'paused' : 'queued');
      else {
        this.queue.add(task, 'lost');
        const allowed = await saved.handle?.queryPermission?.({ mode: 'read' });
        if (allowed === 'granted' && !paused) await this.resume(id);
      }
    }
    await this.tidy();
  }

  /** Upload files into a folder of a bucket. What was cut off before goes on, under the name that it had. */
  async upload(bucket: string, folder: string, chosen: readonly ChosenFile[]): Promise<void> {
    const { db, account } = this.parts;
    const fresh: { saved: SavedTransfer; file: File }[] = [];
    for (const { path, file, handle } of chosen) {
      const before = this.lostOf(file);
      if (before !== undefined) {
        this.files.set(before.id, file);
        this.queue.resume(before.id);
        continue;
      }
      const saved: SavedTransfer = {
        id: crypto.randomUUID(),
        account,
        kind: 'upload',
        bucket,
        name: `${folder}${path}`,
        size: file.size,
        paused: false,
        created: Date.now(),
        file: { name: file.name, modified: file.lastModified },
        ...(handle !== undefined && { handle }),
      };
      fresh.push({ saved, file });
    }
    const writing = db.transaction('transfers', 'readwrite');
    for (const { saved } of fresh) await writing.store.put(saved);
    await writing.done;
    await Promise.all(fresh.map(({ saved }) => this.take(saved.id)));
    for (const { saved, file } of fresh) {
      this.saved.set(saved.id, saved);
      this.files.set(saved.id, file);
    }
    this.queue.addAll(
      fresh.map(({ saved: { id, kind, name, size } }) => ({ id, kind, bucket, name, size })),
    );
  }

  /** Download an object. */
  async download(bucket: string, { name, size }: ObjectSummary): Promise<void> {
    const { db, account } = this.parts;
    const id = crypto.randomUUID();
    const task = { id, kind: 'download' as const, bucket, name, size };
    const saved = { ...task, account, paused: false, created: Date.now() };
    await db.put('transfers', saved);
    await this.take(id);
    this.saved.set(id, saved);
    this.queue.add(task);
  }

  /** Stop one, and keep what it has. */
  async pause(id: string): Promise<void> {
    this.queue.pause(id);
    await this.keep(id, { paused: true });
  }

  /**
   * Go on with one. An upload whose file is not at hand is gone back to where the browser knows the way.
   *
   * @returns false when its file has to be chosen again
   */
  async resume(id: string): Promise<boolean> {
    const saved = this.saved.get(id);
    if (saved?.kind === 'upload' && !this.files.has(id)) {
      const { handle } = saved;
      if (handle === undefined) return false;
      if ((await handle.requestPermission?.({ mode: 'read' })) === 'denied') return false;
      const file = await handle.getFile();
      // Another content than it had is another upload, under the same name.
      this.files.set(id, file);
    }
    await this.keep(id, { paused: false });
    this.queue.resume(id);
    return true;
  }

  /** Whether the browser knows the way back to an upload's file. */
  knowsFile(id: string): boolean {
    return this.files.has(id) || this.saved.get(id)?.handle !== undefined;
  }

  /** Stop one and give up what it has moved; or take one that is done off the list. */
  async remove({ id, kind, bucket, name, state }: Transfer): Promise<void> {
    await this.queue.remove(id);
    await this.forget(id);
    this.files.delete(id);
    if (kind === 'upload' && state !== 'done') {
      await this.parts.renter.giveUp({ bucket, name }).catch(() => 0);
    }
    for (const release of this.ours.get(id)?.splice(0) ?? []) release();
    this.ours.delete(id);
  }

  /** Take everything that is done off the list. */
  async clear(): Promise<void> {
    const done = this.queue.transfers.filter(({ state }) => state === 'done');
    await Promise.all(done.map((transfer) => this.remove(transfer)));
  }

  close(): void {
    this.queue.close();
    for (const releases of this.ours.values()) for (const release of releases) release();
  }

  private async runUpload(
    { id, bucket, name }: TransferTask,
    report: TransferReport,
    signal: AbortSignal,
  ): Promise<void> {
    const file = this.files.get(id);
    if (file === undefined) {
      this.queue.lose(id);
      return;
    }
    const { renter, settings, onStored } = this.parts;
    const { scheme } = settings();
    const { indexFailure } = await renter.put(
      { bucket, name },
      { kind: 'blob', blob: file },
      {
        ...(scheme !== undefined && { scheme }),
        onProgress: ({ bytes, networkBytes }) => {
          // Before anything moves, only what is there already is gone through.
          if (networkBytes === 0) report.resumed(bytes);
          report.bytes(bytes);
        },
        onShard: (step) => report.shard(step),
        signal,
      },
    );
    if (indexFailure !== null) {
      report.note(
        'It is safe, but the list of your files in the network is not up to date yet: ' +
          indexFailure,
      );
    }
    this.files.delete(id);
    onStored(bucket, name);
  }

  private async runDownload(
    task: TransferTask,
    report: TransferReport,
    signal: AbortSignal,
  ): Promise<void> {
    const { renter, account, settings } = this.parts;
    const path = { bucket: task.bucket, name: task.name };
    const object = await renter.head(path);
    if (settings().downloads === 'straight' || !(await hasRoomFor(object.size))) {
      return this.stream(task, object, report, signal);
    }
    const content = contentOf(object);
    await this.keep(task.id, { content });
    await this.keepParts(task.id, content);
    // Two that write the same pieces would be in each other's way.
    const work = `granary parts at work ${account} ${content}`;
    await navigator.locks.request(work, { signal }, async () => {
      const kept = await openParts(account, content);
      report.resumed(kept.bytes);
      report.bytes(kept.bytes);
      if (kept.bytes < object.size) {
        const onShard: OnShard = (step) => report.shard(step);
        const options = { offset: kept.bytes, onShard, signal };
        for await (const piece of renter.get(path, options)) {
          await kept.add(piece);
          report.bytes(kept.bytes);
        }
      }
      const now = await renter.head(path);
      if (now.sha256 !== object.sha256 || now.created !== object.created) {
        await kept.remove();
        throw new ReplacedError();
      }
      signal.throwIfAborted();
      saveBlob(await kept.blob(), fileNameOf(task.name));
    });
  }

  /** Straight into the browser's own download, through the service worker. */
  private async stream(
    { bucket, name }: TransferTask,
    { size }: ObjectSummary,
    report: TransferReport,
    signal: AbortSignal,
  ): Promise<void> {
    const { renter } = this.parts;
    const desk = await this.parts.desk;
    report.note('It goes straight to the disk: keep this tab open until it is there.');
    await new Promise<void>((resolve, reject) => {
      const begun = setTimeout(() => end(new StoppedError('did not begin to save it')), 30_000);
      const served = desk.save({
        name: fileNameOf(name),
        type: mediaTypeOf(name),
        size,
        attachment: true,
        read: async function* (offset, length, stop) {
          clearTimeout(begun);
          let bytes = 0;
          try {
            const onShard: OnShard = (step) => report.shard(step);
            const options = { offset, length, onShard, signal: stop };
            for await (const piece of renter.get({ bucket, name }, options)) {
              // What is handed over is not ours any more.
              bytes += piece.length;
              report.bytes(bytes);
              yield piece;
            }
          } catch (error) {
            end(error);
            throw error;
          } finally {
            end(bytes === length ? undefined : new StoppedError('stopped saving it'));
          }
        },
      });
      const onAbort = () => end(signal.reason);
      const end = (error?: unknown) => {
        clearTimeout(begun);
        signal.removeEventListener('abort', onAbort);
        if (error === undefined) resolve();
        else {
          served.close();
          reject(error as Error);
        }
      };
      signal.addEventListener('abort', onAbort, { once: true });
      if (size === 0) setTimeout(end, 1000);
    });
  }

  private lostOf({ name, size, lastModified }: File): SavedTransfer | undefined {
    for (const { id, kind, state } of this.queue.transfers) {
      const saved = this.saved.get(id);
      if (kind !== 'upload' || state !== 'lost' || saved?.file === undefined) continue;
      const same = saved.file.name === name && saved.file.modified === lastModified;
      if (same && saved.size === size) return saved;
    }
    return undefined;
  }

  private async take(id: string): Promise<boolean> {
    const release = await takeLock(`granary transfer ${id}`);
    if (release === undefined) return false;
    this.ours.set(id, [release]);
    return true;
  }

  /** The pieces of a download stay until the last that has it on its list has taken it off. */
  private async keepParts(id: string, content: string): Promise<void> {
    const releases = this.ours.get(id) ?? [];
    if (releases.length > 1) return;
    const release = await takeLock(this.keptLock(content), 'shared');
    if (release === undefined) return;
    releases.push(() => {
      release();
      if (!this.queue.isClosed) void this.tidy().catch(() => undefined);
    });
  }

  /** Remove pieces that nobody has on a list any more, in any tab. */
  private async tidy(): Promise<void> {
    const { db, account } = this.parts;
    const saved = await db.getAll('transfers');
    const wanted = new Set(saved.map(({ content }) => content));
    await removePartsExcept(account, async (content) => {
      return wanted.has(content) || (await holdersOf(this.keptLock(content))) > 0;
    });
  }

  private keptLock(content: string): string {
    return `granary parts kept ${this.parts.account} ${content}`;
  }

  private async keep(
    id: string,
    changes: Partial<Pick<SavedTransfer, 'paused' | 'content'>>,
  ): Promise<void> {
    const saved = this.saved.get(id);
    if (saved === undefined) return;
    const changed = { ...saved, ...changes };
    this.saved.set(id, changed);
    await this.parts.db.put('transfers', changed);
  }

  private async forget(id: string): Promise<void> {
    this.saved.delete(id);
    await this.parts.db.delete('transfers', id);
  }
}

/** The object was replaced while it was downloaded. */
class ReplacedError extends Error {
  override readonly name = 'ReplacedError';
  readonly code = 'WEB_REPLACED';

  constructor() {
    super('it was replaced by a new version while it was downloaded');
  }
}

/** The browser did not save what it was given. */
class StoppedError extends Error {
  override readonly name = 'StoppedError';
  readonly code = 'WEB_SAVE_STOPPED';

  constructor(what: string) {
    super(`the browser ${what}`);
  }
}

function fileNameOf(name: string): string {
  return name.split('/').at(-1) || 'file';
}
