import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { RenterError, messageOf } from './errors.js';
import type { SourceMark } from './records.js';

/** What to store: a file, whose upload can go on after a crash, or a stream, whose can't. */
export type PutSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stream'; readonly stream: AsyncIterable<Uint8Array> };

/** A source that is being read, segment by segment. */
export interface SourceReader {
  /** What the file looks like; null for a stream. */
  readonly mark: SourceMark | null;
  /** The next `size` bytes, fewer only at the end, in a buffer of their own. */
  read(size: number, signal: AbortSignal): Promise<Uint8Array>;
  /** Check that what was read is one state of the file. @throws RenterError RENTER_SOURCE. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** Open a source. @throws RenterError RENTER_SOURCE. */
export function openSource(source: PutSource): Promise<SourceReader> {
  return source.kind === 'file'
    ? openFile(source.path)
    : Promise.resolve(readStream(source.stream));
}

async function markOf(path: string, file: FileHandle): Promise<SourceMark> {
  const { size, mtimeMs, ino } = await file.stat();
  return { file: resolve(path), size, modified: mtimeMs, inode: ino };
}

async function openFile(path: string): Promise<SourceReader> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EACCES'
          ? 'no permission'
          : messageOf(error);
    throw new RenterError('RENTER_SOURCE', `${path} can't be read: ${why}`, { cause: error });
  }
  try {
    if (!(await file.stat()).isFile()) {
      throw new RenterError('RENTER_SOURCE', `${path} is not a file: put files one by one`);
    }
    const mark = await markOf(path, file);
    let position = 0;
    return {
      mark,
      async read(size) {
        const want = Math.min(size, Math.max(0, mark.size - position));
        const bytes = new Uint8Array(new ArrayBuffer(want));
        let filled = 0;
        while (filled < want) {
          const { bytesRead } = await file.read(bytes, filled, want - filled, position + filled);
          if (bytesRead === 0) {
            throw new RenterError('RENTER_SOURCE', `${path} became shorter while it was read`);
          }
          filled += bytesRead;
        }
        position += want;
        return bytes;
      },
      async finish() {
        const now = await markOf(path, file);
        if (now.size !== mark.size || now.modified !== mark.modified) {
          throw new RenterError('RENTER_SOURCE', `${path} changed while it was read: put it again`);
        }
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function readStream(stream: AsyncIterable<Uint8Array>): SourceReader {
  const iterator = stream[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  let ended = false;
  let waiting = false;
  return {
    mark: null,
    async read(size, signal) {
      const bytes = new Uint8Array(new ArrayBuffer(size));
      let filled = 0;
      while (filled < size) {
        if (rest.length === 0) {
          if (ended) break;
          waiting = true;
          const next = await orAborted(iterator.next(), signal);
          waiting = false;
          if (next.done === true) {
            ended = true;
            break;
          }
          rest = next.value;
          continue;
        }
        const part = rest.subarray(0, size - filled);
        bytes.set(part, filled);
        filled += part.length;
        rest = rest.subarray(part.length);
      }
      return filled === size ? bytes : bytes.slice(0, filled);
    },
    finish: () => Promise.resolve(),
    async close() {
      if (ended) return;
      // A generator takes its return only after the step that it is in, which may be for ever.
      const returned = iterator.return?.();
      if (waiting) void returned?.catch(() => undefined);
      else await returned;
    },
  };
}

/** A promise, or the signal's reason when that comes first. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort!);
  }
}
