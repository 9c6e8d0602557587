import { type FileHandle, open } from 'node:fs/promises';

/**
 * Puts SQLite's write-ahead log on the disk, for all who wait at a time. Who asks while a sync is
 * running gets the next one: the running one may have begun before its pages were written.
 */
export class SqliteLogSync {
  private running: Promise<number> | undefined;
  private next: Promise<number> | undefined;

  private constructor(private readonly file: FileHandle) {}

  /** @param path - the log, of a database that stays open as long as this: so it is not replaced */
  static async open(path: string): Promise<SqliteLogSync> {
    return new SqliteLogSync(await open(path, 'r+'));
  }

  /** Bytes of the log, when all that was written before the call is on the disk. */
  sync(): Promise<number> {
    if (this.running === undefined) return this.start();
    this.next ??= this.running.then(
      () => this.start(),
      () => this.start(),
    );
    return this.next;
  }

  async close(): Promise<void> {
    await (this.next ?? this.running)?.catch(() => undefined);
    await this.file.close();
  }

  private start(): Promise<number> {
    this.next = undefined;
    const run = (async () => {
      await this.file.datasync();
      return (await this.file.stat()).size;
    })();
    this.running = run;
    const done = () => {
      if (this.running === run) this.running = undefined;
    };
    run.then(done, done);
    return run;
  }
}
