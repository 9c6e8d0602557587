import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';

/** Bytes of the log at which it is moved into the database. */
const LOG_BYTES = 8 * 1024 * 1024;

/** The thread's program: a text, so that it runs from the sources (tests) as it does when built. */
const WORKER = `
const { parentPort, workerData } = require('node:worker_threads');
const { DatabaseSync } = require(workerData.driver);
const db = new DatabaseSync(workerData.file, { timeout: 1000 });
parentPort.on('message', (order) => {
  if (order === 'close') {
    db.close();
    parentPort.close();
    return;
  }
  // TRUNCATE waits for readers and writers, 100 ms here; what it could not move stays for the next time.
  db.exec('PRAGMA busy_timeout = 100');
  const { log, checkpointed } = db.prepare('PRAGMA wal_checkpoint(PASSIVE)').get();
  const whole = log === checkpointed && db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get().busy === 0;
  parentPort.postMessage(whole ? 0 : 4096 * (log - checkpointed));
});
`;

/** Moves SQLite's write-ahead log into the database, in a thread of its own. */
export class SqliteCheckpointer {
  private worker: Worker | undefined;
  private busy = false;
  private last = 0;

  constructor(private readonly file: string) {}

  /** The log has this many bytes. */
  grown(size: number): void {
    // What could not be moved the last time, since somebody read it, is tried again when there is more.
    if (this.busy || size < Math.max(LOG_BYTES, this.last + LOG_BYTES / 8)) return;
    this.busy = true;
    this.worker ??= this.start();
    this.worker.postMessage('checkpoint');
  }

  async close(): Promise<void> {
    const { worker } = this;
    this.worker = undefined;
    this.busy = true;
    if (worker === undefined) return;
    // It must not keep the process alive as long as it idles, but its end is waited for.
    worker.ref();
    const exited = new Promise((resolve) => worker.once('exit', resolve));
    worker.postMessage('close');
    await exited;
  }

  private start(): Worker {
    const worker = new Worker(WORKER, {
      eval: true,
      workerData: {
        file: this.file,
        driver: createRequire(import.meta.url).resolve('@photostructure/sqlite'),
      },
    });
    worker.unref();
    worker.on('message', (left: number) => {
      this.last = left;
      this.busy = false;
    });
    // The log only grows until the next attempt, with a new thread.
    worker.on('error', () => {
      this.worker = undefined;
      this.busy = false;
    });
    return worker;
  }
}
