import { openLocalFile } from '#renter/local-files';
import { RenterError, messageOf } from './errors.js';
import type { SourceMark } from './records.js';

/** What is needed of a `Blob` or a `File` (W3C File API). */
export interface BlobSource {
  readonly size: number;
  /** A file has a name and a time, by which it is known again. */
  readonly name?: string;
  readonly lastModified?: number;
  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

/** What is needed of a `FileSystemFileHandle` (WHATWG File System): the user's, or a private one. */
export interface FileTarget {
  readonly name: string;
  createWritable(): Promise<{
    write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
    close(): Promise<void>;
    abort(reason?: unknown): Promise<void>;
  }>;
}

/**
 * What to store: a file by its path (in Node), or one that a page holds, whose uploads can go on after a
 * crash, or a stream, whose can't. A `ReadableStream` is a stream where it can be iterated.
 */
export type PutSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'blob'; readonly blob: BlobSource }
  | { readonly kind: 'stream'; readonly stream: AsyncIterable<Uint8Array> };

/** A source that is being read, segment by segment. */
export interface SourceReader {
  /** What the file looks like; null for a stream. */
  readonly mark: SourceMark | null;
  /**
   * The next `size` bytes, fewer only at the end, in a buffer of their own.
   *
   * @param room - gives the memory to read into, where the source can choose
   */
  read(size: number, signal: AbortSignal, room?: (size: number) => Uint8Array): Promise<Uint8Array>;
  /** Check that what was read is one state of the file. @throws RenterError RENTER_SOURCE. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** Open a source. @throws RenterError RENTER_SOURCE. */
export function openSource(source: PutSource): Promise<SourceReader> {
  if (source.kind === 'file') return openLocalFile(source.path);
  return Promise.resolve(
    source.kind === 'blob' ? readBlob(source.blob) : readStream(source.stream),
  );
}

/** A file that a page holds: read piece by piece. Named, its upload can go on when it is chosen again. */
function readBlob(blob: BlobSource): SourceReader {
  const { name, lastModified } = blob;
  const named = name !== undefined && lastModified !== undefined;
  let position = 0;
  return {
    mark: named ? { file: name, size: blob.size, modified: lastModified, inode: 0 } : null,
    async read(size) {
      const part = blob.slice(position, position + size);
      try {
        const bytes = new Uint8Array(await part.arrayBuffer());
        position += bytes.length;
        return bytes;
      } catch (error) {
        throw new RenterError(
          'RENTER_SOURCE',
          `${name ?? 'the blob'} can't be read: it changed, or is gone (${messageOf(error)})`,
          { cause: error },
        );
      }
    },
    // A browser reads no more of a file that has changed since it was chosen.
    finish: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** Room for a stream's first bytes, before it is known to be longer. */
const FIRST_ROOM = 1024 * 1024;

function readStream(stream: AsyncIterable<Uint8Array>): SourceReader {
  const iterator = stream[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  let ended = false;
  let waiting = false;
  return {
    mark: null,
    async read(size, signal, room = (length) => new Uint8Array(length)) {
      // Most streams are much shorter than a segment.
      let bytes: Uint8Array = new Uint8Array(Math.min(size, Math.max(rest.length, FIRST_ROOM)));
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
        if (filled + part.length > bytes.length) bytes = moved(bytes, filled, room(size));
        bytes.set(part, filled);
        filled += part.length;
        rest = rest.subarray(part.length);
      }
      return bytes.subarray(0, filled);
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

function moved(from: Uint8Array, length: number, to: Uint8Array): Uint8Array {
  to.set(from.subarray(0, length));
  return to;
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
