import type { Clock } from '@granary/kad';
import type { ShardProgress } from '@granary/renter';
import { ShardBoard } from './shard-board.js';
import { type Trouble, troubleOf } from './trouble.js';

/** What is to be moved. */
export interface TransferTask {
  readonly id: string;
  readonly kind: 'upload' | 'download';
  readonly bucket: string;
  readonly name: string;
  readonly size: number;
}

/**
 * `queued`: has its turn when others are done; `running`; `paused` by the user; `lost`: its file is not at
 * hand any more, after a reload, and is to be chosen again; `retrying`: it failed and goes on after a
 * while; `failed`; `done`.
 */
export type TransferState =
  'queued' | 'running' | 'paused' | 'lost' | 'retrying' | 'failed' | 'done';

/** How a transfer is. */
export interface Transfer extends TransferTask {
  readonly state: TransferState;
  /** Bytes of the object that are safe, or here. */
  readonly bytes: number;
  /** Of these, how many an earlier attempt had moved already. */
  readonly resumed: number;
  /** Bytes of the object a second, lately; 0 when that is not known. */
  readonly rate: number;
  readonly trouble?: Trouble;
  /** When it is tried again, in milliseconds since the epoch. */
  readonly retryAt?: number;
  /** A remark on how it ended. */
  readonly note?: string;
  readonly board: ShardBoard;
}

/** What a transfer at work tells. */
export interface TransferReport {
  bytes(count: number): void;
  resumed(count: number): void;
  shard(step: ShardProgress): void;
  note(text: string): void;
}

/** What a {@link TransferQueue} is made of. */
export interface TransferQueueParts {
  /** Do it: from where it was. Rejects when it could not be finished, and soon after the signal. */
  readonly run: (task: TransferTask, report: TransferReport, signal: AbortSignal) => Promise<void>;
  /** Told when one is done, or failed for good. */
  readonly onEnd?: (transfer: Transfer) => void;
  readonly clock: Pick<Clock, 'now' | 'setTimeout' | 'clearTimeout'>;
  /** Of each kind at a time. */
  readonly parallel: number;
}

interface Item {
  transfer: Transfer;
  stop?: AbortController;
  /** The attempt that is at work, or that has been told to stop and has not yet. */
  last?: Promise<void> | undefined;
  timer?: unknown;
  attempts: number;
  /** Where it was some seconds ago. */
  marks: { at: number; bytes: number }[];
}

const FIRST_RETRY_MS = 3_000;
const LAST_RETRY_MS = 60_000;
const RATE_MS = 5_000;
/** Between two pictures of what moves. */
const TELL_MS = 200;
const WAITING: readonly TransferState[] = ['queued', 'running', 'retrying'];

/** Uploads and downloads: some at a time, with pauses, and with new attempts at what may go by itself. */
export class TransferQueue {
  private readonly items = new Map<string, Item>();
  private readonly listeners = new Set<() => void>();
  private telling: unknown;
  private closed = false;
  private picture: readonly Transfer[] = [];

  constructor(private readonly parts: TransferQueueParts) {}

  /** All transfers, the oldest first; the same array until something changes. */
  get transfers(): readonly Transfer[] {
    return this.picture;
  }

  /** Be told of changes, a few times a second, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Add one. @param state - `lost` and `paused` wait for {@link TransferQueue.resume} */
  add(task: TransferTask, state: 'queued' | 'paused' | 'lost' = 'queued'): void {
    this.addAll([task], state);
  }

  /** Add many, in order. */
  addAll(tasks: readonly TransferTask[], state: 'queued' | 'paused' | 'lost' = 'queued'): void {
    if (this.closed) return;
    for (const task of tasks) {
      if (this.items.has(task.id)) continue;
      const transfer = { ...task, state, bytes: 0, resumed: 0, rate: 0, board: new ShardBoard() };
      this.items.set(task.id, { transfer, attempts: 0, marks: [] });
    }
    this.next();
  }

  /** Stop one, and keep what it has. */
  pause(id: string): void {
    this.halt(id, 'paused');
  }

  /** Go on, now. */
  resume(id: string): void {
    const item = this.items.get(id);
    if (item === undefined || ['queued', 'running', 'done'].includes(item.transfer.state)) return;
    item.attempts = 0;
    this.parts.clock.clearTimeout(item.timer);
    this.change(item, { state: 'queued' });
    this.next();
  }

  /** Its file is not at hand. */
  lose(id: string): void {
    this.halt(id, 'lost');
  }

  /** Forget one, and wait until it has stopped. */
  async remove(id: string): Promise<void> {
    const item = this.items.get(id);
    if (item === undefined) return;
    this.items.delete(id);
    this.parts.clock.clearTimeout(item.timer);
    item.stop?.abort(new DOMException('it was taken out of the queue', 'AbortError'));
    this.next();
    await item.last;
  }

  /** The connection is gone: what runs waits a moment, and is tried again. */
  interrupt(trouble: Trouble): void {
    for (const item of this.items.values()) {
      if (item.transfer.state === 'running') this.retryLater(item, trouble);
    }
    this.next();
  }

  /** The connection is back: what waits for another attempt has it now. */
  retryNow(): void {
    for (const [id, { transfer }] of this.items) {
      if (transfer.state === 'retrying') this.resume(id);
    }
  }

  /** Whether anything is under way or will be by itself. */
  get busy(): boolean {
    return [...this.items.values()].some(({ transfer }) => WAITING.includes(transfer.state));
  }

  get isClosed(): boolean {
    return this.closed;
  }

  /** Stop everything. */
  close(): void {
    this.closed = true;
    for (const id of [...this.items.keys()]) void this.remove(id);
    this.parts.clock.clearTimeout(this.telling);
    this.listeners.clear();
  }

  private halt(id: string, state: 'paused' | 'lost'): void {
    const item = this.items.get(id);
    if (item === undefined || ['done', state].includes(item.transfer.state)) return;
    this.parts.clock.clearTimeout(item.timer);
    this.change(item, { state, rate: 0 });
    item.stop?.abort(new DOMException('paused', 'AbortError'));
    delete item.stop;
    this.next();
  }

  private next(): void {
    for (const kind of ['upload', 'download'] as const) {
      const those = [...this.items.values()].filter(({ transfer }) => transfer.kind === kind);
      let running = those.filter(({ transfer }) => transfer.state === 'running').length;
      for (const item of those) {
        if (this.closed || running >= this.parts.parallel) break;
        if (item.transfer.state !== 'queued') continue;
        running += 1;
        void this.start(item);
      }
    }
    this.tell();
  }

  private async start(item: Item): Promise<void> {
    const { run, clock } = this.parts;
    const stop = new AbortController();
    item.stop = stop;
    item.marks = [];
    const { id, kind, bucket, name, size, bytes: before, resumed: had } = item.transfer;
    const board = new ShardBoard();
    // What went wrong the last time is over.
    item.transfer = {
      ...{ id, kind, bucket, name, size, board },
      ...{ state: 'running', bytes: before, resumed: had, rate: 0 },
    };
    // After a pause an old attempt may still be heard of.
    const ours = () => item.stop === stop;
    const report: TransferReport = {
      bytes: (bytes) => {
        if (!ours()) return;
        const now = clock.now();
        const marks = item.marks.filter(({ at }) => now - at < RATE_MS);
        item.marks = [...(marks.length > 0 ? marks : item.marks.slice(-1)), { at: now, bytes }];
        const first = item.marks[0]!;
        const moved = Math.max(0, bytes - Math.max(first.bytes, item.transfer.resumed));
        const rate = now > first.at ? (moved * 1000) / (now - first.at) : 0;
        this.change(item, { bytes, rate });
      },
      resumed: (resumed) => void (ours() && this.change(item, { resumed })),
      shard: (step) => {
        if (!ours()) return;
        board.note(step);
        this.tell();
      },
      note: (note) => void (ours() && this.change(item, { note })),
    };
    // Two attempts at one thing at a time would not know of each other's work.
    const attempt = async (before: Promise<void> | undefined) => {
      if (before !== undefined) await before;
      stop.signal.throwIfAborted();
      await run(item.transfer, report, stop.signal);
    };
    const work = attempt(item.last);
    const last = work.then(
      () => undefined,
      () => undefined,
    );
    item.last = last;
    void last.then(() => {
      if (item.last === last) item.last = undefined;
    });
    try {
      await work;
      if (!ours()) return;
      delete item.stop;
      this.change(item, { state: 'done', bytes: item.transfer.size, rate: 0 });
      this.ended(item);
    } catch (error) {
      if (!ours()) return;
      delete item.stop;
      const trouble = troubleOf(error);
      if (trouble.passing) this.retryLater(item, trouble);
      else {
        this.change(item, { state: 'failed', trouble, rate: 0 });
        this.ended(item);
      }
    }
    this.next();
  }

  private retryLater(item: Item, trouble: Trouble): void {
    const { clock } = this.parts;
    const wait = Math.min(FIRST_RETRY_MS * 2 ** item.attempts, LAST_RETRY_MS);
    item.attempts += 1;
    item.stop?.abort(new DOMException('the connection is gone', 'AbortError'));
    delete item.stop;
    this.change(item, { state: 'retrying', trouble, retryAt: clock.now() + wait, rate: 0 });
    item.timer = clock.setTimeout(() => {
      if (item.transfer.state !== 'retrying') return;
      this.change(item, { state: 'queued' });
      this.next();
    }, wait);
  }

  private ended(item: Item): void {
    if (this.items.get(item.transfer.id) === item) this.parts.onEnd?.(item.transfer);
  }

  private change(item: Item, changes: Partial<Transfer>): void {
    // Something moved: the next failure is a new one.
    if ((changes.bytes ?? 0) > item.transfer.bytes) item.attempts = 0;
    item.transfer = { ...item.transfer, ...changes };
    this.tell();
  }

  private tell(): void {
    if (this.closed || this.telling !== undefined) return;
    this.telling = this.parts.clock.setTimeout(() => {
      this.telling = undefined;
      this.picture = [...this.items.values()].map(({ transfer }) => ({ ...transfer }));
      for (const listener of [...this.listeners]) listener();
    }, TELL_MS);
  }
}
